"""Hold files, and the number that makes a node next in line."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from holdfast.agent.hold import GIVE_UP, MAY_HOLD, read_hold, stand_by, write_hold

priorities = st.integers(1, 254)


@given(own=priorities, holders=priorities)
def test_a_node_that_stands_by_is_below_the_holder_and_not_in_fault(own: int, holders: int) -> None:
    number = stand_by(own, holders)
    assert GIVE_UP < number <= MAY_HOLD
    assert own + number < holders or number == GIVE_UP + 1


@given(own=priorities, holders=priorities)
def test_it_is_as_near_to_the_holder_as_its_own_priority_allows(own: int, holders: int) -> None:
    assert max(own + stand_by(own, holders), 1) == max(min(own, holders - 1), 1)


def test_a_hold_file_says_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "www"
    assert read_hold(path) == MAY_HOLD
    write_hold(path, GIVE_UP)
    assert read_hold(path) == GIVE_UP
    path.write_text("nothing that keepalived would take for a number")
    assert read_hold(path) == MAY_HOLD
