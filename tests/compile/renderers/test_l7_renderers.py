"""nginx.conf and haproxy.cfg: what is refused by name, what is escaped, and that the real programs take the rest."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from tests.differential.l7_bench import Namespace
from tests.differential.l7_views import pool, server, site, view

from holdfast.agent import haproxy_state
from holdfast.agent.admission import haproxy as haproxy_admission
from holdfast.agent.admission import nginx as nginx_admission
from holdfast.bundle import CONFIG_DIR, HAPROXY_STATE, OWNERSHIP_LINE
from holdfast.compile.node_view import HealthView, NodeView
from holdfast.compile.renderers import haproxy, nginx
from holdfast.spec.checks import Check

ENGINES = ("nginx", "haproxy")
RENDER = {"nginx": nginx.render, "haproxy": haproxy.render}
ADMISSION = {"nginx": nginx_admission.check, "haproxy": haproxy_admission.check}

WEB = pool("web", [server("web01-80", "10.0.0.7", 80), server("web02-80", "fd00::8", 80, weight=256)])
API = pool("api", [server("api01-80", "10.0.0.9", 80, max_connections=100)], balance="least_connections", retry_on=())
ALL_ROUTES: tuple[dict[str, Any], ...] = (
    {"path": "/upload", "method": ["GET", "PUT"], "to": "web"},
    {"path": "/x.y(z)/+*^$|é~", "path_regex": r"^/x\.(y|z){1,2}#;%$", "to": "api"},
    {"user_agent": ["iPhone", "a b", "$host", "%[src]", "{};#", "-i"], "to": "web", "sticky": "source"},
    {"header": {"X-A": "1; 2", "X-B": {"regex": "^$|[;{]"}, "Accept": {"present": False}}, "to": "web"},
    {"cookie": {"a-b": {"contains": "$x"}, "c": {"present": True}}, "source": ["10.0.0.0/8", "::/0"], "to": "web"},
    {"path": "/split", "to": {"web": 99, "api": 1}},
    {"path": "/kept", "to": {"web": 0, "api": 40, "web2": 60}, "sticky": {"cookie": "srv"}},
    {"path": "/variant", "to": {"web": 50, "api": 50}, "sticky": {"cookie": "v", "keeps": ["variant"]}},
    {"path": "/by-source", "to": {"web": 50, "api": 50}, "sticky": "source"},
    {"path": "/old", "redirect": {"to": "https://{host}/n%20w{uri}&x=1", "status": 308}},
    {"path": "/gone", "respond": {"status": 410, "body": "gone; {really}, # and | ~ `all` of it"}},
    {"path": "/empty", "respond": 204},
    {"header": {f"X-{at}": "1" for at in range(40)}, "to": "web"},
)


def everything(engine: str, **fields: Any) -> NodeView:
    """A view with something of everything."""
    sites = [
        site("shop", ["www.example.com", "*.example.com"], *ALL_ROUTES, certificate="shop"),
        site("rest", [], {"to": "api"}, certificate="rest.2"),
        site(
            "long",
            [f"{'a' * 60}.{'b' * 60}.{'c' * 60}.h{at}.test" for at in range(200)],
            {"to": "web"},
            certificate="l",
        ),
    ]
    check = Check(http="/up?x=%20", host="web.test", expect=(200, 204), port=81)
    pools = [WEB, API, pool("web2", WEB.servers, check=check, balance="source")]
    return view(engine, sites, pools, ["10.255.0.3", "fd00:ffff::3"], **fields)


def content(written: NodeView) -> str:
    rendering = RENDER[written.proxies[0].engine](written)
    assert not rendering.refusals
    for file in rendering.files:
        assert OWNERSHIP_LINE in file.content.splitlines()[0]
    return rendering.files[0].content


def refused(engine: str, *routes: dict[str, Any], pools: Any = (WEB,), **fields: Any) -> list[str]:
    rendering = RENDER[engine](view(engine, [site("shop", ["a.test"], *routes)], pools, **fields))
    assert not rendering.files, "nothing is written next to a refusal"
    assert all(refusal.message and refusal.hint for refusal in rendering.refusals)
    return [refusal.field for refusal in rendering.refusals]


def test_nothing_for_the_other_engine() -> None:
    for engine, render in RENDER.items():
        other = next(name for name in ENGINES if name != engine)
        assert render(everything(other)).files == ()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "fields", [{}, {"tls": True, "forwarded": "append", "max_body_bytes": 10}, {"forwarded": "keep"}]
)
def test_the_agent_admits_it(engine: str, fields: dict[str, Any]) -> None:
    file, *_ = RENDER[engine](everything(engine, **fields)).files
    assert ADMISSION[engine](file) == []


@pytest.mark.whole
@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_bytes_whatever_the_hash_seed(engine: str) -> None:
    program = (
        "import hashlib\n"
        "from tests.compile.renderers.test_l7_renderers import content, everything\n"
        f"print(hashlib.sha256(content(everything({engine!r})).encode()).hexdigest())"
    )
    root = Path(__file__).parents[3]
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stdout.strip() == hashlib.sha256(content(everything(engine)).encode()).hexdigest()


@pytest.mark.parametrize("engine", ENGINES)
def test_what_both_refuse(engine: str) -> None:
    by_forwarded = {"header": {"X-Forwarded-For": "10.0.0.1"}, "to": "web"}
    assert refused(engine, by_forwarded) == ["sites.shop.routes[0].header"]
    too_many = {"header": {f"X-{at}": "1" for at in range(41)}, "to": "web"}
    assert refused(engine, too_many) == ["sites.shop.routes[0]"]
    assert refused(engine, {"to": "web"}, tls=True) == ["sites.shop.certificate"]
    twice = view(engine, [site("a", ["x.test"], {"to": "web"}), site("b", ["x.test"], {"to": "web"})], [WEB])
    assert [refusal.field for refusal in RENDER[engine](twice).refusals] == ["proxies.edge.listeners"]
    strays = view(engine, [site("a", [], {"to": "web"}), site("b", [], {"to": "web"})], [WEB])
    assert [refusal.field for refusal in RENDER[engine](strays).refusals] == ["proxies.edge.listeners"]


@pytest.mark.parametrize("engine", ENGINES)
def test_one_socket_for_two_is_refused(engine: str) -> None:
    first = view(engine, [site("a", [], {"to": "web"})], [WEB], ["10.0.0.3"], port=80)
    again = replace(first.proxies[0], name="other")
    rendering = RENDER[engine](replace(first, proxies=(first.proxies[0], again)))
    assert [refusal.field for refusal in rendering.refusals] == ["proxies.other.listeners"]
    elsewhere = replace(again, listeners=(replace(again.listeners[0], port=81),))
    assert RENDER[engine](replace(first, proxies=(first.proxies[0], elsewhere))).files
    health = HealthView(ip_address("10.0.0.3"), 80, "/healthz")
    rendering = RENDER[engine](replace(first, proxies=(replace(first.proxies[0], health=health),)))
    assert [refusal.field for refusal in rendering.refusals] == ["proxies.edge.health"]


def test_what_nginx_refuses() -> None:
    spare = pool("web", [*WEB.servers, server("web03-80", "10.0.0.10", backup=True)], check=Check(tcp=True))
    kept = {"to": "web", "sticky": {"cookie": "srv"}}
    assert refused("nginx", kept, pools=[spare]) == ["pools.web.servers[2].backup"]
    assert refused("nginx", {"to": "web", "sticky": "source"}, pools=[spare]) == ["pools.web.servers[2].backup"]
    by_source = pool("web", spare.servers, balance="source", check=spare.check)
    assert refused("nginx", {"to": "web"}, pools=[by_source]) == ["pools.web.servers[2].backup"]
    taken = nginx.render(view("nginx", [site("s", [], {"to": "web"})], [spare])).files
    assert any(" backup;" in file.content for file in taken)
    assert content(view("haproxy", [site("s", [], kept)], [spare]))


def test_what_haproxy_refuses() -> None:
    too_much = pool("web", WEB.servers, retry_on=("error", "http_429"))
    assert refused("haproxy", {"to": "web"}, pools=[too_much]) == ["pools.web.retry_on[1]"]
    assert "http_429" in content(view("nginx", [site("s", [], {"to": "web"})], [too_much]))
    spare = pool("web", [*WEB.servers, server("web03-80", "10.0.0.10", backup=True)])
    assert refused("haproxy", {"to": "web"}, pools=[spare]) == ["pools.web.servers[2].backup"]
    hostless = pool("web", WEB.servers, check=Check(http="/"))
    assert refused("haproxy", {"to": "web"}, pools=[hostless]) == ["pools.web.check.host"]


def test_what_the_first_setup_was_written_for() -> None:
    """proxy_next_upstream with 404, 502 and 403, and the client's address in X-Forwarded-For."""
    web = pool("web", WEB.servers, retry_on=("error", "timeout", "http_404", "http_502", "http_403"))
    written = content(view("nginx", [site("s", ["a.test"], {"to": "web"})], [web]))
    assert "proxy_next_upstream error invalid_header timeout http_404 http_502 http_403;" in written
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in written


@pytest.mark.parametrize("engine", ENGINES)
def test_routes_behind_one_that_takes_everything_are_left_out(engine: str) -> None:
    written = content(
        view(engine, [site("s", ["a.test"], {"path": "/", "to": "web"}, {"path": "/x", "to": "api"})], [WEB, API])
    )
    assert "10.0.0.9" not in written


@pytest.mark.parametrize("engine", ENGINES)
def test_equal_conditions_are_looked_at_once(engine: str) -> None:
    same = {"path": "/x", "to": "web"}
    written = content(view(engine, [site("a", ["a.test"], same), site("b", ["b.test"], same)], [WEB]))
    assert written.count("/x(?:" if engine == "nginx" else "'/x/'") == 1


FILTERS: list[tuple[Callable[[object], str], str]] = [
    (nginx.quoted, "a\nb"),
    (nginx.quoted, "a\x00b"),
    (nginx.literal, "a$b"),
    (nginx.expanded, "$(x)"),
    (nginx.expanded, "a$"),
    (nginx.name, "a b"),
    (nginx.name, "a;"),
    (nginx.comment, "a\nb"),
    (haproxy.quoted, "a\nb"),
    (haproxy.inner, "a'b"),
    (haproxy.inner, 'a"b'),
    (haproxy.name, "a b"),
    (haproxy.name_path, "relative"),
    (haproxy.comment, "a\rb"),
]


@pytest.mark.parametrize(("escape", "value"), FILTERS)
def test_what_cannot_be_written_safely_raises(escape: Callable[[object], str], value: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        escape(value)


def test_what_can_be_written_is_escaped() -> None:
    assert nginx.quoted(r'a"b\c;{}#') == r'"a\"b\\c;{}#"'
    assert nginx.expanded("${host}$uri") == '"${host}$uri"'
    assert haproxy.quoted("a b'c") == "'a b'\"'\"'c'"
    assert haproxy.format_literal("100%[x]") == "'100%%[x]'"
    assert haproxy.location("https://{host}/50%{uri}") == "'https://%[var(txn.host)]/50%%%[var(txn.raw)]'"


@pytest.fixture(scope="module")
def namespace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    if os.geteuid() != 0:
        pytest.skip("a network namespace needs root")
    if missing := [program for program in (*ENGINES, "openssl", "nsenter") if not shutil.which(program)]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("certificate")
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=www.example.com"]
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "crt")]
    subprocess.run([*words, *files], check=True, capture_output=True, timeout=60)
    with Namespace() as made:
        for name in ("shop", "rest.2", "l"):
            for suffix in ("key", "crt"):
                made.put(f"/etc/holdfast/tls/{name}.{suffix}", (folder / suffix).read_text())
        yield made


@pytest.mark.lab
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fields", [{}, {"tls": True, "forwarded": "append", "max_body_bytes": 10}, {"health": None}])
def test_the_program_takes_it_without_a_word(namespace: Namespace, engine: str, fields: dict[str, Any]) -> None:
    # From a folder of another name, as a staged configuration is validated, and with addresses that no interface has.
    folder, staged = f"{CONFIG_DIR}/{engine}", f"/run/holdfast/{engine}/staged"
    files = RENDER[engine](everything(engine, **fields)).files
    for file in files:
        namespace.put(file.path.replace(folder, staged), file.content)
    namespace.put(HAPROXY_STATE, haproxy_state.written(()))  # as the agent makes it before the first start
    staged = files[0].path.replace(folder, staged)
    words = {"nginx": ["nginx", "-e", "stderr", "-t", "-c", staged], "haproxy": ["haproxy", "-c", "-f", staged]}
    done = namespace.run(*words[engine])
    assert done.returncode == 0, done.stderr
    assert not [line for line in (done.stdout + done.stderr).splitlines() if "warn" in line.lower()]
