"""A whole rehearsal with the real programs: short, but with everything that the long one does."""

from __future__ import annotations

import os
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from holdfast.compile.compiler import CompileInput
from holdfast.compile.lock import Lock, Secrets
from holdfast.errors import LabError
from holdfast.lab.lab import Lab
from holdfast.lab.rehearsal import Progress, rehearse
from holdfast.lab.report import keep_logs, write_report
from holdfast.lab.scenario import Scenario
from holdfast.lab.scenario_default import default_scenario
from holdfast.lab.scenario_file import parse_scenario
from holdfast.lab.traffic_records import TrafficPlan
from holdfast.lab.verdict import Verdict
from holdfast.spec import load_spec

pytestmark = pytest.mark.lab
DUAL = Path(__file__).parents[2] / "examples" / "dual-master-nginx" / "cluster.yaml"
PLAN = TrafficPlan(new_per_second=25, kept_per_second=10)


@pytest.fixture
def source() -> CompileInput:
    if os.geteuid() != 0:
        pytest.skip("a lab needs root")
    if missing := [program for program in ("keepalived", "nginx", "nft", "ip") if not shutil.which(program)]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    loaded = load_spec(DUAL)
    return CompileInput(loaded, Lock(cluster=loaded.spec.cluster), Secrets(cluster=loaded.spec.cluster))


def left_behind(name: str) -> list[str]:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if line.startswith(f"hf-{name}")] + [
        n for n in Lab.list() if n == name
    ]


def test_a_lost_node_a_lost_service_and_a_refused_change(source: CompileInput, tmp_path: Path) -> None:
    loaded = source.loaded
    text = "steps:\n  - {crash: lb01}\n  - {boot: lb01}\n  - {kill_service: nginx@lb02}\n  - {heal: lb02}\n"
    broken = parse_scenario(text, "s.yaml", loaded.spec, DUAL.parent)
    refused = default_scenario(loaded).steps[-1]
    scenario = Scenario((*broken.steps, refused))
    seen: list[Progress] = []
    name = f"reh{os.getpid()}"
    made = rehearse(
        source,
        scenario,
        lab=name,
        plan=PLAN,
        progress=seen.append,
        before_down=lambda lab: keep_logs(lab, tmp_path),
    )
    assert left_behind(name) == []
    steady, crash, boot, kill, heal, last = made.steps
    assert made.verdict is Verdict.PASS, [(s.name, s.reasons) for s in made.steps if s.reasons]
    assert (steady.failed, last.failed) == (0, 0)
    assert crash.holders_after == {"10.0.0.3": ("lb02",), "10.0.0.4": ("lb02",)}
    assert crash.failover_s is not None
    assert 0.05 < crash.failover_s < 2.5
    # A user sees a gap of about that long, and not much more: the new holder says who it is.
    assert crash.failover_s - 0.1 < crash.longest_gap_s < crash.failover_s + 2.5
    assert boot.holders_after == heal.holders_after == steady.holders_before
    assert kill.holders_after == {"10.0.0.3": ("lb01",), "10.0.0.4": ("lb01",)}
    assert any("refused" in remark for remark in last.remarks)
    assert all(first.ended <= second.began + 0.01 for first, second in pairwise(made.steps))
    # nginx's own log knows every request that was answered there, and no more than the client sent.
    logged = sum(
        len(path.read_text().splitlines()) for path in (tmp_path / "logs").rglob("access.log") if "nginx" in path.parts
    )
    answered = sum(record.ok for record in made.evidence.records)
    assert answered <= logged <= len(made.evidence.records) + sum(r.repeated for r in made.evidence.records)
    assert {p.finished.name for p in seen if p.finished} >= {"crash lb01", "boot lb01"}
    assert write_report(made, tmp_path, "holdfast rehearse").is_file()


def test_a_rehearsal_that_is_interrupted_leaves_nothing(source: CompileInput) -> None:
    name = f"int{os.getpid()}"

    def interrupt(event: Progress) -> None:
        if event.doing == "steady traffic":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rehearse(source, lab=name, plan=PLAN, progress=interrupt)
    assert left_behind(name) == []


def test_a_cluster_that_never_works_is_no_ground_for_a_rehearsal(
    source: CompileInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.lab.quiet.READY_WITHIN_S", 4.0)
    name = f"ded{os.getpid()}"

    def stop_the_servers(event: Progress) -> None:
        if event.doing.startswith("waiting until"):
            for node in ("web01", "web02", "web03"):
                subprocess.run(["ip", "-n", f"hf-{name}.{node}", "link", "set", "eth0", "down"], check=True)

    with pytest.raises(LabError, match="Before anything was broken"):
        rehearse(source, lab=name, plan=PLAN, progress=stop_the_servers)
    assert left_behind(name) == []
