"""Who holds a group while a plan is carried out, and that plan and roll-out take the same order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plan.raw import bundle as raw_bundle
from tests.plan.raw import pair, plan, text
from tests.rollout.bundles import bundle

from holdfast.bundle import Bundle
from holdfast.plan import Hazard, Plan, make_plan
from holdfast.rollout import Apply, NodePhase, Stop, batches, decide
from holdfast.rollout.decide import begin


def ranked(**priorities: int) -> dict[str, Bundle]:
    """Members of one group; each knows the others."""
    found = {}
    for node, priority in priorities.items():
        made = bundle(node, groups=(("www", priority),))
        peers = tuple(other for other in priorities if other != node)
        group = made.expected.vrrp[0].model_copy(update={"peers": peers})
        found[node] = made.model_copy(update={"expected": made.expected.model_copy(update={"vrrp": (group,)})})
    return found


def moves(found: Plan) -> list[tuple[str, str]]:
    return [
        (node.node, change.what) for node in found.nodes for change in node.changes if change.row.startswith("group-")
        and change.hazard.rank >= Hazard.MOVES_VIP.rank
    ]  # fmt: skip


def test_a_holder_that_is_outranked_loses_the_group_with_the_change_that_outranks_it() -> None:
    found = make_plan(ranked(a=250, b=245), ranked(a=245, b=250))
    assert moves(found) == [("a", "moves from a to b with this node's change")]


def test_priorities_that_all_rise_move_a_group_there_and_back_if_the_standby_is_first() -> None:
    """Measured: 120/100 to 220/200, standby first: for a moment 200 is more than 120."""
    found = make_plan(ranked(a=120, b=100), ranked(a=220, b=200))
    assert [wave.nodes for wave in found.waves] == [("b",), ("a",)]
    assert moves(found) == [
        ("a", "moves from b to a with this node's change"), ("b", "moves from a to b with this node's change"),
    ]  # fmt: skip


def test_priorities_that_keep_the_order_throughout_move_nothing() -> None:
    found = make_plan(ranked(a=250, b=200), ranked(a=240, b=210))
    assert moves(found) == []
    assert found.hazard is Hazard.RELOAD


def test_a_new_member_takes_the_group_if_it_is_better_and_nothing_if_it_is_not() -> None:
    assert moves(make_plan(ranked(a=250), ranked(a=250, b=245))) == []
    assert moves(make_plan(ranked(a=250), ranked(a=250, b=255))) == [("b", "moves from a to b with this node's change")]


def test_a_member_that_leaves_takes_nothing_along_unless_it_holds() -> None:
    assert moves(make_plan(ranked(a=250, b=245), ranked(a=250))) == []
    assert moves(make_plan(ranked(a=250, b=245), ranked(b=245))) == [("a", "moves from a to b with this node's change")]
    assert moves(make_plan(ranked(a=250, b=245), {})) == [
        ("a", "nobody holds its addresses"),
    ]  # fmt: skip


def test_who_may_not_preempt_waits() -> None:
    old = pair()
    better = {**old, "b": raw_bundle("b", text("b", priority=130, more="nopreempt"))}
    assert make_plan(old, better).hazard is Hazard.RELOAD
    assert plan(pair(more="nopreempt")).hazard is Hazard.MOVES_VIP  # a better one that stands by takes it back


def test_where_not_all_members_are_known_any_rank_may_move_it() -> None:
    old, new = {"a": raw_bundle("a", text("a"))}, {"a": raw_bundle("a", text("a", priority=119))}
    assert make_plan(old, new).hazard is Hazard.MOVES_VIP


def test_a_group_with_one_member_has_nobody_who_could_mishear_it() -> None:
    old, new = ranked(a=250), ranked(a=250)
    group = new["a"].expected.vrrp[0].model_copy(update={"advert_interval_ms": 500})
    alone = new["a"].model_copy(update={"expected": new["a"].expected.model_copy(update={"vrrp": (group,)})})
    found = make_plan(old, {"a": alone})
    assert found.hazards == {Hazard.RELOAD}
    assert found.nodes[0].changes[0].row == "adverts-alone"


def rolled_out(found: Plan) -> list[str]:
    """The order in which a roll-out applies a plan, if nothing goes wrong."""
    state, done = begin(tuple(batch.nodes for batch in batches(found, found.held))), list[str]()
    while not isinstance(step := decide(state), Stop):  # ends: each step verifies some nodes
        assert isinstance(step, Apply)
        done += step.nodes
        for node in step.nodes:
            state = state.with_phase(node, NodePhase.VERIFIED)
    return done


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 254), min_size=1),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 254), min_size=1),
)
def test_a_plan_shows_the_order_that_a_roll_out_takes(old: dict[str, int], new: dict[str, int]) -> None:
    found = make_plan(ranked(**old), ranked(**new))
    assert [node for wave in found.waves for node in wave.nodes] == rolled_out(found)


SOURCES = {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.5"}


def unicast(*nodes: str) -> dict[str, Bundle]:
    """Members that know each other by address."""
    found = {}
    for number, node in enumerate(nodes):
        peers = "\n".join(SOURCES[other] for other in nodes if other != node)
        more = f"unicast_src_ip {SOURCES[node]}\nunicast_peer {{\n{peers}\n}}"
        found[node] = raw_bundle(node, text("a", priority=120 - number, more=more))
    return found


def test_who_joins_unicast_members_is_changed_after_them() -> None:
    """Before they know it, it would hear nobody and hold the address, too."""
    found = make_plan(unicast("a", "b"), unicast("a", "b", "c"))
    assert [wave.nodes for wave in found.waves] == [("b",), ("a",), ("c",)]
    assert found.hazard is Hazard.RELOAD
    assert {change.row for node in found.nodes for change in node.changes} >= {"unicast-peer"}


def test_who_leaves_unicast_members_is_changed_before_the_holder() -> None:
    found = make_plan(unicast("a", "b", "c"), unicast("a", "b"))
    assert [wave.nodes for wave in found.waves] == [("b",), ("c",), ("a",)]
    assert Hazard.SIMULTANEOUS not in found.hazards


def test_another_address_of_a_unicast_member_needs_all_at_once() -> None:
    new = unicast("a", "b")
    file = new["b"].files[0]
    moved = file.model_copy(update={"content": file.content.replace("10.0.0.2", "10.0.0.22")})
    new["b"] = new["b"].model_copy(update={"files": (moved,)})
    told = new["a"].files[0]
    told = told.model_copy(update={"content": told.content.replace("10.0.0.2", "10.0.0.22")})
    new["a"] = new["a"].model_copy(update={"files": (told,)})
    found = make_plan(unicast("a", "b"), new)
    assert found.hazard is Hazard.SIMULTANEOUS
    assert found.waves[0].at_once


def test_files_that_call_a_group_differently_are_one_group_by_its_number() -> None:
    def named(**changes: object) -> dict[str, Bundle]:
        return {node: raw_bundle(node, text(node, name=f"VI_{node}", **changes)) for node in "ab"}

    found = make_plan(named(), named(version=2))
    assert found.hazard is Hazard.SIMULTANEOUS
    assert found.waves[0].nodes == ("b", "a")
    better = {**named(), "b": raw_bundle("b", text("b", name="VI_b", priority=130))}
    assert moves(make_plan(named(), better)) == [("b", "moves from a to b with this node's change")]
    assert make_plan(named(), named(vrid=52)).waves[0].at_once


def test_a_member_that_the_others_do_not_know_is_told_as_a_second_holder() -> None:
    """It knows them, but they send it nothing: it hears nobody, and takes the addresses, too."""
    old, all_three = unicast("a", "b"), unicast("a", "b", "c")
    found = make_plan(old, {**old, "c": all_three["c"]})
    (node,) = found.nodes
    assert [(c.row, c.what) for c in node.changes if c.hazard is Hazard.DROPS_CONNECTIONS] == [
        ("group-two", "a and c hold it from this node's change on"),
    ]  # fmt: skip


def test_instances_of_a_sync_group_move_together() -> None:
    """One that is outranked takes nothing while the other members of its group are the better ones."""
    group = "vrrp_sync_group g {\ngroup {\nVI_1\nVI_2\n}\n}"

    def both(first: dict[str, int], second: dict[str, int]) -> dict[str, Bundle]:
        return {
            node: raw_bundle(
                node,
                text(node, priority=first[node], before=group)
                + text(node, name="VI_2", vrid=52, priority=second[node], addresses="10.0.0.5/24", excluded=""),
            )
            for node in "ab"
        }

    old = both({"a": 120, "b": 100}, {"a": 120, "b": 100})
    assert moves(make_plan(old, both({"a": 120, "b": 130}, {"a": 120, "b": 100}))) == []
    assert moves(make_plan(old, both({"a": 120, "b": 130}, {"a": 120, "b": 130}))) == [
        ("b", "moves from a to b with this node's change"), ("b", "moves from a to b with this node's change"),
    ]  # fmt: skip
