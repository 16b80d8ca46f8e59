"""The examples of virtual servers, rehearsed as a user would do it: on a kernel with IPVS, or in the lab's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from holdfast.lab.vm.where import lacking_here

ROOT = Path(__file__).parent.parent.parent
# One for LVS in `make test`: the one in which most can go wrong, because the gateway of the real servers moves, too,
# and answers have to come back over the director that knows the connection. The others, DR and TUN among them, in a
# soak: every way of forwarding carries its bytes in tests/vm/test_modes.py, and a director behind DR dies in a lab that
# is kept (tests/vm/test_commands.py).
IN_EVERY_TEST = ("lvs-nat-floating-gateway",)
EXAMPLES = [
    pytest.param(path, id=path.parent.name, marks=() if path.parent.name in IN_EVERY_TEST else pytest.mark.soak)
    for path in sorted((ROOT / "examples").glob("lvs-*/cluster.yaml"))
]
WITHIN_S = 1800  # three minutes on a quiet core; behind other tests it gets what they leave

pytestmark = [
    pytest.mark.vm,
    pytest.mark.rehearsal,
    pytest.mark.timeout(WITHIN_S + 60),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a rehearsal makes network namespaces"),
    *((pytest.mark.own_clock,) if lacking_here(["ip_vs"]) else ()),  # else this machine's kernel does, in its own time
]


def rehearsed(spec: Path, folder: Path) -> dict[str, Any]:
    """The report of a rehearsal that met every objective."""
    argv = [sys.executable, "-m", "holdfast.cli", "rehearse", str(spec), "--report", str(folder)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return report


@pytest.mark.parametrize("spec", EXAMPLES)
def test_an_example_survives_its_rehearsal(spec: Path, tmp_path: Path) -> None:
    report = rehearsed(spec, tmp_path)
    steps = {step["name"]: step for step in report["steps"]}
    # Connections were open when each director died, and none was cut.
    lost = [step for step in report["steps"] if step["kind"] == "node_lost"]
    assert len(lost) == 2
    for step in lost:
        assert step["live"]["live"] >= 2, step
        assert step["live"]["cut"] == 0, step
    planned = [step for step in report["steps"] if step["kind"] == "planned"]
    assert all((step["failed"], step["live"]["cut"]) == (0, 0) for step in planned), planned
    # Every server of every virtual server was used; without persistence, as often as its weight says.
    for found in report["virtual_servers"].values():
        rows = [row for row in found["servers"].values() if row["weight"]]
        counted = sum(row["connections"] for row in rows)
        if not found["persistence"] and found["scheduler"] in ("rr", "wrr") and counted > 50:
            assert all(abs(row["share"] - row["by_weight"]) < 0.15 for row in rows), found
    drained = next(step for name, step in steps.items() if name.startswith("drain "))
    assert drained["sent"] > 0
    page = (tmp_path / "report.html").read_text()
    assert "New connections against the weights" in page
