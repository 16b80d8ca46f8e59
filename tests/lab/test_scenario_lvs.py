"""The scenario that is made from a spec with virtual servers, and what its changes are."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.compile.compiler import CompileInput, compile_cluster
from holdfast.compile.lock import Lock, Secrets, complete_lock
from holdfast.errors import SpecError
from holdfast.lab.scenario import Break, Breakage, Change, Heal, Kind, Move, Overrule
from holdfast.lab.scenario_default import default_scenario
from holdfast.lab.scenario_file import members, parse_scenario
from holdfast.lab.scenario_lvs import ADDED, expendable, with_another_server
from holdfast.lab.scenario_world import World
from holdfast.protocol import OverrideKind
from holdfast.sentences import Sentence
from holdfast.spec import LoadedSpec, load_spec, parse_spec
from holdfast.spec.resolve_lvs import all_directors
from holdfast.spec.virtual_servers import SYNC_ROUND_MS

EXAMPLES = [
    path
    for path in sorted((Path(__file__).parents[2] / "examples").glob("*/cluster.yaml"))
    if load_spec(path).spec.virtual_servers
]
DR = next(path for path in EXAMPLES if path.parent.name == "lvs-dr-pair")
every_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)


@every_example
def test_each_director_dies_once_and_nothing_stays_broken(path: Path) -> None:
    loaded = load_spec(path)
    scenario = default_scenario(loaded)
    assert scenario.steps == default_scenario(loaded).steps, "a pure function of the spec"
    assert len({step.name for step in scenario.steps}) == len(scenario.steps)
    faults = [step.action for step in scenario.steps if isinstance(step.action, Break)]
    assert [f.node for f in faults if f.what is Breakage.CRASH] == list(members(loaded.spec))
    world, orders = World(loaded.spec), []
    for step in scenario.steps:
        assert len(world.faults) <= 1
        world = world.after(step.action)
        orders.append(world.out_of_service)
    assert (world.faults, world.held, world.overruled) == ((), frozenset(), ())
    if path.parent.name == "sketch":
        return  # its real servers behind the directors have no second network …
    assert sum(map(bool, orders)) == 1, "one server is drained, for one step"
    assert {f.what for f in faults} >= {Breakage.CRASH, Breakage.FULL_DISK}
    assert {f.what for f in faults} & {Breakage.KILL_BACKEND, Breakage.KILL_SERVICE}
    kinds = [step.kind for step in scenario.steps]
    assert (kinds.count(Kind.PLANNED), kinds.count(Kind.REFUSED)) == (5, 1)
    assert [type(s.action) for s in scenario.steps if s.kind is Kind.PLANNED] == [
        Overrule, Overrule, Move, Move, Change,
    ]  # fmt: skip


@every_example
def test_nothing_breaks_before_a_director_that_returned_knows_the_connections(path: Path) -> None:
    steps = default_scenario(load_spec(path)).steps
    returns = [s for s in steps if isinstance(s.action, Heal) and s.name.startswith("boot ")]
    assert returns
    assert all(step.at_least_s > SYNC_ROUND_MS / 1000 + 3 for step in returns)


def test_a_director_of_two_networks_loses_one() -> None:
    steps = {path.parent.name: default_scenario(load_spec(path)).steps for path in EXAMPLES}
    pulled = {name: [s.name for s in found if "cable" in s.name] for name, found in steps.items()}
    assert pulled["lvs-nat-floating-gateway"] == ["cable lb01.eth1", "cable lb01.eth1 plugged in"]
    assert pulled["lvs-dr-pair"] == []


def compiled(loaded: LoadedSpec) -> dict[str, str]:
    lock = complete_lock(loaded.spec, Lock(cluster=loaded.spec.cluster))
    bundles = compile_cluster(CompileInput(loaded, lock, Secrets(cluster=loaded.spec.cluster), process_events=False))
    return {node: bundle.digest for node, bundle in bundles.items()}


@every_example
def test_the_server_that_is_added_serves_like_the_others(path: Path) -> None:
    loaded = load_spec(path)
    grown, what = with_another_server(loaded)
    assert what.startswith(ADDED)
    assert isinstance(what, Sentence)
    before, after = compiled(loaded), compiled(grown)
    assert set(after) - set(before) == {ADDED}
    changed = {node for node in before if before[node] != after[node]}
    assert changed >= set(all_directors(loaded.spec)) or path.parent.name == "sketch"
    assert not changed & {s.host for v in loaded.spec.virtual_servers.values() for s in v.servers}


def test_the_server_that_is_added_is_on_the_networks_of_the_others() -> None:
    """A proxy without a way to the applications would answer every request with an error."""
    path = next(path for path in EXAMPLES if path.parent.name == "lvs-nginx-two-tier")
    nodes = with_another_server(load_spec(path))[0].spec.nodes
    assert nodes[ADDED].interfaces.keys() == nodes["web01"].interfaces.keys()
    others = {address for name, node in nodes.items() if name != ADDED for address in node.addresses}
    assert not others & set(nodes[ADDED].addresses)


def test_a_server_that_nobody_can_do_without_is_not_expendable() -> None:
    text = """
holdfast: 1
cluster: x
networks: {front: {cidr: 10.0.0.0/24}}
nodes: {lb01: 10.0.0.5, lb02: 10.0.0.6, a: 10.0.0.7, b: 10.0.0.8}
vrrp: {www: {addresses: [10.0.0.3/24], nodes: [lb01, lb02]}}
virtual_servers:
  one: {on: 'www:80', forward: dr, servers: ['a:80', 'b:80'], check: {tcp: true}}
  two: {on: 'www:81', forward: dr, servers: ['b:81']QUORUM}
"""
    alone = parse_spec(text.replace("QUORUM", "")).spec
    found = expendable(alone, checked=True)
    assert found is not None
    assert found.written == "a:80"
    all_needed = text.replace("QUORUM", "").replace("check: {tcp: true}", "check: {tcp: true}, quorum: 2")
    assert expendable(parse_spec(all_needed).spec, checked=True) is None
    unchecked = parse_spec(text.replace("QUORUM", "").replace(", check: {tcp: true}", "")).spec
    assert expendable(unchecked, checked=True) is None
    assert expendable(unchecked, checked=False) is not None


def test_drain_suspend_and_resume_in_a_file() -> None:
    spec = load_spec(DR).spec
    text = "steps:\n  - {drain: 'web02'}\n  - {resume: 'web02'}\n  - {suspend: 'web01'}\n  - {crash: lb01}\n"
    steps = parse_scenario(text, "s.yaml", spec, DR.parent).steps
    assert [s.action for s in steps[:3]] == [
        Overrule("web02", OverrideKind.DRAINED),
        Overrule("web02", None),
        Overrule("web01", OverrideKind.SUSPENDED),
    ]
    assert [s.name for s in steps[:2]] == ["drain web02", "resume web02"]
    world = World(spec).after(steps[0].action).after(steps[2].action)
    assert world.out_of_service == {"web02", "web01"}
    assert world.after(steps[1].action).out_of_service == {"web01"}
    assert world.after(Heal(None)).out_of_service == world.out_of_service
    with pytest.raises(SpecError) as error:
        parse_scenario("steps:\n  - {drain: 'web3'}\n", "s.yaml", spec, DR.parent)
    (finding,) = error.value.findings
    assert "there is no real server 'web3'" in finding.message
    assert "web0" in finding.hint
