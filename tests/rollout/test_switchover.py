"""Moving a group: to somebody who can hold it, and back, or not at all."""

from __future__ import annotations

import itertools

import pytest
from tests.rollout.bundles import bundle
from tests.rollout.fake import FakeTransport

from holdfast.bundle import Bundle
from holdfast.errors import PlanRefused, RolloutFailed
from holdfast.rollout.switchover import Switch

BUNDLES = {"lb01": bundle("lb01", groups=(("www", 250),)), "lb02": bundle("lb02", groups=(("www", 245),))}


def cluster(**changes: object) -> FakeTransport:
    running: dict[str, list[Bundle]] = {node: [b] for node, b in BUNDLES.items()}
    return FakeTransport(running, {"www": "lb01"}, **changes)  # type: ignore[arg-type]


def switch(transport: FakeTransport) -> Switch:
    ticks = itertools.count()
    return Switch(transport, BUNDLES, "www", clock=lambda: float(next(ticks)), sleep=lambda seconds: None)


def test_away_keeps_the_old_holder_out_until_back() -> None:
    transport = cluster()
    moved = switch(transport).away()
    assert (moved.before, moved.after) == ("lb01", "lb02")
    assert {key for key, value in transport.hold.items() if value} == {("lb01", "www")}
    transport._moved.clear()
    returned = switch(transport).back()
    assert (returned.before, returned.after) == ("lb02", "lb01")
    assert set(transport.hold.values()) == {0}
    # The holder gives up before the better node may take over, so that no answer is cut.
    assert transport.order[2:] == ["move www from lb02", "release www on lb01", "release www on lb02"]


def test_where_nobody_preempts_the_old_holder_is_standby_again_at_once() -> None:
    bundles = {
        node: bundle(node, groups=(("www", priority),), preempts=False)
        for node, priority in (("lb01", 250), ("lb02", 245))
    }
    transport = FakeTransport({node: [b] for node, b in bundles.items()}, {"www": "lb01"})
    ticks = itertools.count()
    steady = Switch(transport, bundles, "www", clock=lambda: float(next(ticks)), sleep=lambda seconds: None)
    transport.preempts = False
    assert steady.away().after == "lb02"
    assert set(transport.hold.values()) == {0}
    assert steady.back().after == "lb02"
    assert steady.away().after == "lb01"


def test_back_without_a_better_node_only_releases() -> None:
    transport = cluster()
    transport.hold[("lb02", "www")] = -254
    returned = switch(transport).back()
    assert (returned.after, returned.report) == ("lb01", None)
    assert transport.order == ["release www on lb02"]


@pytest.mark.parametrize(
    "trouble",
    [{"unreachable": {"lb02"}}, {"hold": {("lb02", "www"): -254}}, {"dead_services": {"lb02"}}, {"fault": {"lb02"}}],
    ids=["peer gone", "peer held back", "peer's services dead", "peer in fault"],
)
def test_the_last_node_that_could_hold_a_group_keeps_it(trouble: dict[str, object]) -> None:
    transport = cluster(**trouble)
    with pytest.raises(PlanRefused, match="no other node could hold 'www' now, so lb01 keeps it"):
        switch(transport).away()
    assert transport.order == []


def test_what_nobody_took_over_its_old_holder_has_again() -> None:
    transport = cluster(unable={"lb02"})
    with pytest.raises(RolloutFailed, match="nobody took 'www' over within 10 s: lb01 has it again"):
        switch(transport).away()
    assert (transport.holders["www"], set(transport.hold.values())) == ("lb01", {0})


def test_an_old_holder_that_does_not_get_it_back_either_is_told_with_what_to_do() -> None:
    class Deaf(FakeTransport):
        def release(self, node: str, group: str) -> None:
            if node == "lb01":
                raise RolloutFailed("lb01 cannot be reached", "is it up?")
            super().release(node, group)

    transport = Deaf({node: [b] for node, b in BUNDLES.items()}, {"www": "lb01"}, unable={"lb02"})
    with pytest.raises(RolloutFailed, match="lb01 does not have it again: lb01 cannot be reached") as failed:
        switch(transport).away()
    assert "on the node: holdfast-agent release www" in failed.value.hint


def test_a_group_without_a_holder_is_not_moved() -> None:
    transport = cluster()
    transport.holders["www"] = None
    with pytest.raises(PlanRefused, match="held by nobody"):
        switch(transport).away()


def test_an_unknown_group_is_named_with_those_that_exist() -> None:
    with pytest.raises(PlanRefused, match="no VRRP group 'wwww'") as refused:
        Switch(cluster(), BUNDLES, "wwww")
    assert "known: www" in refused.value.hint
