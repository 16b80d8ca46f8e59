"""The agent's daemon on a director with a kernel that has IPVS: the test of `inside_daemon.py`, in there."""

from __future__ import annotations

import pytest
from tests.vm.inside import run_inside

from holdfast.lab.vm.machine import Machine

pytestmark = pytest.mark.lab


def test_overrides_and_drift_on_a_real_table(vm: Machine) -> None:
    run_inside(vm, "inside_daemon.py")
