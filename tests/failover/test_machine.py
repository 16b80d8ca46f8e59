"""keepalived as measured, without keepalived: each case was seen on two hosts, or follows from its source."""

from __future__ import annotations

import pytest

from holdfast.failover.machine import Machine
from holdfast.failover.model import Cut, Watched, World
from holdfast.failover.router import Cause, State

from .confs import active, cluster, instance, settled

SCRIPT = "vrrp_script chk {{\n    script /bin/true\n    interval 1\n    weight {weight}\n}}\n"
TRACK = "    track_script {\n        chk\n    }\n"
FILE = 'track_file hold {\n    file "/hold"\n}\n'


def test_the_highest_priority_holds() -> None:
    assert active(settled(cluster(lb1=instance(priority=120), lb2=instance(priority=100)))) == {"lb1"}


def test_of_two_equals_the_first_to_hold_stays_until_both_do() -> None:
    same = cluster(lb1=instance(priority=100), lb2=instance(priority=100))
    assert active(settled(same)) == {"lb1"}
    machine = Machine(same, late={"lb1": 0.01})
    assert machine.settle()
    assert active(machine) == {"lb2"}
    machine.enter(World(cuts=frozenset({Cut("eth0", frozenset({"lb1"}))})))
    assert machine.settle()
    machine.enter(World())
    assert machine.settle()
    assert active(machine) == {"lb2"}, "the higher address"


def test_a_dead_master_is_missed_after_three_adverts_and_a_skew() -> None:
    machine = settled(cluster(lb1=instance(priority=120), lb2=instance(priority=100))).copy()
    machine.align()
    machine.enter(World(dead=frozenset({"lb1"})))
    assert machine.settle()
    assert active(machine) == {"lb2"}
    last = machine.changes[-1]
    assert (last.place[0], last.cause) == ("lb2", Cause.SILENCE)
    assert last.at == pytest.approx(0.3 + 0.1 * (256 - 100) / 256)


def test_one_that_ends_in_order_says_so() -> None:
    machine = settled(cluster(lb1=instance(priority=120), lb2=instance(priority=100))).copy()
    machine.enter(World(stopped=frozenset({"lb1"})))
    assert machine.settle()
    assert (machine.changes[-1].cause, active(machine)) == (Cause.GIVEN_UP, {"lb2"})
    assert machine.changes[-1].at == pytest.approx(0.1 * (256 - 100) / 256)


def lost(**more: str) -> World:
    return World(failed=frozenset({("lb1", Watched.SCRIPT, "chk")}))


@pytest.mark.parametrize(
    ("weight", "more", "holder"),
    [
        (-60, "", "lb2"),
        (-60, "    nopreempt", "lb1"),  # measured: never fails over
        (0, "    nopreempt", "lb2"),  # measured: fails over
        (3, "", "lb1"),  # measured, with 152 and 101: never fails over
    ],
)
def test_weights_as_measured(weight: int, more: str, holder: str) -> None:
    better = SCRIPT.format(weight=weight) + instance(priority=120, more=TRACK + more)
    made = cluster(lb1=better, lb2=instance(priority=100, more=more))
    machine = settled(made)
    assert active(machine) == {"lb1"}
    machine.enter(lost())
    assert machine.settle()
    assert active(machine) == {holder}


@pytest.mark.parametrize(
    "different",
    [
        "    authentication {\n        auth_type PASS\n        auth_pass other\n    }",
        "    virtual_router_id 77",
        "    version 3",
        "    unicast_peer {\n        10.0.0.12\n    }",
    ],
)
def test_what_must_agree_and_does_not_gives_two_masters(different: str) -> None:
    """Measured, each."""
    one = instance(priority=120).replace("version 3", "version 2").replace("advert_int 0.1", "advert_int 1")
    two = one.replace("priority 120", "priority 100\n" + different)
    if "version 3" in different:
        two = two.replace("    version 2\n", "")
    assert active(settled(cluster(lb1=one, lb2=two))) == {"lb1", "lb2"}


def test_a_file_gives_the_group_up_and_survives_nopreempt() -> None:
    track = "    nopreempt\n    track_file {\n        hold weight 1\n    }"
    made = cluster(lb1=FILE + instance(priority=120, more=track), lb2=FILE + instance(priority=100, more=track))
    machine = settled(made)
    machine.enter(World(values={("lb1", "hold"): -254}))
    assert machine.settle()
    assert (active(machine), machine.state(("lb1", "www"))) == ({"lb2"}, State.FAULT)
    machine.enter(World(values={("lb1", "hold"): -254, ("lb2", "hold"): -254}))
    assert machine.settle()
    assert active(machine) == set(), "both at -254: nobody holds"
    machine.enter(World(values={("lb2", "hold"): -254}))
    assert machine.settle()
    assert active(machine) == {"lb1"}


def test_a_delay_of_preemption_is_waited_for() -> None:
    late = instance(priority=120, more="    preempt_delay 300")
    machine = settled(cluster(lb1=late, lb2=instance(priority=100)), World(dead=frozenset({"lb1"})))
    assert active(machine) == {"lb2"}
    machine = machine.copy()
    machine.enter(World())
    assert machine.settle()
    back = next(change for change in machine.changes if change.after is State.ACTIVE)
    assert back.place[0] == "lb1"
    assert 300 < back.at < 301


def test_a_partition_has_two_masters_and_heals() -> None:
    machine = settled(cluster(lb1=instance(priority=120), lb2=instance(priority=100)))
    machine.enter(World(cuts=frozenset({Cut("eth0", frozenset({"lb1"}))})))
    assert machine.settle()
    assert active(machine) == {"lb1", "lb2"}
    machine.enter(World())
    assert machine.settle()
    assert active(machine) == {"lb1"}


def group(*names: str) -> str:
    return "vrrp_sync_group both {\n    group {\n" + "".join(f"        {name}\n" for name in names) + "    }\n}\n"


def pair(priority: int, more: str = "") -> str:
    one = instance("one", priority=priority, vrid=51, vip="10.0.0.3", more=more)
    return group("one", "two") + one + instance("two", priority=priority, vrid=52, vip="10.0.0.4")


def test_a_sync_group_moves_as_one() -> None:
    track = "    track_interface {\n        eth9\n    }"
    machine = settled(cluster(lb1=pair(120, track), lb2=pair(100, track)))
    assert (active(machine, "one"), active(machine, "two")) == ({"lb1"}, {"lb1"})
    machine.enter(World(links=frozenset({("lb1", "eth9")})))
    assert machine.settle()
    assert (active(machine, "one"), active(machine, "two")) == ({"lb2"}, {"lb2"})
    assert machine.state(("lb1", "two")) is State.FAULT
    machine.enter(World())
    assert machine.settle()
    assert (active(machine, "one"), active(machine, "two")) == ({"lb1"}, {"lb1"})


def test_a_weight_on_a_member_of_a_sync_group_does_nothing() -> None:
    """Measured: "ignoring tracked script … due to SYNC group"."""
    weighted = SCRIPT.format(weight=-60) + pair(120, TRACK)
    machine = settled(cluster(lb1=weighted, lb2=pair(100)))
    machine.enter(lost())
    assert machine.settle()
    assert active(machine, "one") == {"lb1"}
    on_group = SCRIPT.format(weight=-60) + pair(120).replace(
        "vrrp_sync_group both {\n", "vrrp_sync_group both {\n" + TRACK
    )
    machine = settled(cluster(lb1=on_group, lb2=pair(100)))
    machine.enter(lost())
    assert machine.settle()
    assert (active(machine, "one"), active(machine, "two")) == ({"lb2"}, {"lb2"})


def test_an_owner_holds_at_once_and_whatever_it_loses() -> None:
    owner = SCRIPT.format(weight=-60) + instance(priority=255, more=TRACK)
    machine = Machine(cluster(lb1=owner, lb2=instance(priority=100)))
    assert machine.settle()
    assert next(change.at for change in machine.changes if change.after is State.ACTIVE) < 0.001
    machine.enter(lost())
    assert machine.settle()
    assert active(machine) == {"lb1"}
