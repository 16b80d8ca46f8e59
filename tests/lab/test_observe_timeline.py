"""Arithmetic on spans, held against counting moment by moment."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from holdfast.lab.observe_timeline import Span, clip, first_by_another, overlaps, timelines, total, who_at

spans = st.lists(
    st.builds(
        lambda who, start, length: Span(who, float(start), float(start + length)),
        st.sampled_from("abc"),
        st.integers(0, 40),
        st.integers(1, 20),
    ),
    max_size=8,
)


@given(spans)
def test_overlaps_are_the_moments_with_two_holders(given_spans: list[Span]) -> None:
    moments = [t for t in range(70) if len(who_at(given_spans, t + 0.5)) > 1]
    found = overlaps(given_spans)
    assert total(found) == len(moments)
    assert all(any(start <= t < end for start, end in found) for t in moments)
    assert all(first[1] < second[0] for first, second in pairwise(found)), "joined and in order"


@given(spans, st.integers(0, 60), st.integers(0, 60))
def test_clipping_changes_nothing_inside_and_leaves_nothing_outside(s: list[Span], start: int, end: int) -> None:
    clipped = clip(s, start, end)
    assert all(start <= part.start < part.end <= end for part in clipped)
    for moment in range(start, end):
        assert who_at(clipped, moment + 0.5) == who_at(s, moment + 0.5)


@given(spans, st.integers(0, 60))
def test_the_first_other_holder(s: list[Span], start: int) -> None:
    found = first_by_another(s, ["a"], start, 100)
    others = [moment for moment in range(start, 100) if set(who_at(s, moment)) - {"a"}]
    assert found == (others[0] if others else None)


def event(t: float, kind: str, **more: Any) -> dict[str, Any]:
    return {"t": t, "kind": kind, **more}


EVENTS = [
    event(0, "link", node="lb01", interface="eth0", up=True),
    event(0, "link", node="lb02", interface="eth0", up=True),
    event(1, "add", node="lb01", address="10.0.0.3", interface="eth0"),
    event(1, "answers", address="10.0.0.3", macs=["aa"]),
    event(5, "link", node="lb01", interface="eth0", up=False),
    event(5, "answers", address="10.0.0.3", macs=[]),
    event(6, "add", node="lb02", address="10.0.0.3", interface="eth0"),
    event(6, "answers", address="10.0.0.3", macs=["bb"]),
    event(8, "link", node="lb01", interface="eth0", up=True),
    event(8, "answers", address="10.0.0.3", macs=["aa", "bb"]),
    event(9, "gone", node="lb01"),
    event(9, "answers", address="10.0.0.3", macs=["bb"]),
]


def test_a_node_that_is_cut_off_carries_an_address_but_does_not_hold_it() -> None:
    line = timelines(EVENTS, ["10.0.0.3", "10.0.0.4"], {"aa": "lb01", "bb": "lb02"}, 10)["10.0.0.3"]
    assert line.carried == (Span("lb01", 1, 9), Span("lb02", 6, 10))
    assert line.reachable == (Span("lb01", 1, 5), Span("lb02", 6, 10), Span("lb01", 8, 9))
    assert line.answered == (Span("lb01", 1, 5), Span("lb02", 6, 10), Span("lb01", 8, 9))
    assert overlaps(line.carried) == ((6, 9),)
    assert overlaps(line.reachable) == ((8, 9),)


def test_the_order_in_which_events_arrive_does_not_matter() -> None:
    macs = {"aa": "lb01", "bb": "lb02"}
    assert timelines(EVENTS[::-1], ["10.0.0.3"], macs, 10)["10.0.0.3"].carried == (
        Span("lb01", 1, 9),
        Span("lb02", 6, 10),
    )


def test_an_address_that_nobody_had_has_an_empty_timeline() -> None:
    line = timelines(EVENTS, ["10.0.0.4"], {}, 10)["10.0.0.4"]
    assert (line.carried, line.reachable, line.answered) == ((), (), ())


def test_an_unknown_mac_answers_in_its_own_name() -> None:
    line = timelines(EVENTS, ["10.0.0.3"], {"aa": "lb01"}, 10)["10.0.0.3"]
    assert {span.who for span in line.answered} == {"lb01", "bb"}
