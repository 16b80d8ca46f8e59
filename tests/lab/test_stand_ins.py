"""Scripts and hooks out of the nodes' policies: played by stand-ins in a lab, and made to fail there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.waiting import wait_until

from holdfast.agent.policy import POLICY_FILE, parse_policy
from holdfast.agent.probes.install import PROBE
from holdfast.bundle import PolicyNames
from holdfast.compile.compiler import CompileInput
from holdfast.compile.lock import Lock, Secrets
from holdfast.errors import LabError, UsageError
from holdfast.lab import faults, stand_ins
from holdfast.lab.cluster import LabCluster
from holdfast.lab.faults import FailScript, KillService
from holdfast.lab.node import Node
from holdfast.lab.rehearsal import rehearse
from holdfast.lab.report_data import substitutions
from holdfast.lab.scenario_file import parse_scenario
from holdfast.lab.traffic_records import TrafficPlan
from holdfast.lab.verdict import Verdict
from holdfast.spec import load_spec, parse_spec

NAMED = Path(__file__).parent / "named-scripts.yaml"
NAMES = PolicyNames(scripts=("a.b-c", "uplink-ok"), hooks=("tell",))


@pytest.fixture
def source(lab_possible: None) -> CompileInput:
    if missing := [program for program in ("keepalived", "nginx") if not shutil.which(program)]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    loaded = load_spec(NAMED)
    return CompileInput(loaded, Lock(cluster=loaded.spec.cluster), Secrets(cluster=loaded.spec.cluster))


def test_the_policy_of_a_lab_node_is_one_that_the_agent_reads() -> None:
    policy = parse_policy(stand_ins.policy_text(NAMES).encode(), "policy.toml")
    assert {name: entry.command for name, entry in policy.scripts.items()} == {
        name: (f"{stand_ins.FOLDER}/scripts/{name}",) for name in NAMES.scripts
    }
    assert list(policy.hooks) == ["tell"]
    assert parse_policy(stand_ins.policy_text(PolicyNames()).encode(), "policy.toml").scripts == {}


def test_what_is_played_is_told() -> None:
    told = [words.en for words in substitutions(load_spec(NAMED).spec, NAMES)]
    assert any("a.b-c, uplink-ok" in line and "stand-in" in line for line in told)
    assert any("(tell)" in line and "stand-in" in line for line in told)
    assert not any("stand-in" in words.en for words in substitutions(load_spec(NAMED).spec, PolicyNames()))


def test_what_is_on_a_node_may_be_named_as_in_a_scenario() -> None:
    fails = FailScript(node="lb01", script="uplink-ok")
    assert (
        faults.parse("fail_script", ["uplink-ok@lb01"]) == faults.parse("fail_script", ["lb01", "uplink-ok"]) == fails
    )
    assert faults.parse("kill_service", ["prober@lb01"]) == KillService(node="lb01", service="prober")
    for words in (["uplink-ok"], ["a@b", "c"], ["../x@lb01"], []):
        with pytest.raises(UsageError):
            faults.parse("fail_script", words)


def asked(node: Node, *words: str) -> int:
    return node.exec([PROBE, *words]).returncode


def holds(node: Node, address: str) -> bool:
    return address in node.exec(["ip", "-4", "-oneline", "address"]).stdout


@pytest.mark.lab
def test_a_lab_has_what_its_spec_names_and_gets_what_a_change_names(source: CompileInput, lab_name: str) -> None:
    cluster = LabCluster.up(source, lab_name)
    lab, node = cluster.lab, cluster.lab.node("lb01")
    assert cluster.stand_ins() == PolicyNames(scripts=("uplink-ok",), hooks=("tell",))
    assert [asked(node, "script", "uplink-ok"), asked(node, "hook", "tell", "www", "active")] == [0, 0]
    assert asked(node, "script", "other") == 2
    FailScript(node="lb01", script="uplink-ok").inject(lab)
    assert [asked(node, "script", "uplink-ok"), asked(lab.node("lb02"), "script", "uplink-ok")] == [1, 0]
    with pytest.raises(LabError, match="no script other in its policy"):
        FailScript(node="lb01", script="other").inject(lab)
    # A rollout that began before the address had moved away would find it gone in the middle, and put back.
    wait_until(lambda: holds(lab.node("lb02"), "10.0.0.3"))
    text = source.loaded.text.replace("[{script: uplink-ok,", "[{script: other}, {script: uplink-ok,")
    assert cluster.change(parse_spec(text, "more.yaml")).succeeded
    assert [asked(node, "script", "other"), asked(node, "script", "uplink-ok")] == [0, 1]
    faults.heal_all(lab)
    assert asked(node, "script", "uplink-ok") == 0
    assert not Path(stand_ins.FOLDER).exists(), "it is in the lab's node only"
    assert not os.path.exists(POLICY_FILE) or stand_ins.FOLDER not in Path(POLICY_FILE).read_text()


@pytest.mark.lab
def test_a_spec_with_named_scripts_is_rehearsed(source: CompileInput, lab_name: str) -> None:
    text = "steps: [{fail_script: uplink-ok@lb01}, {heal: lb01}, {kill_service: prober@lb02}, {heal: lb02}]"
    scenario = parse_scenario(text, "s.yaml", source.loaded.spec, NAMED.parent)
    made = rehearse(source, scenario, lab=lab_name, plan=TrafficPlan(new_per_second=25, kept_per_second=10))
    assert made.verdict is Verdict.PASS, [(s.name, s.reasons) for s in made.steps if s.reasons]
    steady, fails, healed, killed, back = made.steps
    assert steady.holders_after == {"10.0.0.3": ("lb01",)}
    assert fails.holders_after == {"10.0.0.3": ("lb02",)}
    assert fails.failover_s is not None
    assert healed.holders_after == steady.holders_after
    assert killed.holders_after == back.holders_after == steady.holders_after
    assert made.stand_ins.scripts == ("uplink-ok",)
