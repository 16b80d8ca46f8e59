"""Run by pytest inside the virtual machine: the agent's daemon on a director, with a kernel that has IPVS."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.agent.machine import PYTHON, machine

ROOT = Path(__file__).resolve().parents[2]


def test_overrides_and_drift_of_the_table_go_through_the_daemon(tmp_path: Path) -> None:
    with machine(tmp_path, up_within_s=120) as node:
        argv = node.enter(("env", f"PYTHONPATH={ROOT}", PYTHON, "-m", "tests.vm.daemon_on_kernel"))
        done = subprocess.run(argv, capture_output=True, text=True, timeout=550, check=False)
    assert done.returncode == 0, done.stderr[-6000:]
    found = json.loads(done.stdout)
    whole = {"10.9.0.21:80": 100, "10.9.0.22:80": 100}
    assert (found["begun"], found["end"]) == (whole, whole)
    assert found["drift_of_an_override"] == ""
    assert "10.9.0.22" in found["drift"], found["drift"]
    assert found["told_s"] < 60
    assert found["over_s"] < 90
