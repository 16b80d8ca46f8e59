"""kill -9 of a director's agent at any moment, with a kernel that has IPVS: the tests of `inside_kill.py`, in there."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from holdfast.lab.vm.machine import ENVIRONMENT, Machine

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
INSIDE = "tests/vm/inside_kill.py"


def killed(vm: Machine, count: int, seed: int, within_s: float) -> None:
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", str(int(within_s)), INSIDE]
    more = {"PYTHONDONTWRITEBYTECODE": "1", "HOLDFAST_KILLS": str(count), "HOLDFAST_SEED": str(seed)}
    done = vm.run(argv, timeout=within_s + 30, cwd=str(ROOT), env={**ENVIRONMENT, **more})
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "1 passed" in done.stdout


def test_twenty_kills(vm: Machine) -> None:
    killed(vm, 20, seed=20, within_s=860)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_two_hundred_kills(vm: Machine) -> None:
    killed(vm, 200, seed=random.SystemRandom().randrange(1 << 32), within_s=7000)
