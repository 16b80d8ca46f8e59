"""Who holds a group of a spec: keepalived's election as measured, with and without preemption."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.failover.from_spec import cluster_from_spec, hold_file
from holdfast.failover.machine import Machine
from holdfast.failover.model import Cluster, Watched, World
from holdfast.failover.router import State
from holdfast.failover.standing import standing
from holdfast.spec.cluster import ClusterSpec


@dataclass(frozen=True)
class Situation:
    """What is wrong: dead nodes, (group, node) pairs that are held back, (node, what) that is lost."""

    dead: frozenset[str] = frozenset()
    held: frozenset[tuple[str, str]] = frozenset()
    lost: frozenset[tuple[str, str]] = frozenset()


def group(**more: Any) -> Cluster:
    www = {"addresses": ["10.0.0.3"], "nodes": ["a", "b"], **more}
    nodes = {name: f"10.0.0.{11 + at}" for at, name in enumerate(www["nodes"])}
    network = {"front": {"cidr": "10.0.0.0/24"}}
    spec = {"holdfast": 1, "cluster": "c", "networks": network, "nodes": nodes, "vrrp": {"www": www}}
    return cluster_from_spec(ClusterSpec.model_validate(spec))


def broken(cluster: Cluster, situation: Situation) -> World:
    failed = frozenset(
        (node, kind, what)
        for node, what in situation.lost
        if node in cluster.nodes
        for kind in Watched
        if (kind, what) in cluster.nodes[node].watched
    )
    values = {(node, hold_file(name)): -254 for name, node in situation.held}
    return World(dead=situation.dead, failed=failed, values=values)


def effective_priority(name: str, cluster: Cluster, node: str, situation: Situation) -> int | None:
    if node in situation.dead:
        return None
    found = standing(cluster.nodes[node], cluster.instance((node, "www")), broken(cluster, situation))
    return None if found.faults else found.priority


def holder(name: str, cluster: Cluster, situation: Situation, current: str | None) -> str | None:
    active = [] if current is None else [(current, "www")]
    machine = Machine.held_by(cluster, broken(cluster, situation), active)
    assert machine.settle()
    held = [place[0] for place, state in machine.states().items() if state is State.ACTIVE]
    assert len(held) <= 1
    return next(iter(held), None)


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
    other = Situation(held=frozenset({("bbs", "a")}))
    assert holder("www", group(preempt=preempt), other, "a") == "a"
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
