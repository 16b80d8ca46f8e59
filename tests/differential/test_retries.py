"""A server that fails: what the client gets, and how often each server was asked, in both engines."""

from __future__ import annotations

import time

import pytest
from tests.differential.l7_bench import Answer, Bench, request
from tests.differential.l7_pair import ENGINES, SERVERS, pair, pools
from tests.differential.l7_views import ADDRESS, PORT, server, site

from holdfast.spec.checks import Check

pytestmark = [pytest.mark.lab, pytest.mark.parametrize("engine", ENGINES)]

SITE = site("shop", ("www.example.com",), {"path": "/kept", "to": "p0", "sticky": "source"}, {"to": "p0"})
ALL = ("error", "timeout", "http_403", "http_404", "http_500", "http_502", "http_503", "http_504")


def ask(bench: Bench, engine: str, method: str = "GET", target: str = "/", times: int = 1) -> tuple[list[Answer], int]:
    """The answers, and how many requests reached servers."""
    bench.seen()
    answers = [
        bench.send(ADDRESS[engine], PORT, request(target, method=method, body=b"x" if method != "GET" else b""))
        for _ in range(times)
    ]
    return answers, len(bench.seen())


@pytest.mark.parametrize("mood", ["403", "404", "500", "502", "503", "504", "close", "hang"])
def test_idempotent_requests_go_to_another_server(bench: Bench, engine: str, mood: str) -> None:
    with pair(bench, [SITE], pools(2, retry_on=ALL, tries=2, response_timeout_ms=300)):
        bench.origins[0].mood = mood
        answers, reached = ask(bench, engine, times=4)
        assert [answer.status for answer in answers] == [200] * 4
        assert {answer.told["server"] for answer in answers} == {"p0-2"}
        assert reached > 4, "the failing server was never asked"


@pytest.mark.parametrize("method", ["POST", "PATCH", "LOCK"])
@pytest.mark.parametrize("mood", ["404", "502", "close", "hang"])
def test_other_methods_are_never_sent_twice(bench: Bench, engine: str, method: str, mood: str) -> None:
    with pair(bench, [SITE], pools(2, retry_on=ALL, tries=2, response_timeout_ms=300)):
        for origin in bench.origins[:2]:
            origin.mood = mood
        (answer,), reached = ask(bench, engine, method)
        assert answer.status == {"404": 404, "502": 502, "close": 502, "hang": 504}[mood]
        assert reached == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
def test_idempotent_methods_with_a_body_are_sent_again(bench: Bench, engine: str, method: str) -> None:
    with pair(bench, [SITE], pools(2, retry_on=ALL, tries=2)):
        bench.origins[0].mood = "502"
        answers, _ = ask(bench, engine, method, times=2)
        assert {answer.status for answer in answers} == {200}


def test_only_the_named_conditions_are_retried(bench: Bench, engine: str) -> None:
    with pair(bench, [SITE], pools(2, retry_on=("error", "http_404"), tries=2)):
        for origin in bench.origins[:2]:
            origin.mood = "503"
        (answer,), reached = ask(bench, engine)
        assert (answer.status, reached) == (503, 1)


def test_without_conditions_nothing_is_retried(bench: Bench, engine: str) -> None:
    with pair(bench, [SITE], pools(2, retry_on=(), tries=3)):
        for origin in bench.origins[:2]:
            origin.mood = "close"
        (answer,), reached = ask(bench, engine)
        assert (answer.status, reached) == (502, 1)


@pytest.mark.parametrize(("tries", "servers", "expected"), [(1, 3, 1), (2, 3, 2), (3, 3, 3), (5, 3, 3), (5, 1, 1)])
def test_tries_count_servers(bench: Bench, engine: str, tries: int, servers: int, expected: int) -> None:
    with pair(bench, [SITE], pools(servers, retry_on=ALL, tries=tries)):
        for origin in bench.origins[:3]:
            origin.mood = "404"  # which nginx never counts against a server
        (answer,), reached = ask(bench, engine)
        assert (answer.status, reached) == (404, expected), "the last server's own answer is passed on"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("target", ["/", "/kept"])
def test_a_refused_connection_is_tried_elsewhere_for_every_method(
    bench: Bench, engine: str, method: str, target: str
) -> None:
    dead = server("dead", "127.0.100.99")  # nobody listens there
    changed = tuple(
        pool if pool.name != "p0" else type(pool)(**{**vars(pool), "servers": (dead, SERVERS["p0"][0])})
        for pool in pools(2)
    )
    with pair(bench, [SITE], changed):
        answers, reached = ask(bench, engine, method, target, times=6)
        assert [answer.status for answer in answers] == [200] * 6
        assert reached == 6


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_silent_address_is_left_after_the_connect_timeout(bench: Bench, engine: str, method: str) -> None:
    silent = server("silent", "127.0.100.98")
    rules = "table inet silence { chain in { type filter hook input priority 0; ip daddr 127.0.100.98 drop; }; }"
    assert bench.namespace.run("nft", rules).returncode == 0
    changed = tuple(
        pool if pool.name != "p0" else type(pool)(**{**vars(pool), "servers": (silent, SERVERS["p0"][0])})
        for pool in pools(2, connect_timeout_ms=200)
    )
    with pair(bench, [site("shop", ["www.example.com"], {"to": "p0"})], changed):
        answers, reached = ask(bench, engine, method, times=3)
        assert [answer.status for answer in answers] == [200] * 3
        assert reached == 3
    assert bench.namespace.run("nft", "delete table inet silence").returncode == 0


@pytest.mark.parametrize("mood", ["404", "close", "hang"])
def test_a_client_kept_by_a_cookie_is_served_elsewhere_while_its_server_fails(
    bench: Bench, engine: str, mood: str
) -> None:
    kept_by_cookie = site("shop", ("www.example.com",), {"to": "p0", "sticky": {"cookie": "srv"}})
    with pair(bench, [kept_by_cookie], pools(3, retry_on=ALL, tries=3, response_timeout_ms=300)):
        first = bench.send(ADDRESS[engine], PORT, request("/"))
        cookie = first.header("set-cookie")[0].partition(";")[0]
        kept = next(origin for origin in bench.origins if origin.name == first.told["server"])
        kept.mood = mood
        for _ in range(3):
            answer = bench.send(ADDRESS[engine], PORT, request("/", "www.example.com", f"Cookie: {cookie}"))
            assert answer.status == 200
            assert answer.told["server"] != kept.name
        assert kept.seen, "the failing server was never asked"


def test_a_kept_client_is_served_elsewhere_while_its_server_fails(bench: Bench, engine: str) -> None:
    with pair(bench, [SITE], pools(3, retry_on=ALL, tries=2)):
        (answer,), _ = ask(bench, engine, target="/kept")
        kept = next(origin for origin in bench.origins if origin.name == answer.told["server"])
        kept.mood = "404"
        answers, _ = ask(bench, engine, target="/kept", times=5)
        assert {answer.status for answer in answers} == {200}
        assert kept.name not in {answer.told["server"] for answer in answers}
        kept.mood = "ok"
        answers, _ = ask(bench, engine, target="/kept", times=5)
        assert {answer.told["server"] for answer in answers} == {kept.name}


def test_backups_only_step_in(bench: Bench, engine: str) -> None:
    one, two, three = SERVERS["p0"]
    spare = (server(two.name, str(two.address), backup=True), server(three.name, str(three.address), backup=True))
    check = Check(http="/healthz", every="100ms", timeout="500ms", fall=1, rise=1)
    changed = tuple(
        pool if pool.name != "p0" else type(pool)(**{**vars(pool), "servers": (one, *spare), "check": check})
        for pool in pools(1, retry_on=ALL)
    )
    only = site("shop", ("www.example.com",), {"to": "p0"})
    with pair(bench, [only], changed):
        answers, _ = ask(bench, engine, times=6)
        assert {answer.told["server"] for answer in answers} == {"p0-1"}
        bench.origins[0].mood = "503"
        # HAProxy gives a backup nothing before the check has noticed; nginx tries it at once.
        until = time.monotonic() + 60
        while ask(bench, engine)[0][0].status != 200:
            assert time.monotonic() < until
        answers, _ = ask(bench, engine, times=30)
        assert {answer.status for answer in answers} == {200}
        assert {answer.told["server"] for answer in answers} == {"p0-2", "p0-3"}
