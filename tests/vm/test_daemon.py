"""The agent's daemon on a director with a kernel that has IPVS: the test of `inside_daemon.py`, in there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from holdfast.lab.vm.machine import ENVIRONMENT, Machine

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
INSIDE = "tests/vm/inside_daemon.py"


@pytest.mark.timeout(1500)
def test_overrides_and_drift_on_a_real_table(vm: Machine) -> None:
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "600", INSIDE]
    done = vm.run(argv, timeout=1400, cwd=str(ROOT), env={**ENVIRONMENT, "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout
