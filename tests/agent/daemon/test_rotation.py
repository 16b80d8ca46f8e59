"""Who is called next and when: nobody is left out, and a thousand agents do not come back at once."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.agent.daemon.rotation import FIRST_S, GOOD_S, LONGEST_S, Rotation, order_for

URLS = tuple(f"https://ctl{number}:8443" for number in range(3))


@given(st.lists(st.floats(0, 100), min_size=1, max_size=40), st.integers(1, 3), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_every_controller_gets_its_turn_and_waits_are_bounded(lives: list[float], count: int, jitter: float) -> None:
    rotation = Rotation(URLS[:count])
    called = [rotation.controller]
    assert rotation.wait_s(jitter) == 0
    for lived in lives:
        rotation = rotation.failed(lived)
        called.append(rotation.controller)
        assert 0 <= rotation.wait_s(jitter) <= LONGEST_S
        if lived >= GOOD_S:
            assert rotation.wait_s(jitter) <= FIRST_S
    for at in range(len(called) - count + 1):
        assert set(called[at : at + count]) == set(URLS[:count])


def test_waits_grow_and_are_spread() -> None:
    rotation = Rotation(URLS[:1])
    longest = []
    for _ in range(12):
        rotation = rotation.failed()
        longest.append(rotation.wait_s(1.0))
        assert rotation.wait_s(0.0) <= rotation.wait_s(1.0) / 2
    assert longest == sorted(longest)
    assert longest[0] == FIRST_S
    assert longest[-1] == LONGEST_S


def test_nodes_spread_over_controllers_and_each_keeps_its_own() -> None:
    first = [order_for(f"lb{number:02d}", URLS)[0] for number in range(300)]
    assert all(60 <= first.count(url) <= 140 for url in URLS)
    assert order_for("lb01", URLS) == order_for("lb01", URLS)
    assert sorted(order_for("lb01", URLS)) == sorted(URLS)
