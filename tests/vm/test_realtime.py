"""What an agent tells who looks is what the kernel counts: services, servers, rates, connections, a history."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from tests.project.source import ROOT

from holdfast.lab.vm.machine import Machine
from holdfast.protocol.realtime import Sample

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("table")]

HERE = ROOT / "tests" / "vm"
ROUNDS = 20
FAST_CLOCK = 20.0  # as inside: rates are by the kernel's table, which has a clock of its own


@pytest.fixture(scope="module")
def found(vm: Machine) -> dict[str, Any]:
    """What an agent told."""
    told: dict[str, Any] = inside(vm, "inside_realtime.py")
    return told


def inside(vm: Machine, script: str) -> Any:
    """What a script has told there; its network namespace ends with it, and the table with that."""
    modules = [f"ip_vs_{name}" for name in ("wlc", "mh", "rr", "sh", "wrr", "sed", "lc")]
    vm.run(["modprobe", "-a", "ip_vs", *modules, "dummy"], check=True)
    argv = ["unshare", "--net", "env", f"PYTHONPATH={ROOT}", sys.executable, str(HERE / script)]
    done = vm.run(argv, timeout=1700, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _counted(text: str) -> dict[str, int]:
    """New connections of each service with an address, as `ipvsadm --stats` prints them."""
    lines = (line.split() for line in text.splitlines() if line.startswith(("TCP", "UDP", "SCTP")))
    return {f"{words[0].lower()} {words[1]}": int(words[2]) for words in lines}


def test_counters_are_those_of_ipvsadm(found: dict[str, Any]) -> None:
    second = Sample.model_validate(found["second"])
    ours = {one.name: one.counters[0] for one in second.services if not one.mark}
    assert ours == _counted(found["stats"])
    assert sum(ours.values()) >= 7 * ROUNDS


def test_rates_are_over_the_time_between_two_looks(found: dict[str, Any]) -> None:
    first, second = Sample.model_validate(found["first"]), Sample.model_validate(found["second"])
    assert all(one.per_s is None for one in first.services)
    before = {one.name: one.counters for one in first.services}
    for one in second.services:
        assert one.per_s is not None
        wanted = (one.counters[0] - before[one.name][0]) * FAST_CLOCK / second.seconds
        assert one.per_s[0] == pytest.approx(wanted, rel=0.25, abs=0.01)
        assert one.counters[0] == sum(server.counters[0] for server in one.servers)


def test_connections_are_found(found: dict[str, Any]) -> None:
    every, syn, none = Sample.model_validate(found["second"]).connections
    assert every.counted >= every.matching > 100
    assert {one.virtual for one in syn.listed} == {"10.1.0.100:80"}
    assert syn.states == {"SYN_RECV": ROUNDS}
    assert none.matching == 0


def test_what_was_counted_is_in_the_history(found: dict[str, Any]) -> None:
    points = [bucket["values"]["ipvs total"][0] for bucket in found["history"]]
    assert max(points) > 0


def test_steady_traffic_has_a_steady_rate_although_the_kernel_counts_every_two_seconds(vm: Machine) -> None:
    """As differences of two looks half a second apart they would be 0, 0, 0, and then four times what it is."""
    rates = [rate for rate in inside(vm, "inside_rates.py") if rate is not None]
    whole = rates[4:]  # the first update is of less than two seconds of traffic
    assert len(whole) >= 20
    assert max(whole) <= 1.3 * min(whole)
