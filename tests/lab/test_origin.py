"""The web server of the lab's servers: its answers, its limits, and that no client brings it down."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.lab import origin
from holdfast.lab.backend import BOOTSTRAP


def request(target: str, method: str = "GET", headers: str = "") -> origin.Request:
    return origin.parse_head(f"{method} {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())


def test_an_answer_says_who_and_what() -> None:
    answer = origin.decide(request("/a/b?x=1"), "web03:80", origin.Behaviour())
    assert answer == origin.Answer(200, b"web03:80\nGET /a/b\n")
    assert b"X-Origin: web03:80\r\n" in origin.render_head(answer, "web03:80", keep=True)


def test_the_query_controls_the_answer() -> None:
    answer = origin.decide(request("/?delay=2.5&status=404&bytes=100000&drip=3"), "w", origin.Behaviour(delay=1.0))
    assert (answer.status, len(answer.body), answer.delay, answer.drip) == (404, 100_000, 3.5, 3.0)


def test_only_the_health_check_is_unhealthy() -> None:
    sick = origin.Behaviour(healthy=False)
    assert origin.decide(request("/healthz"), "w", sick).status == 503
    assert origin.decide(request("/"), "w", sick).status == 200
    assert origin.decide(request("/healthz"), "w", origin.Behaviour()).status == 200


@pytest.mark.parametrize("query", ["delay=-1", "delay=nan", "delay=1e9", "status=abc", "status=99", "bytes=1e18"])
def test_senseless_queries_are_refused(query: str) -> None:
    with pytest.raises(origin.BadRequestError):
        origin.decide(request(f"/?{query}"), "w", origin.Behaviour())


@pytest.mark.parametrize(
    "head", [b"\r\n\r\n", b"GET /\r\n\r\n", b"GET / FTP/1\r\n\r\n", b"GET / HTTP/1.1\r\nx\r\n\r\n"]
)
def test_heads_that_are_none_are_refused(head: bytes) -> None:
    with pytest.raises(origin.BadRequestError):
        origin.parse_head(head)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path, Path]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("origin")
    control, log = folder / "c", folder / "log"
    sources = str(Path(origin.__file__).parents[2])
    argv = [sys.executable, "-I", "-S", "-c", BOOTSTRAP, sources, "--name", "web03"]
    with log.open("wb") as output:
        child = subprocess.Popen([*argv, "--listen", str(port), "--control", str(control)], stderr=output)
    deadline = time.monotonic() + 60
    while not control.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    yield port, control, log
    child.terminate()
    assert child.wait(60) == 0


def order(control: Path, text: str) -> dict[str, object]:
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(60)
        channel.connect(str(control))
        channel.sendall(text.encode() + b"\n")
        reply: dict[str, object] = json.loads(channel.recv(4096))
    return reply


def test_one_connection_serves_many_requests_of_all_kinds(server: tuple[int, Path, Path]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server[0], timeout=60)
    for method, body, headers in (
        ("GET", None, {}),
        ("POST", b"x" * 300_000, {}),
        ("POST", iter([b"ab", b"cd"]), {"Transfer-Encoding": "chunked"}),
        ("HEAD", None, {}),
    ):
        connection.request(method, "/p?bytes=70000", body=body, headers=headers, encode_chunked=True)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 200
        assert answer.headers["X-Origin"] == f"web03:{server[0]}"
        assert len(text) == (0 if method == "HEAD" else 70_000)
    connection.close()


def test_a_slow_answer_comes_in_pieces(server: tuple[int, Path, Path]) -> None:
    with socket.create_connection(("127.0.0.1", server[0]), 60) as client:
        client.sendall(b"GET /?drip=0.5&bytes=1000 HTTP/1.0\r\n\r\n")
        begin, pieces = time.monotonic(), 0
        while client.recv(65536):
            pieces += 1
    assert pieces >= 5
    assert time.monotonic() - begin >= 0.45


def test_it_can_be_told_to_be_slow_and_unhealthy(server: tuple[int, Path, Path]) -> None:
    port, control, _ = server
    assert order(control, '{"delay": 0.3, "healthy": false}') == {"delay": 0.3, "healthy": False}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    begin = time.monotonic()
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 503
    assert time.monotonic() - begin >= 0.3
    assert order(control, '{"delay": 0, "healthy": true}') == {"delay": 0.0, "healthy": True}
    assert "error" in order(control, "nonsense")
    assert "error" in order(control, "[1]")


def test_broken_clients_are_answered_or_dropped_and_nothing_is_written(server: tuple[int, Path, Path]) -> None:
    port, _, log = server
    for sent, status in (
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
    ):
        with socket.create_connection(("127.0.0.1", port), 60) as client:
            client.sendall(sent)
            assert client.recv(4096).split()[1] == status
    for sent in (
        b"",
        b"GET / HT",
        b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc",
        b"GET /?bytes=9000000 HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port), 60) as client:
            client.sendall(sent)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, not a goodbye
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/still")
    assert connection.getresponse().status == 200
    assert log.read_text() == ""
