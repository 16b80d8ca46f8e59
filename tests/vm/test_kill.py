"""kill -9 of a director's agent at any moment, with a kernel that has IPVS: the tests of `inside_kill.py`, in there."""

from __future__ import annotations

import random

import pytest
from tests.vm.inside import run_inside

from holdfast.lab.vm.machine import Machine

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("our time")]


def killed(vm: Machine, count: int, seed: int, within_s: int) -> None:
    told = {"HOLDFAST_KILLS": str(count), "HOLDFAST_SEED": str(seed)}
    assert "1 passed" in run_inside(vm, "inside_kill.py", each_within_s=within_s, within_s=within_s, **told)


def test_twenty_kills(vm_in_our_time: Machine) -> None:
    killed(vm_in_our_time, 20, seed=20, within_s=1700)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_two_hundred_kills(vm_in_our_time: Machine) -> None:
    killed(vm_in_our_time, 200, seed=random.SystemRandom().randrange(1 << 32), within_s=7000)
