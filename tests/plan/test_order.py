"""Which nodes change together, and which waves come first."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plan.raw import bundle as raw_bundle
from tests.plan.raw import pair, plan, text

from holdfast.bundle import Bundle
from holdfast.plan import Plan, Together, Turn, Wave, make_plan
from holdfast.plan.order import waves

RUNS = raw_bundle("a", "")


@dataclass(frozen=True)
class Planned:
    """A node's change, as far as the order looks at it."""

    node: str
    groups: frozenset[str] = frozenset()
    turn: Turn = Turn.IN_FRONT
    waits: bool = False
    old: Bundle | None = RUNS


def node(name: str, *groups: str, turn: Turn = Turn.IN_FRONT, waits: bool = False) -> Planned:
    return Planned(name, frozenset(groups), turn, waits)


def names(found: tuple[Wave, ...]) -> list[tuple[str, ...]]:
    return [wave.nodes for wave in found]


def test_standby_nodes_of_several_groups_are_one_wave_and_their_holders_the_next() -> None:
    nodes = [node(f"{group}{number}", group) for group in ("www", "mail") for number in (1, 2)]
    found = waves(nodes, {"www1": 1, "mail1": 1})
    assert names(found) == [("mail2", "www2"), ("mail1", "www1")]
    assert [wave.why for wave in found] == ["standby first: they hold nothing", "each holds 1 group"]


def test_a_holder_waits_for_standby_nodes_of_other_groups_too() -> None:
    assert names(waves([node("a1", "a"), node("b1", "b"), node("b2", "b")], {"a1": 1, "b1": 1})) == [
        ("b2",), ("a1", "b1"),
    ]  # fmt: skip


def test_two_holders_of_one_another_s_groups_are_never_one_wave() -> None:
    pair_of = [node("lb1", "www", "mail"), node("lb2", "www", "mail")]
    assert names(waves(pair_of, {"lb1": 1, "lb2": 1})) == [("lb1",), ("lb2",)]
    assert names(waves(pair_of, {"lb1": 2, "lb2": 1})) == [("lb2",), ("lb1",)]


def test_servers_come_before_those_in_front_or_after_them() -> None:
    nodes = [node("lb", "www"), *(node(name, turn=Turn.BEHIND_LAST) for name in "cd"), node("e", turn=Turn(0))]
    assert names(waves(nodes, {})) == [("e",), ("lb",), ("c", "d")]


def test_what_goes_together_comes_when_the_last_of_it_would() -> None:
    nodes = [node("a1", "a"), node("a2", "a"), node("b1", "b"), node("b2", "b")]
    together = Together(("a",), frozenset({"a1", "a2"}), 2.5)
    found = waves(nodes, {"a1": 1, "b1": 1}, [together])
    assert names(found) == [("b2",), ("b1",), ("a2", "a1")]
    assert [wave.at_once for wave in found] == [None, None, together]


def test_groups_that_share_a_node_go_together_and_the_most_impatient_member_counts() -> None:
    parts = [Together(("a",), frozenset("xy"), 2.5, ("z",)), Together(("b",), frozenset("yz"), 0.3, ("far",))]
    (found,) = waves([node(name, "a", "b") for name in "xyz"], {"x": 1}, parts)
    assert found.at_once == Together(("a", "b"), frozenset("xyz"), 0.3, ("far",))
    assert found.nodes == ("y", "z", "x")


NODES = st.lists(
    st.builds(
        lambda groups, turn, waits: (frozenset(groups), turn, waits),
        st.sets(st.sampled_from("abc")), st.sampled_from(Turn), st.booleans(),
    ),
    max_size=7,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(NODES, st.lists(st.integers(0, 2), min_size=7, max_size=7), st.sets(st.integers(0, 6), max_size=3))
def test_every_node_changes_once_and_members_of_a_group_apart(
    made: list[tuple[frozenset[str], Turn, bool]], counts: list[int], one_moment: set[int]
) -> None:
    nodes = {f"n{at}": Planned(f"n{at}", groups, turn, waits) for at, (groups, turn, waits) in enumerate(made)}
    held = dict(zip(nodes, counts, strict=False))
    chosen = frozenset(f"n{at}" for at in one_moment) & nodes.keys()
    found = waves(nodes.values(), held, [Together(("a",), frozenset(chosen))] if chosen else [])
    assert sorted(name for wave in found for name in wave.nodes) == sorted(nodes)
    apart = [wave for wave in found if wave.at_once is None]
    assert [frozenset(wave.nodes) for wave in found if wave.at_once] == [chosen] * bool(chosen)
    for wave in apart:
        groups = [group for name in wave.nodes for group in nodes[name].groups]
        assert len(groups) == len(set(groups))
    ranks = [max((nodes[name].turn, nodes[name].waits, held.get(name, 0) > 0) for name in wave.nodes) for wave in found]
    assert ranks == sorted(ranks), "servers first, standby nodes before holders"


def test_a_plan_says_how_far_apart_members_may_be() -> None:
    """Three adverts and a skew, less the advert that came just before; of the most impatient of all."""
    (wave,) = plan(pair(), interval=0.2).waves
    assert wave.nodes == ("b", "a")
    assert wave.at_once is not None
    assert wave.at_once.groups == ("VI_1",)
    assert wave.at_once.missing == ()
    assert wave.at_once.within_s is not None
    assert 0.4 < wave.at_once.within_s < 0.6


def test_a_member_that_does_not_change_along_is_missing() -> None:
    only = make_plan(pair(), {**pair(), "b": raw_bundle("b", text("b", vrid=52, name="VI_1"))})
    (wave,) = only.waves
    assert wave.nodes == ("b",)
    assert wave.at_once is not None
    assert wave.at_once.missing == ("a",)


def joining() -> Plan:
    third = {"c": raw_bundle("c", text("b", priority=90, interval=0.2))}
    return make_plan(pair(), {**pair(interval=0.2), **third})


def test_who_joins_a_group_whose_adverts_change_does_so_in_the_same_moment() -> None:
    (wave,) = joining().waves
    assert set(wave.nodes) == {"a", "b", "c"}
    assert wave.at_once is not None
    assert wave.at_once.missing == ()


def test_a_roll_out_may_ask_anew_once_it_knows_who_holds_what() -> None:
    found = plan(pair(), more="preempt_delay 5")
    assert names(found.waves) == [("b",), ("a",)]
    assert names(found.waves_with({"b": 1})) == [("a",), ("b",)]
