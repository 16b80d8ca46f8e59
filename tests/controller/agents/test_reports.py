"""What is written down of agents' reports: what fits, and the events that they tell of."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.controller.operations.world import Clock
from tests.controller.world import FREE, running

from holdfast.controller.agents.reports import LARGEST_REPORT, fitting, take_report
from holdfast.controller.identity import NodeAgent
from holdfast.controller.serving import Options
from holdfast.controller.settings import Rate
from holdfast.protocol import (
    AgentReport,
    Drift,
    DriftKind,
    GroupFacts,
    LogLine,
    NodeStatus,
    OverrideKind,
    OverrideReport,
    PoolFacts,
    ServerFacts,
    WeighedServer,
    WhyDown,
)
from holdfast.store.memory import MemoryEngine
from holdfast.store.models import ClusterRecord, RevisionContent
from holdfast.store.revisions import Draft
from holdfast.store.store import Store

JSON = {"content-type": "application/json"}
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LB01 = NodeAgent("shop", "lb01", "1", NOW, NOW + timedelta(days=30))


def _report(*groups: GroupFacts, status: bool = True) -> AgentReport:
    return AgentReport(node="lb01", time=NOW, status=NodeStatus(groups=groups) if status else None)


def test_a_group_that_changes_hands_is_an_event_of_its_node() -> None:
    async def story() -> list[tuple[str, str]]:
        store = await Store.open(MemoryEngine())
        await store.clusters.create("shop", ClusterRecord(name="shop", created=NOW))
        standby, holder = (GroupFacts(group="www", vrid=51, holds=holds) for holds in (False, True))
        held_back = GroupFacts(group="www", vrid=51, holds=False, hold=-254)
        for report in (
            _report(standby), _report(holder), _report(holder), _report(status=False), _report(holder),
            _report(held_back), _report(standby),
        ):  # fmt: skip
            await take_report(store, LB01, report)
        return [(one.record.kind, one.record.message) for one in await store.events.oldest()]

    assert asyncio.run(story()) == [
        ("vrrp.holds", "lb01 holds www"),  # a report without a status, of an agent that starts, changes nothing
        ("vrrp.left", "lb01 gave www up on purpose"),
    ]


def test_once_a_controllers_clock_was_put_back_reports_are_of_now_again() -> None:
    """It was an hour ahead. Else the node would seem silent, or in the future, for the whole hour."""

    async def story() -> None:
        clock = Clock()
        store = await Store.open(MemoryEngine(clock), clock)
        await store.clusters.create("shop", ClusterRecord(name="shop", created=NOW))
        reports = store.cluster("shop").reports
        for ahead, dated in ((3600, 3600), (0, 0), (2, 2), (1, 2)):  # a second apart: another controller's clock
            clock.wall = NOW + timedelta(seconds=ahead)
            await take_report(store, LB01, _report())
            found = await reports.get("lb01")
            assert found is not None
            assert (found.record.time - NOW) // timedelta(seconds=1) == dated

    asyncio.run(story())


def test_what_an_agent_puts_right_by_itself_is_told_once_and_as_that() -> None:
    stands = Drift(kind=DriftKind.FILE, what="/etc/holdfast/nginx/nginx.conf", since=NOW)
    mended = stands.model_copy(update={"corrected": True})

    async def story() -> list[str]:
        store = await Store.open(MemoryEngine())
        await store.clusters.create("shop", ClusterRecord(name="shop", created=NOW))
        for drift in ((stands,), (mended,), (mended,), (), (mended,), (stands,), ()):
            await take_report(store, LB01, _report().model_copy(update={"drift": drift}))
        return [one.record.message.removeprefix("lb01: file /etc/holdfast/nginx/nginx.conf ") for one in
                await store.events.oldest()]  # fmt: skip

    assert asyncio.run(story()) == [
        "differs from what was applied", "was put right, as the node's policy says",
        "was put right, as the node's policy says", "differs from what was applied", "is as it was applied again",
    ]  # fmt: skip


def _drifting(number: int) -> AgentReport:
    """A report with forty differences that none before had."""
    drift = [Drift(kind=DriftKind.FILE, what=f"/etc/holdfast/nginx/{number}-{n}", since=NOW) for n in range(40)]
    return _report().model_copy(update={"drift": tuple(drift)})


def test_a_node_that_tells_too_much_pushes_out_little_of_what_others_told(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever has broken into one balancer must not be able to make events of all clusters disappear."""
    limits = replace(FREE, node_events=Rate(0.000_001, 100))

    def change(options: Options) -> Options:
        return replace(options, settings=replace(options.settings, limits=limits))

    async def story() -> list[str]:
        async with running(change=change) as world:
            admin = await world.admin()
            lb01, lb02 = await world.joined(admin, "lb01"), await world.joined(admin, "lb02")
            for number in range(12):
                body = _drifting(number).model_dump_json()
                answer = await lb01.client.post("/agent/v1/reports", content=body, headers=JSON)
                assert answer.status_code == 204, answer.text
            other = _drifting(0).model_copy(update={"node": "lb02"}).model_dump_json()
            assert (await lb02.client.post("/agent/v1/reports", content=other, headers=JSON)).status_code == 204
            return [one.record.node or "" for one in await world.store.events.oldest(limit=1000)]

    told = asyncio.run(story())
    assert told.count("lb01") == 1 + 100
    assert told.count("lb02") == 1 + 40
    assert any("node:shop/lb01 tells too much" in one for one in caplog.messages)


def test_however_much_a_node_tells_the_log_of_events_stays_bounded() -> None:
    async def story() -> int:
        store = await Store.open(MemoryEngine())
        await store.clusters.create("shop", ClusterRecord(name="shop", created=NOW))
        store.events.keep = 100
        for number in range(20):
            await take_report(store, LB01, _drifting(number))
        numbers = await store.events.numbers()
        return numbers.last - numbers.first + 1

    assert asyncio.run(story()) <= 100


def _events(*reports: AgentReport, spec: str = "") -> list[tuple[str, str]]:
    async def story() -> list[tuple[str, str]]:
        store = await Store.open(MemoryEngine())
        await store.clusters.create("shop", ClusterRecord(name="shop", created=NOW))
        if spec:
            content = RevisionContent(spec=spec)
            await store.cluster("shop").add_revision(Draft(base=0, author="ada", message="", time=NOW, content=content))
        for report in reports:
            await take_report(store, LB01, report)
        return [(one.record.kind, one.record.message) for one in await store.events.oldest()]

    return asyncio.run(story())


def _pool(*up: bool | None) -> PoolFacts:
    """None: not asked yet, and taken for up until then."""
    each = [(f"app{n}-80", one is not False, "" if one is None else "200") for n, one in enumerate(up, 1)]
    servers = tuple(ServerFacts(name=name, endpoint=name, up=well, in_use=True, last=last) for name, well, last in each)
    return PoolFacts(pool="web", min_servers=0, servers=servers)


def _pools(*pools: PoolFacts) -> AgentReport:
    return AgentReport(node="lb01", time=NOW, status=NodeStatus(pools=pools))


def test_servers_of_pools_that_go_down_and_come_back_are_events() -> None:
    down, back = "lb01 sees servers of pool web down: ", "lb01 sees servers of pool web up again: "
    unasked, well = _pools(_pool(None, None)), _pools(_pool(True, True))
    one_down, both_down = _pools(_pool(True, False)), _pools(_pool(False, False))
    assert _events(unasked, well, well) == []  # nothing was down
    assert _events(_pools(_pool(False, True))) == []  # as it was found: nobody knows since when
    assert _events(well, both_down, both_down, one_down, well) == [
        ("server.down", f"{down}app1-80, app2-80"),
        ("server.up", f"{back}app1-80"),
        ("server.up", f"{back}app2-80"),
    ]
    # HAProxy begins anew and takes what was down for up, until it has asked.
    assert _events(one_down, unasked, one_down) == [("server.down", f"{down}app2-80")]
    # An agent that starts, or a proxy that does not run: nothing is known, so nothing has changed.
    assert _events(well, _report(status=False), _pools(_pool(False, True))) == []
    assert _events(well, _report()) == []
    # What it finds up then has come back, however often it has said meanwhile that it has not asked.
    for meanwhile in ((unasked,), (unasked, unasked, unasked)):
        assert _events(well, one_down, *meanwhile, well, well) == [
            ("server.down", f"{down}app2-80"), ("server.up", f"{back}app2-80"),
        ]  # fmt: skip
    assert _events(well, unasked, well) == []
    # Two proxies of one node: the one that sees it down is believed.
    assert _events(well, _pools(_pool(True, True), _pool(False, True)), well) == [
        ("server.down", f"{down}app1-80"), ("server.up", f"{back}app1-80"),
    ]  # fmt: skip
    many = _pools(_pool(*[True] * 300)), _pools(_pool(*[False] * 300))
    assert [message for _, message in _events(*many)] == [
        f"{down}{', '.join(f'app{n}-80' for n in range(1, 9))} …"
    ]  # fmt: skip


def test_names_of_any_length_make_an_event_that_the_store_takes() -> None:
    """An agent names its pools and servers, and its report must not end in an error for that."""

    def seen(up: bool) -> AgentReport:
        pool = _pool(*[up] * 100)
        servers = tuple(one.model_copy(update={"name": one.name + "s" * 300}) for one in pool.servers)
        return _pools(pool.model_copy(update={"pool": "w" * 5_000, "servers": servers}))

    ((kind, message),) = _events(seen(True), seen(False))
    assert kind == "server.down"
    assert message.startswith("lb01 sees servers of pool www")


def test_real_servers_that_leave_the_table_and_come_back_are_events_unless_somebody_took_them_out() -> None:
    def seen(weight: int | None, kind: OverrideKind | None = None) -> AgentReport:
        row = WeighedServer(
            virtual_server="web", source="web", server="rs01:80", kind=kind, wanted=100, weight=weight, as_wanted=True
        )
        several = (row, *(row.model_copy(update={"server": f"rs{n}:80"}) for n in range(250)))  # kept short
        return _report().model_copy(update={"overrides": OverrideReport(node="lb01", done=True, servers=several)})

    assert _events(seen(100), seen(None, OverrideKind.SUSPENDED), seen(100)) == []
    (down, up) = _events(seen(100), seen(None), seen(100))
    assert (down[0], up[0]) == ("server.down", "server.up")
    assert down[1].startswith("lb01 sees servers of virtual server web down: rs01:80, rs0:80")


def test_of_a_report_that_is_too_large_the_log_goes_first() -> None:
    log = tuple(LogLine(time=NOW, level="info", text="x" * 300) for _ in range(40))
    drift = tuple(
        Drift(kind=DriftKind.FILE, what=f"/etc/holdfast/{number}", detail="d" * 999, diff="+" * 20_000, since=NOW)
        for number in range(5)
    )
    kept = AgentReport.model_validate_json(fitting(_report().model_copy(update={"log": log})))
    assert kept.log == log
    kept = AgentReport.model_validate_json(fitting(_report().model_copy(update={"log": log, "drift": drift[:4]})))
    assert (kept.log, kept.drift) == ((), drift[:4])
    text = fitting(_report().model_copy(update={"log": log, "drift": drift}))
    assert len(text) <= LARGEST_REPORT
    assert all(len(each.diff) < 2100 for each in AgentReport.model_validate_json(text).drift)


def test_how_two_thousand_servers_are_is_kept_and_reads_as_it_was_said() -> None:
    """A director may have so many; without their rows nobody would know how any of them is."""
    rows = tuple(
        WeighedServer(
            virtual_server=f"web-{number // 10}", source=f"web-{number // 10}", server=f"10.0.{number // 250}.9-80",
            wanted=1, weight=None if number % 50 == 0 else 1, holds=number % 2 == 0, active=number, inactive=0, per_s=3,
            why=WhyDown(said="TCP_CHECK failed", answer="connection refused") if number % 50 == 0 else None,
        )
        for number in range(2000)
    )  # fmt: skip
    said = AgentReport(
        node="lb01", time=datetime.now(UTC), overrides=OverrideReport(node="lb01", done=True, servers=rows)
    )
    text = fitting(said)
    assert len(text) <= LARGEST_REPORT
    assert AgentReport.model_validate_json(text) == said


def test_the_rows_of_a_large_director_are_kept_once_and_not_in_the_history() -> None:
    """While it empties, a report of 390,000 characters comes every two seconds."""
    rows = tuple(
        WeighedServer(
            virtual_server=f"vs{n}", source="web", server=f"web{n}:80", wanted=1, weight=1, holds=True, active=n,
            inactive=0, per_s=3,
        )
        for n in range(500)
    )  # fmt: skip
    report = AgentReport(node="lb01", time=NOW, overrides=OverrideReport(node="lb01", done=False, servers=rows))

    async def story() -> None:
        store = await Store.open(MemoryEngine())
        await store.clusters.create("shop", ClusterRecord(name="shop", created=NOW))
        await take_report(store, LB01, report)
        kept = store.cluster("shop")
        latest = await kept.reports.get("lb01")
        assert latest is not None
        assert AgentReport.model_validate_json(latest.record.content).overrides == report.overrides
        (past,) = await kept.report_history("lb01").newest(limit=10)
        assert past.record.time == latest.record.time
        assert "web499:80" not in past.record.content
        assert not AgentReport.model_validate_json(past.record.content).overrides.done

    asyncio.run(story())


SPEC = """\
holdfast: 1
cluster: shop
networks: {front: {cidr: 10.0.0.0/24}}
nodes: {lb01: 10.0.0.5, lb02: 10.0.0.6, rs-1: 10.0.0.7}
vrrp:
  www: {addresses: [10.0.0.3/24], nodes: [lb01, lb02]}
pools:
  web: {servers: ['rs-1:80', '10.0.0.8:80']}
virtual_servers:
  shop: {on: 'www:443', forward: nat, servers: [rs-1, '10.0.0.8:443']}
sites: {shop: {hosts: [www.example.com], routes: [{to: web}]}}
proxies: {edge: {engine: nginx, nodes: [lb01, lb02], listeners: [{on: 'www:80', sites: [shop]}]}}
"""


def test_events_name_servers_as_the_spec_writes_them() -> None:
    def seen(up: bool) -> AgentReport:
        names = ("rs-1-80", "10-0-0-8-80", "gone-80")
        servers = tuple(ServerFacts(name=one, endpoint=one, up=up, in_use=True, last="200") for one in names)
        weight = 1 if up else None
        rows = tuple(
            WeighedServer(virtual_server="x", source="shop", server=one, wanted=1, weight=weight)
            for one in ("rs-1", "10.0.0.8-443")
        )
        told = _pools(PoolFacts(pool="web", min_servers=0, servers=servers))
        return told.model_copy(update={"overrides": OverrideReport(node="lb01", done=True, servers=rows)})

    assert _events(seen(True), seen(False), spec=SPEC) == [
        ("server.down", "lb01 sees servers of pool web down: rs-1:80, 10.0.0.8:80, gone-80"),
        ("server.down", "lb01 sees servers of virtual server shop down: rs-1, 10.0.0.8:443"),
    ]
    # What nobody can read any more stands in the way of no report.
    assert len(_events(seen(True), seen(False), spec="holdfast: 99\n")) == 2
