"""Every kind of check against a real server that fails, on a kernel that has IPVS: `inside_checks.py`, in there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from holdfast.lab.vm.machine import ENVIRONMENT, Machine

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
INSIDE = "tests/vm/inside_checks.py"


def test_each_kind_of_check_takes_a_failing_server_out(vm: Machine) -> None:
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "780", INSIDE]
    done = vm.run(argv, timeout=800, cwd=str(ROOT), env={**ENVIRONMENT, "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "1 passed" in done.stdout
