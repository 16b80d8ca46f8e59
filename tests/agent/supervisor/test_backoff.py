"""Waits grow, stay bounded, and are forgiven after a good run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast.agent.supervisor.backoff import FIRST_S, LONGEST_S, next_delay_s


def test_a_service_that_dies_at_once_again_and_again() -> None:
    waits, previous = [], 0.0
    for _ in range(7):
        previous = next_delay_s(previous, ran_s=0.1)
        waits.append(previous)
    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_a_good_run_forgives() -> None:
    assert next_delay_s(30, ran_s=60) == FIRST_S
    assert next_delay_s(16, ran_s=59.9) == LONGEST_S


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_never_out_of_bounds(previous: float, ran: float) -> None:
    assert FIRST_S <= next_delay_s(previous, ran) <= LONGEST_S
