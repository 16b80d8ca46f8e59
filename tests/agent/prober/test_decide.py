"""What the prober makes of answers, whatever comes: exact counts, a minimum that holds, few reloads."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.agent.prober.decide import (
    BURST,
    INTERVAL_S,
    SETTLE_S,
    SLOW_INTERVAL_S,
    WINDOW_S,
    Health,
    after,
    next_reload,
    wanted_down,
)

counts = st.integers(1, 6)


def told(answers: list[bool], fall: int, rise: int, up: bool = True) -> list[bool]:
    """The states after each answer, as the product has them."""
    health, states = Health(up), []
    for number, answered in enumerate(answers):
        health = after(health, answered, float(number), fall, rise)
        states.append(health.up)
    return states


@given(st.lists(st.booleans(), max_size=60), counts, counts, st.booleans())
def test_exactly_fall_bad_answers_take_it_down_and_rise_good_ones_bring_it_back(
    answers: list[bool], fall: int, rise: int, up: bool
) -> None:
    """Held against the plainest way to say it: look at the last `fall` or `rise` answers."""
    state, expected = up, []
    for end in range(1, len(answers) + 1):
        last_bad = len(answers[:end]) >= fall and not any(answers[end - fall : end])
        last_good = len(answers[:end]) >= rise and all(answers[end - rise : end])
        state = False if state and last_bad else True if not state and last_good else state
        expected.append(state)
    assert told(answers, fall, rise, up) == expected


@pytest.mark.parametrize(("bad", "up"), [(2, True), (3, False)])
def test_one_answer_less_than_fall_is_not_enough(bad: int, up: bool) -> None:
    assert told([False] * bad, fall=3, rise=1)[-1] is up


healths = st.builds(
    Health, up=st.booleans(), failures=st.integers(0, 9), successes=st.integers(0, 9), good=st.floats(0, 100)
)
pools = st.dictionaries(st.sampled_from("abcdefgh"), healths, min_size=1)


@given(pools, st.sets(st.sampled_from("abcdefgh")), st.integers(1, 10), st.sets(st.sampled_from("abcdefgh")))
def test_never_below_the_minimum_and_never_one_that_is_up(
    servers: dict[str, Health], marked: set[str], min_servers: int, weakest: set[str]
) -> None:
    down = wanted_down(servers, marked, min_servers, weakest)
    failing = {name for name, health in servers.items() if not health.up}
    assert down <= failing
    if len(failing) == len(servers):
        assert down == set()  # it may be this node that is cut off
        return
    failing -= {name for name in failing - marked if not servers[name].failures}  # on their way back
    assert len(servers) - len(down) >= min(min_servers, len(servers))
    # And no more stay than must: what fails is out, or the minimum is reached.
    assert down == failing or len(servers) - len(down) == min(min_servers, len(servers))
    # What was decided is decided again: a dead pool is not rewritten with every answer.
    worse = {n: replace(health, failures=health.failures and health.failures + 3) for n, health in servers.items()}
    assert wanted_down(worse, down, min_servers, weakest) == down


def test_of_those_that_fail_the_best_stay() -> None:
    up = Health(True)
    servers = {
        "up": up,
        "in-use": Health(False, failures=9, good=1),
        "marked": Health(False, failures=3, good=9),
        "spare": Health(False, failures=1, good=9),
    }
    assert wanted_down(servers, {"marked"}, 2, {"spare"}) == {"marked", "spare"}
    assert wanted_down(servers, {"in-use", "marked", "spare"}, 2, {"spare"}) == {"in-use", "spare"}
    latest = {"a": Health(False, failures=3, good=5), "b": Health(False, failures=3, good=7), "c": up}
    assert wanted_down(latest, (), 2) == {"a"}


def test_one_that_answers_well_again_is_not_taken_out_for_its_past() -> None:
    servers = {"a": Health(True), "rising": Health(False, successes=1), "out": Health(False, successes=1)}
    assert wanted_down(servers, {"out"}, 1) == {"out"}


@given(st.lists(st.floats(0, 20), min_size=1, max_size=200))
def test_reloads_are_few_however_often_servers_come_and_go(pauses: list[float]) -> None:
    now, past = 0.0, []
    for pause in pauses:  # a change is wanted so long after the one before; at once, if a reload was awaited meanwhile
        wanted = now + pause
        now = next_reload(wanted, past[-BURST:])
        assert wanted + SETTLE_S <= now <= max(wanted + SETTLE_S, (past[-1] if past else 0) + SLOW_INTERVAL_S)
        past.append(now)
    gaps = [later - earlier for earlier, later in pairwise(past)]
    assert all(gap >= INTERVAL_S - 1e-6 for gap in gaps)
    for start in past:
        within = [moment for moment in past if start <= moment < start + WINDOW_S]
        assert len(within) <= BURST + WINDOW_S / SLOW_INTERVAL_S + 1


def test_a_first_change_waits_only_for_what_fails_with_it() -> None:
    assert next_reload(100.0, ()) == pytest.approx(100.0 + SETTLE_S)
    assert next_reload(100.0, (99.9,)) == pytest.approx(99.9 + INTERVAL_S)
    assert next_reload(100.0, [95.0, 96.0, 97.0, 98.0, 99.0]) == pytest.approx(99.0 + SLOW_INTERVAL_S)
