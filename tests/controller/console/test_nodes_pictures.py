"""Nodes as pages show them, without a web."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.bundle import HeldAddress, Service
from holdfast.controller.console.pictures.nodes import node_of, nodes_of, row_of
from holdfast.protocol import (
    AgentReport,
    ApplyReport,
    Drift,
    DriftKind,
    Failure,
    GroupFacts,
    LogLine,
    MachineFacts,
    NodeStatus,
    Outcome,
    Progress,
    ServiceFacts,
)
from holdfast.protocol.api.events import EventView
from holdfast.protocol.api.nodes import NodeDetail, NodeSummary
from holdfast.protocol.api.overrides import OverrideView, OverrideWord

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
VIP = HeldAddress(address="10.0.0.3/24", interface="eth0")


def _summary(**fields: Any) -> NodeSummary:
    return NodeSummary(**{"node": "lb01", "enrolled": NOW, "seen": NOW, "connected": True, **fields})


@pytest.mark.parametrize(
    ("fields", "state", "word"),
    [
        ({}, "ok", "connected"),
        ({"connected": False}, "bad", "silent"),
        ({"connected": False, "seen": None}, "unknown", "has not reported yet"),
        ({"enrolled": None, "connected": False, "seen": None}, "unknown", "never joined"),
        ({"revoked": NOW}, "off", "shut out"),
    ],
)
def test_how_an_agent_is(fields: dict[str, Any], state: str, word: str) -> None:
    row = row_of(_summary(**fields))
    assert (row.state, row.word) == (state, word)


def test_what_a_silent_node_held_it_is_not_said_to_hold() -> None:
    assert row_of(_summary(holds=("www",))).holds == ("www",)
    assert row_of(_summary(holds=("www",), connected=False)).holds == ()


def test_verified_is_said_of_what_it_should_run_alone() -> None:
    behind = {"wanted": 5, "running": 4, "progress": Progress.VERIFIED}
    assert row_of(_summary(**behind)).progress is None
    assert row_of(_summary(**behind, connected=False)).progress is None
    assert row_of(_summary(wanted=5, running=4, progress=Progress.ACCEPTED)).progress == ("busy", "accepted")
    same = {"wanted": 5, "running": 5, "progress": Progress.VERIFIED}
    assert (row_of(_summary(**same)).up_to_date, row_of(_summary(**same)).as_wanted) == (True, True)
    assert not row_of(_summary(**same, connected=False)).as_wanted
    assert not row_of(_summary(**same, revoked=NOW)).as_wanted


@pytest.mark.parametrize("running", [True, False])
def test_what_runs_on_a_silent_node_is_not_known(running: bool) -> None:
    status = NodeStatus(services=(ServiceFacts(service=Service.NGINX, running=running),))
    report = AgentReport(node="lb01", time=NOW, status=status)
    (found,) = node_of(NodeDetail(node=_summary(connected=False), report=report), (), None).services
    assert (found.state, found.word) == ("unknown", "not known: its agent is silent")


def test_whoever_is_in_trouble_comes_first_and_who_was_shut_out_is_not_in_trouble() -> None:
    rows = [
        _summary(node="a"), _summary(node="b", trouble=("it has never joined",)),
        _summary(node="c", revoked=NOW, trouble=("its certificate was revoked",)),
    ]  # fmt: skip
    found = nodes_of(rows)
    assert [row.name for row in found.rows] == ["b", "a", "c"]
    assert (found.connected, found.troubled) == (2, 1)


def _group(**fields: Any) -> GroupFacts:
    return GroupFacts(**{"group": "www", "vrid": 51, "holds": False, **fields})


@pytest.mark.parametrize(
    ("group", "connected", "state", "word"),
    [
        (_group(holds=True, present=(VIP,)), True, "ok", "holds it"),
        (_group(missing=(VIP,)), True, "standby", "standby"),
        (_group(missing=(VIP,), hold=-254), True, "warning", "kept back on purpose"),
        (_group(present=(VIP,), missing=(VIP,)), True, "bad", "holds a part of it"),
        (_group(holds=True, present=(VIP,)), False, "unknown", "not known: its agent is silent"),
    ],
)
def test_a_group_as_its_node_sees_it(group: GroupFacts, connected: bool, state: str, word: str) -> None:
    report = AgentReport(node="lb01", time=NOW, status=NodeStatus(groups=(group,)))
    (found,) = node_of(NodeDetail(node=_summary(connected=connected), report=report), (), None).groups
    assert (found.state, found.word) == (state, word)


def test_the_whole_of_a_node() -> None:
    report = AgentReport(
        node="lb01",
        time=NOW,
        revision=3,
        progress=Progress.REFUSED,
        applied=ApplyReport(
            node="lb01", outcome=Outcome.REFUSED, digest="0" * 64,
            failure=Failure(message="nginx refuses it", program_line="[emerg] unknown directive"),
        ),
        status=NodeStatus(
            services=(
                ServiceFacts(service=Service.NGINX, running=True, restarts=2),
                ServiceFacts(service=Service.KEEPALIVED, running=False),
            ),
            groups=(_group(holds=True, present=(VIP,)),),
        ),
        drift=(Drift(kind=DriftKind.FILE, what="/etc/x", diff="@@ -1 +1 @@\n-a\n+b\n", since=NOW),),
        machine=MachineFacts(
            hostname="lb01.example", kernel="6.1", programs={"nginx": "1.22.1", "haproxy": None},
            addresses=(HeldAddress(address="10.0.0.5/24", interface="eth0"), VIP),
        ),
        log=(LogLine(time=NOW, level="info", text="one"), LogLine(time=NOW, level="error", text="two")),
    )  # fmt: skip
    events = [
        EventView(number=4, time=NOW, kind="vrrp.holds", node="lb01", message="lb01 holds www"),
        EventView(number=3, time=NOW, kind="vip.moved", message="www went from lb02 to lb01"),
        EventView(number=2, time=NOW, kind="vrrp.left", node="lb02", message="lb02 gave www up"),
        EventView(number=1, time=NOW, kind="rollout.node", node="lb01", message="lb01 is verified"),
    ]
    maintenance = OverrideView(
        kind=OverrideWord.MAINTENANCE, target="lb01", who="ada", why="kernel", since=NOW, until=NOW + timedelta(hours=1)
    )
    found = node_of(NodeDetail(node=_summary(), report=report), events, maintenance)
    assert [(one.name, one.state, one.version, one.restarts) for one in found.services] == [
        ("nginx", "ok", "1.22.1", 2),
        ("keepalived", "bad", "", 0),
    ]
    assert [(one.address, one.group) for one in found.addresses] == [("10.0.0.5/24", ""), ("10.0.0.3/24", "www")]
    assert [one.number for one in found.history] == [4, 3]
    assert found.attempt is not None
    assert found.attempt.program_line == "[emerg] unknown directive"
    assert (found.drift[0].diff.added, found.drift[0].kind) == (1, "file")
    assert [(one.text, one.state) for one in found.log] == [("two", "bad"), ("one", "off")]
    assert found.maintenance == maintenance


def test_a_node_that_never_reported_is_a_page_all_the_same() -> None:
    found = node_of(NodeDetail(node=NodeSummary(node="lb09")), (), None)
    assert (found.services, found.groups, found.log, found.attempt) == ((), (), (), None)
