"""A quarter of an hour of figures: bounded, and the same after it was told."""

from __future__ import annotations

import pytest

from holdfast.protocol.realtime import MOST_SERIES, POINTS
from holdfast.protocol.realtime_ring import Ring


def test_what_is_older_than_a_quarter_of_an_hour_is_gone() -> None:
    ring = Ring()
    for number in range(1, POINTS + 20):
        ring.add(number, {"total": (number, None, 0.0, 1.0)})
    assert ring.numbers == list(range(20, POINTS + 20))
    points = ring.of("total")
    assert len(points) == POINTS
    assert points[0] == (20.0, None, 0.0, 1.0)
    assert points[-1] == (POINTS + 19, None, 0.0, 1.0)
    ring.add(3, {"total": (9, 9, 9, 9)})
    assert ring.of("total") == points


def test_a_gap_stays_a_gap_and_time_goes_on_without_news() -> None:
    ring = Ring()
    ring.add(10, {"total": (1.0, 1.0, 1.0, 1.0)})
    ring.add(13, {"total": (2.0, 2.0, 2.0, 2.0)})
    assert [one[0] for one in ring.of("total", 14)[-5:]] == [1.0, None, None, 2.0, None]
    assert ring.of("total", 10 + POINTS)[0] == (None, None, None, None)
    assert ring.of("other") == ((None, None, None, None),) * POINTS


def test_what_is_told_is_what_was_kept_to_four_figures() -> None:
    ring, other = Ring(), Ring()
    ring.add(5, {"total": (123456.7, None, 0.0, 3.0)})
    ring.add(6, {"total": (1.0, 2.0, 3.0, 4.0), "shop": (1 / 3, None, None, None)})
    other.take(ring.bucket(number) for number in reversed(ring.numbers))
    assert other.of("total")[-2:] == ((123500.0, None, 0.0, 3.0), (1.0, 2.0, 3.0, 4.0))
    assert other.newest == 6
    assert "shop" not in ring.bucket(5).values


def test_names_are_bounded_and_those_of_which_nothing_is_known_any_more_make_room() -> None:
    ring = Ring()
    ring.add(0, {f"s{number}": (1.0, None, None, None) for number in range(MOST_SERIES + 10)})
    assert len(ring.bucket(0).values) == MOST_SERIES
    for number in range(1, POINTS):
        ring.add(number, {})
    ring.add(POINTS, {"new": (1.0, None, None, None)})
    assert ring.of("new")[-1] == (1.0, None, None, None)


def test_for_names_without_a_place_room_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ring, looks = Ring(), 0
    forget = Ring._forget

    def counted(self: Ring) -> bool:
        nonlocal looks
        looks += 1
        return forget(self)

    monkeypatch.setattr(Ring, "_forget", counted)
    ring.add(0, {f"s{number}": (1.0, None, None, None) for number in range(MOST_SERIES + 50)})
    assert looks == 1
    ring.add(1, {"s0": (1.0, None, None, None), "new": (1.0, None, None, None), "s1": (2.0, None, None, None)})
    assert looks == 2
    assert ring.of("s1")[-1][0] == 2.0
