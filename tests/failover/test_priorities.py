"""Priorities and weights against brute force: every loss on every node, ranked as keepalived ranks."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.failover import rank, unproved_weights
from holdfast.failover.priorities import Ranking
from holdfast.spec.vrrp import VrrpGroup

FAST = settings(max_examples=200, deadline=None)


def group(nodes: Any, trackers: list[dict[str, Any]], **more: Any) -> VrrpGroup:
    return VrrpGroup.model_validate({"addresses": ["10.0.0.3"], "nodes": nodes, "keeps_while": trackers, **more})


def yielding(count: int) -> list[dict[str, Any]]:
    return [{"script": f"s{number}", "on_loss": "yield"} for number in range(count)]


def weighted(*weights: int) -> list[dict[str, Any]]:
    return [{"script": f"s{number}", "weight": weight} for number, weight in enumerate(weights)]


def raw(ranking: Ranking, node: str, lost: frozenset[int]) -> int:
    """The sum that keepalived forms: positive weights of what is well, negative ones of what is lost."""
    priority = ranking.priorities[node]
    for index, (loss, gain) in enumerate(zip(ranking.loss, ranking.gain, strict=True)):
        priority += (loss or 0) if index in lost else gain
    return priority


def effective(ranking: Ranking, node: str, lost: frozenset[int]) -> int:
    """…and what it advertises: the sum, clamped."""
    return max(1, min(254, raw(ranking, node, lost)))


def subsets(count: int) -> list[frozenset[int]]:
    return [frozenset(chosen) for size in range(count + 1) for chosen in combinations(range(count), size)]


def proved(of: VrrpGroup) -> bool:
    """By brute force.

    Nothing healthy is clamped; a single loss on the best node leaves it below the best peer; and where the compiler
    counts, clamping never makes equal what the numbers keep apart, whatever is lost on any two nodes.
    """
    ranking, members, well = rank(of), of.members, frozenset[int]()
    if any(raw(ranking, node, well) > 254 for node in members):
        return False
    best = max(members, key=lambda node: raw(ranking, node, well))
    peer = max(effective(ranking, node, well) for node in members if node != best)
    trackers = [index for index, loss in enumerate(ranking.loss) if loss is not None]
    if any(effective(ranking, best, frozenset([index])) >= peer for index in trackers):
        return False
    if not any(tracker.weight is None and tracker.on_loss == "yield" for tracker in of.keeps_while):
        return True
    every = [lost for lost in subsets(len(ranking.loss)) if lost <= set(trackers)]
    for one, other in combinations(members, 2):
        for here, there in product(every, every):
            apart = raw(ranking, one, here) != raw(ranking, other, there)
            if apart and effective(ranking, one, here) == effective(ranking, other, there):
                return False
    return True


@pytest.mark.parametrize("count", range(2, 33))
def test_an_order_of_preference_becomes_strictly_falling_priorities_in_range(count: int) -> None:
    nodes = [f"n{number}" for number in range(count)]
    priorities = list(rank(group(nodes, [])).priorities.values())
    assert priorities == sorted(set(priorities), reverse=True)
    assert all(1 <= priority <= 254 for priority in priorities)
    assert list(rank(group(nodes, [])).priorities) == nodes


@pytest.mark.parametrize(("count", "losses"), [(2, 1), (2, 2), (2, 4), (3, 2), (3, 3), (5, 4), (32, 1), (32, 2)])
def test_a_loss_ranks_below_every_healthy_peer_and_two_below_one(count: int, losses: int) -> None:
    nodes = [f"n{number}" for number in range(count)]
    of = group(nodes, yielding(losses))
    assert unproved_weights(of) == ()
    ranking = rank(of)
    for one, other in product(nodes, nodes):
        for here, there in product(subsets(losses), subsets(losses)):
            if one != other and len(here) > len(there):
                assert effective(ranking, one, here) < effective(ranking, other, there)
            if len(here) == len(there) and nodes.index(one) < nodes.index(other):
                assert effective(ranking, one, here) > effective(ranking, other, there), (
                    "preference decides among equals"
                )


def test_more_yielding_trackers_than_the_range_holds_are_refused() -> None:
    (mistake,) = unproved_weights(group({"a": 200, "b": 100}, yielding(2)))
    assert "lowest priority" in mistake.message
    assert "on_loss: release" in mistake.hint


def test_release_takes_a_node_out_and_weighs_nothing() -> None:
    ranking = rank(group(["a", "b"], [{"process": "nginx"}, *yielding(1)]))
    assert ranking.loss[0] is None
    assert ranking.loss[1] is not None
    assert unproved_weights(group(["a", "b"], [{"process": "nginx"}])) == ()


@settings(FAST, max_examples=400)
@given(
    st.lists(st.integers(1, 254), min_size=2, max_size=4, unique=True),
    st.lists(
        st.one_of(
            st.integers(-253, 253).filter(bool).map(lambda weight: {"weight": weight}),
            st.sampled_from([{"on_loss": "yield"}, {"on_loss": "release"}]),
        ),
        max_size=3,
    ),
)
def test_numbers_are_proved_or_refused_as_brute_force_says(priorities: list[int], losses: list[dict[str, Any]]) -> None:
    nodes = {f"n{number}": priority for number, priority in enumerate(priorities)}
    of = group(nodes, [{"script": f"s{number}", **loss} for number, loss in enumerate(losses)])
    assert (unproved_weights(of) == ()) is proved(of)


@FAST
@given(
    st.lists(st.integers(1, 254), min_size=2, max_size=2, unique=True),
    st.lists(st.integers(-253, 253).filter(bool), min_size=1, max_size=1),
)
def test_the_weight_that_a_hint_names_is_accepted(priorities: list[int], weights: list[int]) -> None:
    """What a finding tells an operator to write must not be refused in turn for the same reason."""
    nodes = {f"n{number}": priority for number, priority in enumerate(priorities)}
    for mistake in unproved_weights(group(nodes, weighted(*weights))):
        if "never fails over" in mistake.message and "`weight: " in mistake.hint:
            named = int(mistake.hint.split("`weight: ")[1].split("`")[0])
            again = unproved_weights(group(nodes, weighted(named)))
            assert not any("never fails over" in one.message for one in again)


@pytest.mark.parametrize(
    ("nodes", "weight"),
    [
        ({"a": 150, "b": 100}, 2),  # roxy-wi 191 and the seed's puzzle
        ({"a": 152, "b": 101}, 3),  # roxy-wi's template, measured: never fails over
        ({"a": 150, "b": 100}, -50),  # equal: the higher IP address would decide
        ({"a": 150, "b": 100}, -2),
        ({"a": 254, "b": 253}, 1),  # in good health above the highest priority
        ({"a": 254, "b": 1}, -253),  # clamped: equal to the peer
        ({"a": 2, "b": 1}, -5),
    ],
)
def test_numbers_that_never_fail_over_are_refused(nodes: dict[str, int], weight: int) -> None:
    (first, *_) = unproved_weights(group(nodes, weighted(weight)))
    assert first.hint
    assert first.node == "a"


@pytest.mark.parametrize(
    ("nodes", "weight"),
    [({"a": 150, "b": 100}, -51), ({"a": 150, "b": 100}, 51), ({"a": 150, "b": 100}, -100), ({"a": 3, "b": 2}, -2)],
)
def test_numbers_that_fail_over_are_accepted(nodes: dict[str, int], weight: int) -> None:
    assert unproved_weights(group(nodes, weighted(weight))) == ()


def test_each_of_several_weights_has_to_move_the_group_by_itself() -> None:
    mistakes = unproved_weights(group({"a": 150, "b": 100}, weighted(-60, -10)))
    assert [mistake.index for mistake in mistakes] == [1]
    assert "`weight: -51`" in mistakes[0].hint


def test_several_losses_of_weights_that_the_operator_chose_are_his_business() -> None:
    """Three scripts at −60 each are common: each of them moves the group, and that is what is proved."""
    assert unproved_weights(group({"a": 150, "b": 100}, weighted(-60, -60, -60))) == ()
