"""What becomes of a move whose controller is gone: a function of its record and of how its nodes are."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

import pytest

from holdfast.protocol import Verb
from holdfast.rollout.moves import Ending, HeldBack, Member, MoveKind, MoveRecord, Seen, Verdict, verdict

HOLDS, STANDBY, GAVE_UP = Member(True, False), Member(False, False), Member(False, True)
ONE = HeldBack(node="lb01", group="www", held=True)
RIVAL = HeldBack(node="lb02", group="www")


def record(kind: MoveKind = MoveKind.MOVE, target: str = "www", **more: object) -> MoveRecord:
    told = {"epoch": 1, "kind": kind, "target": target, "who": "user:ada", "since": datetime(2026, 11, 22, tzinfo=UTC)}
    return MoveRecord.model_validate({**told, **more})


def judged(one: MoveRecord, seen: Seen, *, out: tuple[str, ...] = (), under_way: bool = False) -> Verdict:
    return verdict(one, seen, in_maintenance=out, under_way=under_way)


def test_it_had_happened() -> None:
    seen = {"www": {"lb01": GAVE_UP, "lb02": HOLDS}}
    assert judged(record(held=(ONE,)), seen) == Verdict(Ending.DONE, (), "lb02")
    assert judged(record(held=(ONE,), wanted="lb02"), seen) == Verdict(Ending.DONE, (), "lb02")
    nobody_preempts = {"www": {"lb01": GAVE_UP, "lb02": Member(True, False, preempts=False)}}
    assert judged(record(held=(ONE,)), nobody_preempts) == Verdict(Ending.DONE, (ONE,), "lb02")


def test_it_went_to_somebody_else_than_was_wanted() -> None:
    seen = {"www": {"lb01": GAVE_UP, "lb02": GAVE_UP, "lb03": STANDBY, "lb04": HOLDS}}
    assert judged(record(held=(ONE, RIVAL), wanted="lb03"), seen) == Verdict(Ending.DONE, (RIVAL,), "lb04")


def test_nobody_has_it() -> None:
    for others in ({}, {"lb02": STANDBY}, {"lb02": GAVE_UP}):
        seen = {"www": {"lb01": GAVE_UP, **others}}
        assert judged(record(held=(ONE,)), seen) == Verdict(Ending.UNDONE, (ONE,))
        assert judged(record(held=(ONE,)), seen, under_way=True) == Verdict(Ending.UNDONE, (ONE,))
    away = {"www": {"lb02": STANDBY}}  # lb01 cannot be asked, and may hold it
    assert judged(record(held=(ONE,)), away) == Verdict(Ending.UNDONE, (ONE,))
    assert judged(record(held=(ONE,)), away, under_way=True).ending is Ending.LOOK_AGAIN


def test_it_had_not_happened_yet() -> None:
    seen = {"www": {"lb01": HOLDS, "lb02": STANDBY}}
    assert judged(record(), seen) == Verdict(Ending.UNDONE, (), "lb01")
    assert judged(record(held=(RIVAL,), wanted="lb03"), seen) == Verdict(Ending.UNDONE, (RIVAL,), "lb01")
    assert judged(record(held=(ONE,)), seen) == Verdict(Ending.UNDONE, (ONE,), "lb01")
    # Its agent may hold requests back at this moment, and give the group up in the next.
    assert judged(record(held=(ONE,)), seen, under_way=True).ending is Ending.LOOK_AGAIN


@pytest.mark.parametrize("seen", [{}, {"www": {}}, {"www": {"lb01": HOLDS, "lb02": HOLDS}}])
def test_what_is_not_known_is_looked_at_again(seen: Seen) -> None:
    assert judged(record(held=(ONE,)), seen).ending is Ending.LOOK_AGAIN


def test_a_way_back_and_an_end_of_maintenance_are_gone_on_with() -> None:
    seen = {"www": {"lb01": GAVE_UP, "lb02": HOLDS}}
    assert judged(record(MoveKind.BACK), seen).ending is Ending.GO_ON
    assert judged(record(MoveKind.MAINTENANCE_OFF, "lb01"), seen).ending is Ending.GO_ON
    assert judged(record(MoveKind.MAINTENANCE_OFF, "lb01"), {}).ending is Ending.GO_ON  # it may hold nothing at all
    assert judged(record(MoveKind.MAINTENANCE_OFF, "lb01"), {"www": {"lb02": HOLDS}}).ending is Ending.LOOK_AGAIN


def test_maintenance() -> None:
    on = record(MoveKind.MAINTENANCE_ON, "lb01", held=(ONE,))
    done = {"www": {"lb01": GAVE_UP, "lb02": HOLDS}}
    assert judged(on, done, out=("lb01",)).ending is Ending.GO_ON
    assert judged(on, done) == Verdict(Ending.UNDONE, (ONE,))  # somebody has ended it meanwhile
    assert judged(on, {"www": {"lb02": HOLDS}}, out=("lb01",)).ending is Ending.LOOK_AGAIN
    assert judged(on, {"www": {"lb01": GAVE_UP, "lb02": STANDBY}}, out=("lb01",)) == Verdict(Ending.UNDONE, (ONE,))


def test_addresses_that_nobody_holds_are_never_left_to_those_who_gave_them_up() -> None:
    """Whatever a move was and whoever answers: if nobody is seen to hold the group, who gave it up may hold it."""
    states = (None, STANDBY, GAVE_UP)
    for kind, first, second in product((MoveKind.MOVE, MoveKind.MAINTENANCE_ON), states, states):
        target = "www" if kind is MoveKind.MOVE else "lb01"
        seen = {"www": {node: one for node, one in (("lb01", first), ("lb02", second)) if one is not None}}
        found = judged(record(kind, target, held=(ONE,)), seen, out=("lb01",))
        assert found.release == (ONE,) or (found.ending is Ending.LOOK_AGAIN and not seen["www"]), (kind, seen)


def test_orders_are_written_down_once_and_what_was_so_before_is_not() -> None:
    one = record().ordered("lb01", Verb.MOVE, "www", set())
    assert one.held == (ONE,)
    assert one.ordered("lb01", Verb.HOLD, "www", set()) is one, "that it was the holder is kept"
    assert one.ordered("lb02", Verb.HOLD, "www", {("lb02", "www")}) is one
    assert one.ordered("lb02", Verb.RELEASE, "www", set()) is one
    assert one.ordered("lb02", Verb.HOLD, "www", set()).held == (ONE, RIVAL)
    assert one.released("lb01", "www").held == ()
    owed = record(owed=(ONE,)).ordered("lb01", Verb.HOLD, "www", set())
    assert (owed.held, owed.owed) == ((HeldBack(node="lb01", group="www"),), ())
