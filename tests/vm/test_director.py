"""Directors and real servers with a kernel that has IPVS and tunnels: the tests of `inside_director.py`, in there."""

from __future__ import annotations

import pytest
from tests.vm.inside import run_inside

from holdfast.lab.vm.machine import Machine

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("our time")]


def test_what_only_such_a_kernel_shows(vm_in_our_time: Machine) -> None:
    run_inside(vm_in_our_time, "inside_director.py")
