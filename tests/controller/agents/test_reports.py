"""What is written down of agents' reports: what fits, and the events that they tell of."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from holdfast.controller.agents.reports import LARGEST_REPORT, fitting, take_report
from holdfast.controller.identity import NodeAgent
from holdfast.protocol import (
    AgentReport,
    Drift,
    DriftKind,
    GroupFacts,
    LogLine,
    NodeStatus,
    OverrideReport,
    WeighedServer,
    WhyDown,
)
from holdfast.store.memory import MemoryEngine
from holdfast.store.models import ClusterRecord
from holdfast.store.store import Store

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
