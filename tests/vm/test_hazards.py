"""Hazards of virtual servers with a kernel that has IPVS: the tests of `inside_hazards.py`, in there."""

from __future__ import annotations

import pytest
from tests.vm.inside import run_inside

from holdfast.lab.vm.machine import Machine

pytestmark = pytest.mark.lab


def test_plans_of_virtual_servers_say_what_the_kernel_does(vm: Machine) -> None:
    run_inside(vm, "inside_hazards.py")
