"""In which words a plan tells of changes: those of the spec, never lines of a file."""

from __future__ import annotations

import pytest
from tests.golden.cases import GOLDEN, Case

from holdfast.bundle import Bundle
from holdfast.compile.compiler import compile_cluster
from holdfast.plan import Hazard, Plan, make_plan


def plan(case: str, *replacements: tuple[str, str]) -> Plan:
    """A golden case with parts of its spec replaced."""
    of = Case(GOLDEN / case)
    old = of.bundles()
    text = (of.folder / "cluster.yaml").read_text(encoding="utf-8")
    for before, after in replacements:
        assert before in text
        text = text.replace(before, after)
    return make_plan(old, compile_cluster(of.source(text)))


def sentences(found: Plan, node: str = "lb01", least: Hazard = Hazard.RELOAD) -> list[str]:
    planned = found.node(node)
    changes = planned.changes if planned else ()
    return [change.sentence for change in changes if change.hazard.rank >= least.rank]


@pytest.mark.parametrize(
    ("case", "old", "new", "expected"),
    [
        (
            "routes", "- {path: /upload, to: api}", "- {path: /new, to: app}\n      - {path: /upload, to: api}",
            ["site shop: route (path /new) to app added", "site shop (haproxy): route (path /new) to app added"],
        ),
        (
            "routes", "{user_agent: iphone, to: api}", "{user_agent: iphone, to: app}",
            ["site shop: route (user_agent iphone) to api → to app",
             "site shop (haproxy): route (user_agent iphone) to api → to app"],
        ),
        (
            "routes", "      - {path: /internal, respond: 403}\n", "",
            ["site shop: route (path /internal) return 403 removed",
             "site shop (haproxy): route (path /internal) http-request return status 403 removed"],
        ),
        (
            "pools", "tries: 2", "tries: 3",
            ["pool tried: tries 2 → 3", "pool tried (haproxy): further tries 1 → 2"],
        ),
        (
            "pools", "response_timeout: 90s", "response_timeout: 80s",
            ["pool tried: time to answer 90000ms → 80000ms", "pool tried (haproxy): time to answer 90000ms → 80000ms"],
        ),
        (
            "dual-master", "app: {servers: [web01:80]}", "app: {servers: [web01:80, web02:80]}",
            ["pool app: server 10.0.0.8:80 weight=1 max_fails=1 fail_timeout=10s added"],
        ),
        (
            "dual-master", "addresses: [10.0.0.4/24]", "addresses: [10.0.0.4/24, 10.0.0.44/24]",
            ["listener 10.0.0.44:80: nginx added",
             "site all on listener bbs-80: listen 10.0.0.44:80 default_server added",
             "group bbs: address 10.0.0.44 dev eth0 added"],
        ),
        (
            "dual-master", "vrid: 52\n    advertise_every: 100ms", "vrid: 52\n    advertise_every: 300ms",
            ["group bbs: seconds between adverts 0.1 → 0.3"],
        ),
        (
            "lvs-dr", "scheduler: wrr", "scheduler: wlc",
            ["virtual server shop: scheduler wrr → wlc", "virtual server shop.v6: scheduler wrr → wlc"],
        ),
        (
            "lvs-dr", "weight: 2,", "weight: 3,",
            ["virtual server shop, server web02-80: weight 2 → 3",
             "virtual server shop.v6, server web02-80: weight 2 → 3"],
        ),
    ],
)  # fmt: skip
def test_changes_are_told_in_words_of_the_spec(case: str, old: str, new: str, expected: list[str]) -> None:
    assert sorted(sentences(plan(case, (old, new)))) == sorted(expected)


def test_shares_are_told_as_shares() -> None:
    told = sentences(plan("splits", ("{stable: 95, canary: 5}}]}", "{stable: 90, canary: 10}}]}")))
    assert (
        "site drawn: route (everything else) 95% by $request_id to stable, the rest by $request_id to canary"
        " → 90% by $request_id to stable, the rest by $request_id to canary"
    ) in told


def test_a_check_of_a_group_is_told_once_however_it_is_written() -> None:
    found = plan("dual-master", ("- http: 127.0.0.1:8080/healthz", "- {http: '127.0.0.1:8080/healthz', fall: 4}"))
    assert sentences(found) == ["tracked script bbs_1_http: fall 2 → 4", "tracked script www_1_http: fall 2 → 4"]


def test_another_order_of_routes_is_said() -> None:
    """The first that matches wins, so the same routes in another order are another site."""
    first, second = "      - {path: /upload, to: api}\n", "      - {path: /only-below/, to: api}\n"
    found = plan("routes", (first + second, second + first))
    told = sentences(found)
    assert len(told) == 2
    assert told[0].startswith("site shop: order of the routes route (path /upload); route (path /only-below/)")
    assert "→ route (path /only-below/); route (path /upload)" in told[0]


def test_what_comes_or_goes_whole_is_told_once() -> None:
    """Not every statement of a new group, site or virtual server."""
    case = Case(GOLDEN / "dual-master")
    text = (case.folder / "cluster.yaml").read_text(encoding="utf-8")
    without = text.partition("  bbs:")[0] + "pools:" + text.partition("pools:")[2]
    without = without.replace("      - {on: 'bbs:80', sites: [all]}\n", "").replace("&serving", "")
    found = make_plan(changed_text(case, without), case.bundles())
    assert sorted(sentences(found)) == [
        "group bbs: added", "listener 10.0.0.4:80: nginx added", "site all on listener bbs-80: added",
    ]  # fmt: skip
    back = make_plan(case.bundles(), changed_text(case, without))
    assert "group bbs: nobody holds its addresses" in sentences(back, "lb02")


def changed_text(case: Case, text: str) -> dict[str, Bundle]:
    return compile_cluster(case.source(text))


def test_another_engine_is_told_by_what_it_takes_over() -> None:
    found = plan("dual-master", ("engine: nginx", "engine: haproxy"), ("process: nginx", "process: haproxy"))
    told = sentences(found, least=Hazard.DROPS_CONNECTIONS)
    assert told == [
        "nginx: stops", "listener 10.0.0.3:80: nginx → haproxy", "listener 10.0.0.4:80: nginx → haproxy",
        "listener 127.0.0.1:8080: nginx → haproxy",
    ]  # fmt: skip
    assert not any("route" in each for each in sentences(found, least=Hazard.LIVE)), "its routes mean the same"
