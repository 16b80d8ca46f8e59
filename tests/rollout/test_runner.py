"""The loop around the decisions, over nodes in memory."""

from __future__ import annotations

import pytest
from tests.rollout.bundles import bundle
from tests.rollout.fake import FakeTransport

from holdfast.errors import PlanRefused
from holdfast.plan import make_plan
from holdfast.rollout import NodePhase, RolloutEvent, roll_out

OLD = {node: bundle(node, "one") for node in ("lb01", "lb02")}
NEW = {node: bundle(node, "two") for node in ("lb01", "lb02")}


def cluster(**changes: object) -> FakeTransport:
    return FakeTransport({node: [b] for node, b in OLD.items()}, {"www": "lb01"}, **changes)  # type: ignore[arg-type]


def test_the_holder_comes_last_and_everything_is_reported() -> None:
    transport, events = cluster(), list[RolloutEvent]()
    result = roll_out(make_plan(OLD, NEW), transport, progress=events.append)
    assert result.succeeded
    assert transport.order == ["apply lb02", "apply lb01"]
    assert [(event.node, event.what) for event in events] == [
        ("lb02", "applying"), ("lb02", "verified"), ("lb01", "applying"), ("lb01", "verified"),
    ]  # fmt: skip
    assert [report.node for report in result.reports] == ["lb02", "lb01"]


def test_a_refusal_on_the_second_node_puts_the_first_back_and_says_why() -> None:
    transport = cluster(refuses={"lb01"})
    result = roll_out(make_plan(OLD, NEW), transport)
    assert not result.succeeded
    assert transport.order == ["apply lb02", "apply lb01", "put back lb02"]
    assert result.phases == {"lb01": NodePhase.FAILED, "lb02": NodePhase.PUT_BACK}
    assert (result.reason, result.hint) == ("lb01: nginx refused line 7", "mend line 7")
    assert {node: bundles[-1] for node, bundles in transport.running.items()} == OLD


def test_a_node_that_cannot_be_reached_stops_the_rollout() -> None:
    transport = cluster(unreachable={"lb02"})
    result = roll_out(make_plan(OLD, NEW), transport)
    assert result.phases == {"lb01": NodePhase.WAITING, "lb02": NodePhase.LOST}
    assert "lb02" in result.reason


def test_losing_a_group_that_should_have_stayed_takes_the_change_back() -> None:
    transport = cluster(loses={"lb01": "www"})
    result = roll_out(make_plan(OLD, NEW), transport)
    assert not result.succeeded
    assert transport.order == ["apply lb02", "apply lb01", "put back lb01", "put back lb02"]
    assert "lost www" in result.reason


def test_a_forbidden_hazard_is_refused_before_anything_is_touched() -> None:
    transport = cluster()
    changed = {node: bundle(node, vrid=77) for node in OLD}
    with pytest.raises(PlanRefused, match="group www: VRID 51 → 77"):
        roll_out(make_plan(OLD, changed), transport)
    assert transport.order == []


def test_members_of_one_moment_never_end_with_two_states_whatever_is_wanted_of_the_others() -> None:
    """Left as they are, both would hold the addresses: they do not hear each other any more."""
    transport = cluster(refuses={"lb01"})
    changed = {node: bundle(node, vrid=77) for node in OLD}
    plan = make_plan(OLD, changed)
    result = roll_out(plan, transport, forbidden=frozenset(), put_back_on_failure=False)
    assert result.phases == {"lb01": NodePhase.FAILED, "lb02": NodePhase.PUT_BACK}
    assert {node: bundles[-1] for node, bundles in transport.running.items()} == OLD
