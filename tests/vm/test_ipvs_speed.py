"""The figure that is promised: a large table is read over netlink in less time than `ipvsadm -Ln` takes."""

from __future__ import annotations

import pytest
from scripts.benches import table

from holdfast.lab.vm.machine import Machine

pytestmark = [pytest.mark.lab, pytest.mark.measures]


def test_a_large_table_is_read_faster_than_by_ipvsadm(vm_in_our_time: Machine) -> None:
    (figure,) = table.measure(vm_in_our_time)
    assert figure.well, f"{figure.value:.2f} of the time: {figure.detail}"
