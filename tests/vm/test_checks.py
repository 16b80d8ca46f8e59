"""Every kind of check against a real server that fails, on a kernel that has IPVS: `inside_checks.py`, in there."""

from __future__ import annotations

import pytest
from tests.vm.inside import run_inside

from holdfast.lab.vm.machine import Machine

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("our time")]


def test_each_kind_of_check_takes_a_failing_server_out(vm_in_our_time: Machine) -> None:
    assert "1 passed" in run_inside(vm_in_our_time, "inside_checks.py")
