"""Who holds a group: keepalived's election as measured, with and without preemption."""

from __future__ import annotations

from itertools import chain, combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.failover import Situation, effective_priority, holder
from holdfast.spec.vrrp import VrrpGroup


def group(**more: Any) -> VrrpGroup:
    return VrrpGroup.model_validate({"addresses": ["10.0.0.3"], "nodes": ["a", "b"], **more})


NGINX = {"keeps_while": [{"process": "nginx"}]}
UPLINK = {"keeps_while": [{"script": "uplink", "on_loss": "yield"}]}
WELL = Situation()


def test_the_first_node_holds_when_all_is_well() -> None:
    assert holder("www", group(), WELL, None) == "a"
    assert holder("www", group(), WELL, "b") == "a", "and takes the group back"


def test_without_preemption_the_group_stays_where_it_is() -> None:
    calm = group(preempt=False, **NGINX)
    assert holder("www", calm, WELL, "b") == "b"
    assert holder("www", calm, WELL, None) == "a"
    assert holder("www", calm, Situation(dead=frozenset("b")), "b") == "a"
    assert holder("www", calm, WELL, "a") == "a", "when b comes back it does not move again"


def test_a_release_moves_a_group_even_without_preemption() -> None:
    """Measured: an unweighted tracker with `nopreempt` fails over, a weighted one never does (and is refused)."""
    lost = Situation(lost=frozenset({("a", "nginx")}))
    assert holder("www", group(preempt=False, **NGINX), lost, "a") == "b"


def test_a_yield_holds_on_when_there_is_nobody_else() -> None:
    lost = Situation(lost=frozenset({("a", "uplink")}))
    assert holder("www", group(**UPLINK), lost, "a") == "b"
    alone = Situation(dead=frozenset("b"), lost=lost.lost)
    assert holder("www", group(**UPLINK), alone, "a") == "a"
    both = Situation(lost=frozenset({("a", "uplink"), ("b", "uplink")}))
    assert holder("www", group(**UPLINK), both, "b") == "a", "with one loss each, preference decides"


def test_a_release_has_no_holder_when_there_is_nobody_else() -> None:
    both = Situation(lost=frozenset({("a", "nginx"), ("b", "nginx")}))
    assert holder("www", group(**NGINX), both, "a") is None


@pytest.mark.parametrize("preempt", [True, False])
def test_a_hold_file_gives_one_group_up_and_no_other(preempt: bool) -> None:
    """Measured: −254 moves the group also under nopreempt; both nodes at −254 leave nobody."""
    held = Situation(held=frozenset({("www", "a")}))
    assert holder("www", group(preempt=preempt), held, "a") == "b"
    assert holder("bbs", group(preempt=preempt), held, "a") == "a"
    assert holder("www", group(preempt=preempt), Situation(held=frozenset({("www", "a"), ("www", "b")})), "a") is None


def test_an_http_tracker_is_known_by_what_it_asks() -> None:
    web = group(keeps_while=[{"http": "127.0.0.1:8080/healthz"}])
    lost = Situation(lost=frozenset({("a", "127.0.0.1:8080/healthz")}))
    assert effective_priority("www", web, "a", lost) is None
    assert holder("www", web, lost, "a") == "b"


def test_numbers_of_the_operators_count_as_keepalived_counts_them() -> None:
    """Positive weights count while all is well, negative ones when something is lost."""
    numbers = group(
        nodes={"a": 120, "b": 100}, keeps_while=[{"script": "x", "weight": 30}, {"script": "y", "weight": -60}]
    )
    lost_x = Situation(lost=frozenset({("a", "x")}))
    lost_both = Situation(lost=frozenset({("a", "x"), ("a", "y")}))
    assert effective_priority("www", numbers, "a", WELL) == 150
    assert effective_priority("www", numbers, "a", lost_x) == 120
    assert effective_priority("www", numbers, "a", lost_both) == 60
    assert holder("www", numbers, lost_x, "a") == "b"


SITUATIONS = st.builds(
    Situation,
    dead=st.frozensets(st.sampled_from("abc")),
    held=st.frozensets(st.tuples(st.sampled_from(["www", "bbs"]), st.sampled_from("abc"))),
    lost=st.frozensets(st.tuples(st.sampled_from("abc"), st.sampled_from(["nginx", "uplink", "disk"]))),
)
THREE = {
    "nodes": ["a", "b", "c"],
    "keeps_while": [
        {"process": "nginx"},
        {"script": "uplink", "on_loss": "yield"},
        {"script": "disk", "on_loss": "yield"},
    ],
}


@settings(max_examples=300, deadline=None)
@given(SITUATIONS)
def test_with_preemption_the_holder_is_the_eligible_node_with_the_fewest_losses(situation: Situation) -> None:
    eligible = [
        node
        for node in "abc"
        if node not in situation.dead and ("www", node) not in situation.held and (node, "nginx") not in situation.lost
    ]
    losses = {node: sum((node, what) in situation.lost for what in ("uplink", "disk")) for node in eligible}
    expected = min(eligible, key=lambda node: (losses[node], node), default=None)
    for current in (None, "a", "b", "c"):
        assert holder("www", group(**THREE), situation, current) == expected


@settings(max_examples=300, deadline=None)
@given(SITUATIONS, st.sampled_from([None, "a", "b", "c"]))
def test_without_preemption_only_a_holder_that_may_not_hold_is_replaced(
    situation: Situation, current: str | None
) -> None:
    calm = group(nodes=["a", "b", "c"], preempt=False, **NGINX)
    eligible = [node for node in "abc" if effective_priority("www", calm, node, situation) is not None]
    expected = current if current in eligible else next(iter(eligible), None)
    assert holder("www", calm, situation, current) == expected


def test_every_single_failure_of_a_pair_has_exactly_one_holder() -> None:
    """Exhaustive: one thing lost anywhere never leaves the group without a holder, and never with a broken one."""
    pair = group(keeps_while=[{"process": "nginx"}, {"script": "uplink", "on_loss": "yield"}])
    single = chain(
        (Situation(dead=frozenset(node)) for node in "ab"),
        (Situation(held=frozenset({("www", node)})) for node in "ab"),
        (Situation(lost=frozenset({(node, what)})) for node in "ab" for what in ("nginx", "uplink")),
    )
    for situation, current in ((s, c) for s in single for c in (None, "a", "b")):
        broken = situation.dead | {node for _, node in situation.held} | {node for node, _ in situation.lost}
        assert holder("www", pair, situation, current) == next(node for node in "ab" if node not in broken)


def test_names_do_not_decide() -> None:
    """The order in the spec does, whatever the nodes are called."""
    for one, other in combinations(["zeta", "alpha", "lb10", "lb9"], 2):
        assert holder("www", group(nodes=[one, other]), WELL, None) == one
        assert holder("www", group(nodes=[other, one]), WELL, None) == other
