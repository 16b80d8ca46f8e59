"""What else a proxy is told: forwarded headers, limits, checks, health, logs, TLS; in both engines."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from tests.differential.l7_bench import Bench, parse, request
from tests.differential.l7_pair import ENGINES, Outcome, pair, pools, rendered
from tests.differential.l7_views import ADDRESS, PORT, site, view

from holdfast.spec.checks import Check

pytestmark = [pytest.mark.lab, pytest.mark.parametrize("engine", ENGINES)]

SITE = site("shop", ("www.example.com",), {"path": "/no", "respond": {"status": 403, "body": "no"}}, {"to": "p0"})
LOG_KEYS = {
    "time", "listener", "site", "route", "pool", "client", "method", "uri", "status", "bytes", "request_time",
    "upstream_addr", "upstream_status", "upstream_response_time", "upstream_connect_time", "request_id",
}  # fmt: skip


@pytest.mark.parametrize(
    ("forwarded", "addresses", "protocol"),
    [("replace", "127.0.0.1", "http"), ("append", "6.6.6.6, 127.0.0.1", "https"), ("keep", "6.6.6.6", "https")],
)
def test_forwarded(bench: Bench, engine: str, forwarded: str, addresses: str, protocol: str) -> None:
    sent = request(
        "/x", "www.example.com", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X_Forwarded_For: 7"
    )
    with pair(bench, [SITE], forwarded=forwarded):
        bench.send(ADDRESS[engine], PORT, sent)
        (seen,) = bench.seen()
        assert ", ".join(seen.header("x-forwarded-for")) == addresses  # a list may be spread over lines (RFC 9110)
        assert seen.header("x-forwarded-proto") == [protocol]
        assert not seen.header("x_forwarded_for")
        bench.send(ADDRESS[engine], PORT, request("/x"))
        (seen,) = bench.seen()
        assert seen.header("x-forwarded-for") == ([] if forwarded == "keep" else ["127.0.0.1"])
        assert seen.header("host") == ["www.example.com"]


def test_largest_body(bench: Bench, engine: str) -> None:
    with pair(bench, [SITE], max_body_bytes=1000):
        for size, status in ((1000, 200), (1001, 413), (100_000, 413)):
            answer = bench.send(ADDRESS[engine], PORT, request("/x", method="POST", body=b"x" * size))
            assert answer.status == status
        # Refused before the route is looked at, in both.
        assert bench.send(ADDRESS[engine], PORT, request("/no", method="POST", body=b"x" * 1001)).status == 413
        chunked = (
            request("/x", "www.example.com", "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n0\r\n\r\n"
        )
        assert bench.send(ADDRESS[engine], PORT, chunked).status == {"nginx": 200, "haproxy": 411}[engine]


def test_without_a_limit_large_bodies_pass(bench: Bench, engine: str) -> None:
    with pair(bench, [SITE]):
        body = b"x" * 3_000_000
        assert bench.send(ADDRESS[engine], PORT, request("/x", method="POST", body=body)).status == 200
        (seen,) = bench.seen()
        assert seen.body == body


def test_answers_without_a_server(bench: Bench, engine: str) -> None:
    statuses = [status for status in range(200, 600) if status not in (301, 302, 303, 307, 308, 444)]
    bodies = {status: "" if status in (204, 205, 304) else "some; {text}" for status in statuses}
    routes = [{"path": f"/{status}", "respond": {"status": status}} for status in statuses]
    routes += [
        {"path": f"/text/{status}", "respond": {"status": status, "body": body}} for status, body in bodies.items()
    ]
    with pair(bench, [site("shop", ("www.example.com",), *routes)]):
        for status, body in bodies.items():
            plain = bench.send(ADDRESS[engine], PORT, request(f"/{status}"))
            assert (plain.status, plain.body) == (status, b"")
            worded = bench.send(ADDRESS[engine], PORT, request(f"/text/{status}", method="POST", body=b"x"))
            assert (worded.status, worded.body) == (status, body.encode())
            if body:
                assert worded.header("content-type") == ["text/plain"]


def test_redirects(bench: Bench, engine: str) -> None:
    routes = [
        {"path": f"/{code}", "redirect": {"to": "/to%20{host}{uri}", "status": code}}
        for code in (301, 302, 303, 307, 308)
    ]
    with pair(bench, [site("shop", ("www.example.com",), *routes)]):
        for code in (301, 302, 303, 307, 308):
            answer = bench.send(ADDRESS[engine], PORT, request(f"/{code}/%41?x=%zz", "www.example.com:80"))
            assert (answer.status, answer.header("location")) == (code, [f"/to%20www.example.com/{code}/%41?x=%zz"])


def test_health(bench: Bench, engine: str) -> None:
    with pair(bench, [SITE]):
        answer = bench.send(ADDRESS[engine], 8080, request("/healthz", "localhost"))
        assert (answer.status, answer.body.strip()) == (200, b"ok")
        assert bench.send(ADDRESS[engine], 8080, request("/other", "localhost")).status == 404


def test_one_log_line_is_one_json_object(bench: Bench, engine: str) -> None:
    with pair(bench, [SITE]):
        start = len(_log(bench, engine))
        for target in ('/x"\\y', "/no?%22", "/%zz", "/\xe9"):
            bench.send(ADDRESS[engine], PORT, request(target))
        bench.send(ADDRESS[engine], PORT, request("/", 'evil"},{.test'))
        deadline = time.monotonic() + 60
        while len(_log(bench, engine)) < start + 5 and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)  # one that is too much would come now
        lines = [json.loads(line) for line in _log(bench, engine)[start:]]
    assert len(lines) == 5
    assert all(line.keys() >= LOG_KEYS for line in lines)
    # Two threads of HAProxy write: lines may change places.
    first = next(line for line in lines if line["uri"] == '/x"\\y')
    second = next(line for line in lines if line["uri"] == "/no?%22")
    assert (first["site"], first["route"], first["pool"], first["uri"]) == ("shop", "1", "p0", '/x"\\y')
    assert (first["status"], first["upstream_status"], first["listener"]) == (200, "200", "www:80")
    assert float(first["request_time"]) >= 0
    assert float(first["upstream_response_time"]) >= 0
    assert (second["route"], second["status"]) == ("0", 403)


def _log(bench: Bench, engine: str) -> list[str]:
    if engine == "nginx":
        return bench.namespace.read("/var/log/holdfast/nginx/access.log").splitlines()
    return [line for line in (bench.folder / "haproxy.out").read_text().splitlines() if line.startswith("{")]


def test_keep_alive_and_pipelines(bench: Bench, engine: str) -> None:
    data = request("/no").replace(b"Connection: close\r\n", b"") + request("/no/2")
    with pair(bench, [SITE]), bench.namespace.connect(ADDRESS[engine], PORT) as connection:
        connection.sendall(data)
        received = b""
        while more := connection.recv(65536):
            received += more
    assert received.count(b"HTTP/1.1 403") == 2


def test_an_upgrade_passes(bench: Bench, engine: str) -> None:
    with pair(bench, [SITE]):
        sent = b"GET /ws HTTP/1.1\r\nHost: www.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        sent += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        with bench.namespace.connect(ADDRESS[engine], PORT) as connection:
            connection.sendall(sent)
            assert parse(connection.recv(65536)).status == 200  # the server knows no websockets, and says so
        (seen,) = bench.seen()
        assert seen.header("upgrade") == ["websocket"]
        assert [value.lower() for value in seen.header("connection")] == ["upgrade"]


def test_checks_ask_what_was_written(bench: Bench, engine: str) -> None:
    if engine == "nginx":
        with pair(bench, [SITE], pools(check=Check(http="/up", every="100ms"))):
            time.sleep(0.3)
            nginx_asked = [seen for seen in bench.seen() if seen.header("connection") == []]
        assert not nginx_asked, "nginx asks nothing by itself; that is the agent's prober"
        return
    check = Check(http="/up?a=b&c=%20d;", host="check.test", every="100ms", timeout="1s", expect=(200, 204))
    with pair(bench, [SITE], pools(check=check)):
        time.sleep(0.5)
        asked = bench.seen()
        assert {(seen.line, *seen.header("host")) for seen in asked} == {("GET /up?a=b&c=%20d; HTTP/1.1", "check.test")}
        assert {seen.server for seen in asked} == {"p0-1", "p0-2", "p0-3"}
    with pair(bench, [SITE], pools(check=Check(http="/up", every="100ms"))):
        time.sleep(0.3)
        bench.seen()  # among them the last questions of the engine before
        time.sleep(0.5)
        hosts = {(seen.server, *seen.header("host")) for seen in bench.seen()}
        assert hosts == {(f"p0-{at}", f"127.0.100.{at}") for at in (1, 2, 3)}


def test_ipv6(bench: Bench, engine: str) -> None:
    by_source = site("shop", [], {"source": ["10.0.0.0/8", "fd00::/8"], "to": "p1"}, {"source": "::1/128", "to": "p2"})
    files = rendered(view(engine, [by_source], pools(), addresses=["::1"]))
    with bench.running(engine, files, "::1", PORT):
        for host in ("[::1]:8000", "[::1]", "anything.test"):
            answer = bench.send("::1", PORT, request("/", host))
            assert answer.told["pool"] == "p2"
            (seen,) = bench.seen()
            assert (seen.header("x-forwarded-for"), seen.header("host")) == (["::1"], [host])


TLS_SITES = (
    site("one", ("one.test", "www.one.test"), {"to": "p0"}, certificate="one"),
    site("two", ("two.test",), {"to": "p1", "sticky": {"cookie": "srv"}}, certificate="two"),
)


def _certificate(bench: Bench, folder: Path, name: str) -> None:
    names = f"subjectAltName=DNS:{name}.test,DNS:www.{name}.test"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}.test"]
    files = ["-keyout", str(folder / "k"), "-out", str(folder / "c"), "-addext", names]
    subprocess.run([*words, *files], check=True, capture_output=True, timeout=60)
    for source, suffix in (("c", "crt"), ("k", "key")):
        bench.namespace.put(f"/etc/holdfast/tls/{name}.{suffix}", (folder / source).read_text())


def _tls(bench: Bench, engine: str, name: str | None, data: bytes, newest: ssl.TLSVersion | None = None) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    if newest:
        context.minimum_version = context.maximum_version = newest
    received = b""
    plain = bench.namespace.connect(ADDRESS[engine], PORT)
    with context.wrap_socket(plain, server_hostname=name, suppress_ragged_eofs=True) as connection:
        connection.sendall(data)
        while more := connection.recv(65536):
            received += more
    return received


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")  # that it is refused is the point
def test_tls(bench: Bench, engine: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        _certificate(bench, tmp_path, name)
    with bench.running(engine, rendered(view(engine, TLS_SITES, pools(), tls=True)), ADDRESS[engine], PORT):
        assert parse(_tls(bench, engine, "one.test", request("/", "one.test"))).told["pool"] == "p0"
        assert bench.seen()[0].header("x-forwarded-proto") == ["https"]
        answer = parse(_tls(bench, engine, "two.test", request("/", "two.test")))
        assert answer.told["pool"] == "p1"
        assert answer.header("set-cookie")[0].endswith("; Secure")
        assert parse(_tls(bench, engine, "one.test", request("/", "two.test"))).told["pool"] == "p1"
        assert parse(_tls(bench, engine, "one.test", request("/", "evil.test"))).status == 404
        for name in ("evil.test", None):
            with pytest.raises(ssl.SSLError):
                _tls(bench, engine, name, request("/", "one.test"))
        with pytest.raises((ssl.SSLError, ConnectionError)):
            _tls(bench, engine, "one.test", request("/", "one.test"), ssl.TLSVersion.TLSv1_1)
        assert Outcome.of(bench.send(ADDRESS[engine], PORT, request("/", "one.test")), []).status == 4


def test_tls_with_a_site_for_every_other_host(bench: Bench, engine: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        _certificate(bench, tmp_path, name)
    rest = site("rest", (), {"to": "p2"}, certificate="two")
    sites = (TLS_SITES[0], rest)
    with bench.running(engine, rendered(view(engine, sites, pools(), tls=True)), ADDRESS[engine], PORT):
        assert parse(_tls(bench, engine, "one.test", request("/", "one.test"))).told["pool"] == "p0"
        for name in ("evil.test", None):
            assert parse(_tls(bench, engine, name, request("/", "evil.test"))).told["pool"] == "p2"
