"""Plan, what-if and a rehearsal's expectations say the same of who holds what: there is one model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random

import pytest
from tests.failover.generated import generate
from tests.golden.cases import EXAMPLES, GOLDEN, Case
from tests.plan.raw import bundle

from holdfast.bundle import Bundle
from holdfast.compile.compiler import compile_cluster
from holdfast.failover.from_spec import cluster_from_spec
from holdfast.failover.model import Cluster
from holdfast.failover.model import World as Healthy
from holdfast.failover.standing import standing
from holdfast.failover.whatif import what_if
from holdfast.lab.scenario_world import World, expected_holders
from holdfast.plan import make_plan
from holdfast.plan.course import course, holders
from holdfast.plan.facts_keepalived import PATH, configuration
from holdfast.plan.members import State

CASES = [
    *(GOLDEN / name for name in ("dual-master", "no-preempt", "trackers", "unicast", "version-2", "numbers", "lvs-dr")),
    *(EXAMPLES / name for name in ("lvs-dual-master", "active-standby-nopreempt")),
]


def by_what_if(cluster: Cluster) -> dict[str, set[str]]:
    """Group → who holds it while all is well."""
    return {each.group: set(each.holders) for each in what_if(cluster, depth=1).normal.ways[0].held}


def by_plan(held: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    return {group: set(nodes) for group, nodes in held.items()}


def state(bundles: Mapping[str, Bundle]) -> State:
    files = {node: made.file(PATH) for node, made in bundles.items()}
    return State(bundles, {node: configuration(file, node) if file else None for node, file in files.items()}, {})


def bundles(confs: dict[str, str]) -> dict[str, Bundle]:
    return {node: bundle(node, text) for node, text in confs.items()}


def reranked(text: str, random: Random) -> str:
    return re.sub(r"priority \d+", lambda _: f"priority {random.randrange(2, 250)}", text)


def follows_from_ranks(cluster: Cluster) -> bool:
    """Whether who holds what hangs on nothing but the priorities: on no order, and no group."""
    ranks: dict[int, list[int]] = {}
    for place in cluster.places:
        instance = cluster.instance(place)
        if not instance.preempt or place[1] in cluster.nodes[place[0]].group_of:
            return False
        now = standing(cluster.nodes[place[0]], instance, Healthy())
        ranks.setdefault(instance.vrid, []).append(now.priority)
    return all(len(set(priorities)) == len(priorities) for priorities in ranks.values())


@pytest.mark.parametrize("seeds", [range(24), pytest.param(range(24, 400), marks=pytest.mark.soak)])
def test_a_plan_ends_as_a_what_if_says(seeds: range, tmp_path: Path) -> None:
    """Generated clusters, and the same with other priorities: who holds what before, and, where that hangs on nothing
    else, once the plan is carried out; every change of hands is told."""
    compared = 0
    for seed in seeds:
        confs = generate(seed, tmp_path).confs
        random = Random(seed)
        old, new = bundles(confs), bundles({node: reranked(text, random) for node, text in confs.items()})
        before, after = state(old), state(new)
        assert by_plan(holders(before)) == by_what_if(before.cluster), seed
        plan = make_plan(old, new)
        moments = list(course(before, after, plan.waves))
        told = [change for node in plan.nodes for change in node.changes if change.row.startswith("group-")]
        for moment in moments:
            for group, was in moment.was.items():
                if was and moment.now[group] and not set(was) & set(moment.now[group]):
                    assert f"moves from {was[0]} to {moment.now[group][0]}" in " ".join(c.what for c in told), seed
        if follows_from_ranks(after.cluster):
            compared += 1
            assert by_plan(moments[-1].now) == by_what_if(after.cluster), seed
    assert compared >= len(seeds) // 4, "else nothing is compared"


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_plan_what_if_and_rehearsal_agree_on_specs(folder: Path) -> None:
    """The plan reads the compiled files, the others the spec."""
    case = Case(folder)
    spec = case.source().loaded.spec
    planned = by_plan(holders(state(case.bundles())))
    assert planned == by_what_if(cluster_from_spec(spec))
    rehearsed = expected_holders(World(spec), {})
    for name, group in spec.vrrp.items():
        for address in group.addresses.values():
            assert planned[name] == rehearsed[str(address.ip)].holders


@pytest.mark.parametrize("change", ["preempt", "rank", "nothing"])
def test_a_node_changes_as_a_rehearsal_expects(change: str) -> None:
    """A holder stays where nobody may preempt, also when its rank falls; the rehearsal is asked with who held it."""
    case = Case(GOLDEN / "no-preempt")
    text = (folder_text := (case.folder / "cluster.yaml").read_text(encoding="utf-8"))
    assert "preempt: false" in folder_text
    if change == "preempt":
        text = folder_text.replace("preempt: false", "preempt: true")
    elif change == "rank":
        text = folder_text.replace("nodes: [lb01, lb02]", "nodes: [lb02, lb01]")
        assert text != folder_text
    source = case.source(text)
    old, new = case.bundles(), compile_cluster(source)
    plan = make_plan(old, new)
    moments = list(course(state(old), state(new), plan.waves))
    before = holders(state(old))
    end = moments[-1].now if moments else before
    spec = source.loaded.spec
    held = {str(a.ip): before[name] for name, group in spec.vrrp.items() for a in group.addresses.values()}
    for name, group in spec.vrrp.items():
        for address in group.addresses.values():
            assert set(end[name]) == expected_holders(World(spec), held)[str(address.ip)].holders
