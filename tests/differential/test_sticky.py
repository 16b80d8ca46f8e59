"""Stickiness and splits: nobody is sent elsewhere, and the shares are what was asked for."""

from __future__ import annotations

from collections import Counter
from math import sqrt
from typing import Any

import pytest
from tests.differential.l7_bench import Answer, Bench, request
from tests.differential.l7_pair import ENGINES, pair, pools
from tests.differential.l7_views import ADDRESS, PORT, site

pytestmark = [pytest.mark.lab, pytest.mark.parametrize("engine", ENGINES)]

CLIENTS = 300
SPLIT = {"p0": 90, "p1": 10}


def ask(bench: Bench, engine: str, cookie: str = "", source: str = "") -> Answer:
    fields = [f"Cookie: theme=dark; {cookie}; x=1"] if cookie else []
    answer = bench.send(ADDRESS[engine], PORT, request("/", "www.example.com", *fields), source=source)
    assert answer.status == 200
    return answer


def given_cookie(answer: Answer) -> str:
    """`name=value` of the one Set-Cookie, whose attributes are checked."""
    (cookie,) = answer.header("set-cookie")
    value, *attributes = cookie.split("; ")
    assert [attribute.lower() for attribute in attributes] == ["path=/", "httponly", "samesite=lax"]
    return value


def within_chance(hits: int, of: int, percent: int) -> bool:
    """Within four standard deviations: once in 16,000 runs it lies outside by chance."""
    share = percent / 100
    return abs(hits - of * share) <= 4 * sqrt(of * share * (1 - share))


def routed(to: Any, sticky: Any = None) -> Any:
    return site("shop", ("www.example.com",), {"to": to} | ({"sticky": sticky} if sticky else {}))


def test_a_split_draws_each_request(bench: Bench, engine: str) -> None:
    with pair(bench, [routed(SPLIT)]):
        taken = Counter(ask(bench, engine).told["pool"] for _ in range(CLIENTS))
    assert within_chance(taken["p1"], CLIENTS, 10), taken


def test_a_cookie_keeps_variant_and_server(bench: Bench, engine: str) -> None:
    with pair(bench, [routed(SPLIT, {"cookie": "srv"})]):
        taken: Counter[str] = Counter()
        for _ in range(CLIENTS):
            first = ask(bench, engine)
            taken[first.told["pool"]] += 1
            again = ask(bench, engine, given_cookie(first))
            assert again.told["server"] == first.told["server"]
            assert not again.header("set-cookie"), "the cookie is only set where it was missing"
    assert within_chance(taken["p1"], CLIENTS, 10), taken


def test_a_cookie_keeps_the_variant_alone(bench: Bench, engine: str) -> None:
    with pair(bench, [routed({"p0": 50, "p1": 50}, {"cookie": "var", "keeps": ["variant"]})]):
        taken: Counter[str] = Counter()
        for _ in range(40):
            first = ask(bench, engine)
            taken[first.told["pool"]] += 1
            again = [ask(bench, engine, given_cookie(first)) for _ in range(4)]
            assert {answer.told["pool"] for answer in again} == {first.told["pool"]}
            assert len({answer.told["server"] for answer in again}) > 1, "servers take turns"
            assert not any(answer.header("set-cookie") for answer in again)
    assert within_chance(taken["p1"], 40, 50), taken


def test_the_source_keeps_variant_and_server(bench: Bench, engine: str) -> None:
    with pair(bench, [routed({"p0": 50, "p1": 50}, "source")]):
        servers: Counter[str] = Counter()
        pools_taken: Counter[str] = Counter()
        for client in range(150):
            source = f"127.1.{client}.{client + 1}"
            told = [ask(bench, engine, source=source).told for _ in range(3)]
            assert len({one["server"] for one in told}) == 1
            servers[told[0]["server"]] += 1
            pools_taken[told[0]["pool"]] += 1
    assert within_chance(pools_taken["p1"], 150, 50), pools_taken
    assert len(servers) == 6, servers


def test_balance_source_keeps_the_server(bench: Bench, engine: str) -> None:
    with pair(bench, [routed("p0")], pools(balance="source")):
        servers = {
            tuple({ask(bench, engine, source=f"127.1.1.{client}").told["server"] for _ in range(3)})
            for client in range(1, 40)
        }
    assert servers == {("p0-1",), ("p0-2",), ("p0-3",)}


def test_round_robin_takes_turns(bench: Bench, engine: str) -> None:
    with pair(bench, [routed("p0")]):
        # Workers and threads take turns together (`zone`); neither may skip a server for long.
        taken = Counter(ask(bench, engine).told["server"] for _ in range(60))
    assert taken == {"p0-1": 20, "p0-2": 20, "p0-3": 20}


@pytest.mark.parametrize(
    "cookie", ["srv=", "srv=nonsense", "srv=p9.x", "srv=p1.none", "SRV=p1.p1-1", "srv=" + "x" * 3000]
)
def test_a_cookie_that_means_nothing_is_no_harm(bench: Bench, engine: str, cookie: str) -> None:
    with pair(bench, [routed(SPLIT, {"cookie": "srv"})]):
        assert ask(bench, engine, cookie).told["pool"] in SPLIT
