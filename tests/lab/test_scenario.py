"""Scenarios: mistakes in a file, the one that is made from a spec, and who must hold what on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.bundle import Bundle
from holdfast.compile.compiler import CompileInput, compile_cluster
from holdfast.compile.lock import Lock, Secrets, complete_lock
from holdfast.errors import SpecError, UsageError
from holdfast.lab.programs import SUPERVISED
from holdfast.lab.scenario import Break, Breakage, Change, Heal, Kind, Move, Wait
from holdfast.lab.scenario_default import default_scenario, with_more, with_port_in_use
from holdfast.lab.scenario_file import load_scenario, members, parse_scenario, services_of
from holdfast.lab.scenario_world import World, expected_holders
from holdfast.sentences import Sentence
from holdfast.spec import LoadedSpec, load_spec, parse_spec

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*/cluster.yaml"))
DUAL = next(path for path in EXAMPLES if path.parent.name == "dual-master-nginx")
NO_PREEMPT = next(path for path in EXAMPLES if path.parent.name == "active-standby-nopreempt")
DR_PAIR = next(path for path in EXAMPLES if path.parent.name == "lvs-dr-pair")
NAMED = Path(__file__).parent / "named-scripts.yaml"
WITHOUT_LVS = [path for path in EXAMPLES if not load_spec(path).spec.virtual_servers]
BOTH = {"10.0.0.3": {"lb01"}, "10.0.0.4": {"lb02"}}


def parse(text: str) -> tuple[object, ...]:
    return parse_scenario(text, "s.yaml", load_spec(DUAL).spec, DUAL.parent).steps


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "hint"),
    [
        ("steps:\n  - {crash: lb03}\n", 2, 13, "there is no node 'lb03'", "did you mean 'lb0"),
        ("steps:\n  - {chrash: lb01}\n", 2, 6, "'chrash' is not a field", "did you mean 'crash'?"),
        ("steps:\n  - {crash: lb01, boot: lb01}\n", 2, 5, "exactly one thing that happens, here crash and boot", ""),
        ("steps:\n  - {name: nothing}\n", 2, 5, "here none", ""),
        ("steps:\n  - {cable: lb01.eth7}\n", 2, 13, "no interface of lb01 'eth7'", "did you mean 'eth0'?"),
        ("steps:\n  - {kill_service: haproxy@lb01}\n", 2, 20, "lb01 runs no haproxy", "nginx, prober, keepalived"),
        ("steps:\n  - {kill_service: nginx@web01}\n", 2, 20, "web01 runs no nginx", ""),
        ("steps:\n  - {kill_service: prober@web01}\n", 2, 20, "web01 runs no prober", ""),
        ("steps:\n  - {fail_script: uplink@lb01}\n", 2, 19, "no script of lb01 'uplink'", "there are: none"),
        ("steps:\n  - {fail_script: uplink}\n", 2, 19, "", ""),
        ("steps:\n  - {kill_backend: lb01}\n", 2, 20, "no server of a pool or a virtual server 'lb01'", ""),
        ("steps:\n  - {hang_keepalived: web01}\n", 2, 23, "no node of a VRRP group 'web01'", ""),
        ("steps:\n  - {partition: [lb01, lb01]}\n", 2, 17, "cannot be cut off from itself", ""),
        ("steps:\n  - {partition: [lb01]}\n", 2, 17, "", ""),
        ("steps:\n  - {move: wwww}\n", 2, 12, "there is no VRRP group 'wwww'", "did you mean 'www'?"),
        ("steps:\n  - {move: {group: www, to: web01}}\n", 2, 12, "no member of www 'web01'", ""),
        ("steps:\n  - {wait: 3}\n", 2, 12, "3 is not a duration", "3s"),
        ("steps:\n  - {wait: 2h}\n", 2, 5, "at most 10m", ""),
        ("steps:\n  - {apply: nowhere.yaml}\n", 2, 13, "cannot be read", ""),
        ("steps: []\n", 1, 8, "", ""),
        ("{}\n", 1, 1, "'steps' is missing", ""),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, line: int, column: int, message: str, hint: str) -> None:
    with pytest.raises(SpecError) as error:
        parse(text)
    (finding,) = error.value.findings
    assert finding.location is not None
    assert (finding.location.line, finding.location.column) == (line, column), str(finding)
    assert message in finding.message
    assert hint in finding.hint


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(SpecError) as error:
        parse("steps:\n  - {crash: a}\n  - {boot: lb01}\n  - {move: b}\n")
    assert [f.location.line for f in error.value.findings if f.location] == [2, 4]


def test_mistakes_of_a_spec_that_is_applied_are_its_own(tmp_path: Path) -> None:
    (tmp_path / "new.yaml").write_text("holdfast: 1\ncluster: x\nnodes: {a: 10.0.0.300}\n")
    (tmp_path / "s.yaml").write_text("steps: [{apply: new.yaml}]\n")
    with pytest.raises(SpecError) as error:
        load_scenario(tmp_path / "s.yaml", load_spec(DUAL).spec)
    assert "new.yaml" in str(error.value.findings[0].location)


def test_a_scenario_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load_scenario(tmp_path / "none.yaml", load_spec(DUAL).spec)


def test_names_are_made_unique_and_actions_understood(tmp_path: Path) -> None:
    steps = parse(
        "steps:\n  - {crash: lb01}\n  - {boot: lb01}\n  - {crash: lb01}\n  - {heal: all, name: calm, for: 0.5s}\n"
        "  - {slow_backend: {node: web01, delay: 500ms}}\n  - {release: www}\n  - {wait: 3s}\n"
    )
    assert [s.name for s in steps] == [  # type: ignore[attr-defined]
        "crash lb01", "boot lb01", "crash lb01 (2)", "calm", "slow_backend web01 by 0.5 s", "release www", "wait 3 s",
    ]  # fmt: skip
    assert [s.action for s in steps[3:]] == [  # type: ignore[attr-defined]
        Heal(None),
        Break(Breakage.SLOW_BACKEND, "web01", delay_s=0.5),
        Move("www", back=True),
        Wait(3.0),
    ]


def test_a_tracked_script_and_the_prober_can_be_broken_where_they_are() -> None:
    spec = load_spec(NAMED).spec
    text = "steps: [{fail_script: uplink-ok@lb01}, {kill_service: prober@lb02}]"
    steps = parse_scenario(text, "s.yaml", spec, NAMED.parent).steps
    assert [step.action for step in steps] == [
        Break(Breakage.FAIL_SCRIPT, "lb01", "uplink-ok"),
        Break(Breakage.KILL_SERVICE, "lb02", "prober"),
    ]
    assert {step.kind for step in steps} == {Kind.SERVICE_LOST}
    with pytest.raises(SpecError) as error:
        parse_scenario("steps: [{stop_service: prober@lb01}]", "s.yaml", spec, NAMED.parent)
    assert "only killed" in error.value.findings[0].message


def test_a_script_that_asks_real_servers_can_be_broken_and_moves_nothing() -> None:
    text = DR_PAIR.read_text(encoding="utf-8")
    asked = "check: &asked {http: /healthz, expect: [200-299], every: 2s, timeout: 2s, fall: 3}"
    assert asked in text
    spec = parse_spec(text.replace(asked, "check: &asked {script: shop-asks, every: 2s, timeout: 2s}")).spec
    steps = parse_scenario("steps: [{fail_script: shop-asks@lb01}]", "s.yaml", spec, NAMED.parent).steps
    assert [step.action for step in steps] == [Break(Breakage.FAIL_SCRIPT, "lb01", "shop-asks")]
    assert holders(World(spec).after(Break(Breakage.FAIL_SCRIPT, "lb01", "shop-asks")), {})["10.0.0.3"] == {"lb01"}
    with pytest.raises(SpecError) as error:
        parse_scenario("steps: [{fail_script: shop-asks@web01}]", "s.yaml", spec, NAMED.parent)
    assert "no script of web01" in error.value.findings[0].message


def test_every_tracked_script_fails_once_and_its_loss_moves_what_tracks_it() -> None:
    loaded = load_spec(NAMED)
    steps = default_scenario(loaded).steps
    failed = [step.action for step in steps if isinstance(step.action, Break) and step.kind is Kind.SERVICE_LOST]
    scripts = [Break(Breakage.FAIL_SCRIPT, node, "uplink-ok") for node in ("lb01", "lb02")]
    assert [fault for fault in failed if fault.what is Breakage.FAIL_SCRIPT] == scripts
    world = World(loaded.spec)
    assert holders(world.after(scripts[0]), {})["10.0.0.3"] == {"lb02"}
    assert holders(world.after(scripts[1]), {})["10.0.0.3"] == {"lb01"}


@pytest.mark.parametrize("path", WITHOUT_LVS, ids=lambda path: path.parent.name)
def test_the_default_scenario_breaks_everything_once_and_leaves_nothing_broken(path: Path) -> None:
    loaded = load_spec(path)
    scenario = default_scenario(loaded)
    assert scenario.steps == default_scenario(loaded).steps, "a pure function of the spec"
    assert len({step.name for step in scenario.steps}) == len(scenario.steps)
    faults = [step.action for step in scenario.steps if isinstance(step.action, Break)]
    assert {f.node for f in faults if f.what is Breakage.CRASH} == set(members(loaded.spec))
    killed = [(f.node, f.detail) for f in faults if f.what is Breakage.KILL_SERVICE]
    assert len(killed) == len(set(killed)) == len(members(loaded.spec))
    assert {f.what for f in faults} >= set(Breakage) - {Breakage.STOP_SERVICE, Breakage.FULL_DISK, Breakage.FAIL_SCRIPT}
    kinds = [step.kind for step in scenario.steps]
    assert kinds.count(Kind.PLANNED) == 3
    assert Kind.REFUSED in kinds
    world = World(loaded.spec)
    for step in scenario.steps:
        assert len(world.faults) <= 1
        world = world.after(step.action)
    assert (world.faults, world.held) == ((), frozenset())


@pytest.mark.parametrize("path", WITHOUT_LVS, ids=lambda path: path.parent.name)
def test_the_changes_of_the_default_scenario_compile_and_change_little(path: Path) -> None:
    loaded = load_spec(path)
    before = compiled(loaded)
    grown, what = with_more(loaded)
    assert not what or " " not in what or isinstance(what, Sentence)
    after = compiled(grown)
    (group,) = (n for n in loaded.spec.vrrp if grown.spec.vrrp[n] != loaded.spec.vrrp[n])
    old = {a.ip for a in loaded.spec.vrrp[group].addresses.values()}
    (added,) = {a.ip for a in grown.spec.vrrp[group].addresses.values()} - old
    assert str(added) in what
    taken = {a for node in loaded.spec.nodes.values() for a in node.addresses}
    taken |= {a.ip for g in loaded.spec.vrrp.values() for a in g.addresses.values()}
    assert added not in taken
    assert before.keys() == after.keys()
    refused = with_port_in_use(grown)
    assert refused is not None
    assert compiled(refused[0]) != after
    assert all(step.action.loaded for step in default_scenario(loaded).steps if isinstance(step.action, Change))


@pytest.mark.parametrize("path", [*EXAMPLES, NAMED], ids=lambda path: path.parent.name)
def test_what_can_be_killed_on_a_node_is_what_its_bundle_runs(path: Path) -> None:
    loaded = load_spec(path)
    running = {node: set(bundle.services) & set(SUPERVISED) for node, bundle in bundles(loaded).items()}
    assert running == {node: set(services_of(loaded.spec, node)) for node in running}


def compiled(loaded: LoadedSpec) -> dict[str, str]:
    return {node: bundle.digest for node, bundle in bundles(loaded).items()}


def bundles(loaded: LoadedSpec) -> dict[str, Bundle]:
    lock = complete_lock(loaded.spec, Lock(cluster=loaded.spec.cluster))
    secrets = Secrets(cluster=loaded.spec.cluster)
    return dict(compile_cluster(CompileInput(loaded, lock, secrets, process_events=False)))


def holders(world: World, before: dict[str, set[str]] | None = None) -> dict[str, set[str]]:
    return {a: set(e.holders) for a, e in expected_holders(world, before or BOTH).items()}


@pytest.mark.parametrize(
    ("fault", "www", "bbs"),
    [
        (Break(Breakage.CRASH, "lb01"), {"lb02"}, {"lb02"}),
        (Break(Breakage.FREEZE, "lb02"), {"lb01"}, {"lb01"}),
        (Break(Breakage.KILL_SERVICE, "lb01", "nginx"), {"lb02"}, {"lb02"}),
        (Break(Breakage.STOP_SERVICE, "lb01", "nginx"), {"lb02"}, {"lb02"}),
        (Break(Breakage.CABLE, "lb01", "eth0"), {"lb02"}, {"lb02"}),
        (Break(Breakage.PARTITION, "lb01", "lb02"), {"lb01", "lb02"}, {"lb01", "lb02"}),
        (Break(Breakage.FULL_DISK, "lb01"), {"lb01"}, {"lb02"}),
        (Break(Breakage.KILL_BACKEND, "web01"), {"lb01"}, {"lb02"}),
    ],
)
def test_who_must_hold_what(fault: Break, www: set[str], bbs: set[str]) -> None:
    world = World(load_spec(DUAL).spec)
    broken = world.after(fault)
    assert holders(broken) == {"10.0.0.3": www, "10.0.0.4": bbs}
    assert holders(broken.after(Heal(fault.node))) == BOTH


def test_a_hung_keepalived_may_keep_what_it_carried_and_nothing_else() -> None:
    world = World(load_spec(DUAL).spec).after(Break(Breakage.HANG_KEEPALIVED, "lb01"))
    expected = expected_holders(world, BOTH)
    assert expected["10.0.0.3"].met_by({"lb01", "lb02"})
    assert expected["10.0.0.3"].met_by({"lb02"})
    assert not expected["10.0.0.3"].met_by({"lb01"})
    assert not expected["10.0.0.4"].met_by({"lb01", "lb02"})


def test_a_move_lasts_until_it_is_taken_back() -> None:
    world = World(load_spec(DUAL).spec)
    moved = world.after(Move("www", "lb02"))
    assert holders(moved)["10.0.0.3"] == {"lb02"}
    assert holders(moved.after(Move("www", back=True))) == BOTH


def test_without_preemption_the_holder_stays() -> None:
    spec = load_spec(NO_PREEMPT).spec
    (address, *_) = [str(a.ip) for a in spec.vrrp["site"].addresses.values()]
    world = World(spec)
    after_crash = holders(world.after(Break(Breakage.CRASH, "lb01")), {address: {"lb01"}})
    assert after_crash[address] == {"lb02"}
    assert holders(world, {address: {"lb02"}})[address] == {"lb02"}
