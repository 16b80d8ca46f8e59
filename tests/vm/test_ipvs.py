"""The table as netlink tells it is the table as ipvsadm prints it, with everything in it that a table can have."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from tests.project.source import ROOT
from tests.vm import as_ipvsadm

from holdfast.lab.vm.machine import Machine

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("table")]

INSIDE = ROOT / "tests" / "vm" / "inside_table.py"
HEADINGS = ("IP Virtual", "Prot ", "-> RemoteAddress")
EVERYTHING = {"-t", "-u", "--sctp-service", "-f", "-6", "-m", "-g", "-i", "ipip", "gue", "gre", "-p", "-M", "-b", "-o"}


@pytest.fixture(scope="module")
def found(vm: Machine) -> dict[str, Any]:
    """What the script inside has told; its network namespace ends with it, and the table with that."""
    modules = [f"ip_vs_{name}" for name in ("wlc", "mh", "rr", "sh", "wrr", "sed", "lc")]
    vm.run(["modprobe", "-a", "ip_vs", *modules, "dummy"], check=True)
    done = vm.run(["unshare", "--net", sys.executable, str(INSIDE)], timeout=1700, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_the_table_has_everything(found: dict[str, Any]) -> None:
    """Else the comparisons below would say less than they seem to."""
    assert set(found["steady"]["ipvsadm"]["save"].split()) >= EVERYTHING


@pytest.mark.parametrize(
    ("view", "ours"),
    [
        ("save", as_ipvsadm.saved),
        ("list", as_ipvsadm.listed),
        ("stats", lambda look: as_ipvsadm.numbers(look, "counters")),
        ("thresholds", as_ipvsadm.thresholds),
        ("persistent", as_ipvsadm.persistent),
        ("daemon", as_ipvsadm.daemons),
    ],
)
def test_view(found: dict[str, Any], view: str, ours: Any) -> None:
    theirs = as_ipvsadm.words(found["steady"]["ipvsadm"][view], without=HEADINGS)
    assert len(theirs) >= 2
    assert ours(found["steady"]["look"]) == theirs


def test_rates_while_there_are_some(found: dict[str, Any]) -> None:
    theirs = as_ipvsadm.words(found["rate"]["ipvsadm"]["rate"], without=HEADINGS)
    assert any(number not in ("0", line[1]) for line in theirs for number in line[2:])
    assert as_ipvsadm.numbers(found["rate"]["look"], "kernel_rates") == theirs


def test_timeouts_and_version(found: dict[str, Any]) -> None:
    look = found["steady"]["look"]
    times = look["timeouts"]
    said = f"Timeout (tcp tcpfin udp): {times['tcp_s']} {times['tcp_fin_s']} {times['udp_s']}"
    assert found["steady"]["ipvsadm"]["timeout"].strip() == said
    kernel = look["kernel"]
    first = f"IP Virtual Server version {kernel['version']} (size={kernel['connection_table_size']})"
    assert found["steady"]["ipvsadm"]["list"].splitlines()[0] == first


def test_connections(found: dict[str, Any]) -> None:
    """Each of ipvsadm's is one of ours, and its time lies between what ipvsadm said before and after."""
    before, after = (as_ipvsadm.connections_of(found["connections"][when]) for when in ("before", "after"))
    ours = as_ipvsadm.connections(found["connections"]["look"])
    assert {key[0] for key in ours} == {"TCP", "UDP"}
    assert len(before) > 100
    assert ours.keys() >= before.keys() & after.keys()
    assert ours.keys() <= before.keys() | after.keys()
    for key in before.keys() & after.keys():
        assert after[key][0] <= ours[key][0] <= before[key][0], key


def test_states_are_those_of_the_list(found: dict[str, Any]) -> None:
    look = found["connections"]["look"]
    web = next(one for one in look["services"] if one["name"] == "tcp 10.1.0.100:80")
    for one in web["destinations"]:
        listed = [
            c
            for c in look["connections"]
            if (c["virtual"], c["virtual_port"], c["destination"]) == ("10.1.0.100", 80, one["address"])
        ]
        assert sum(one["states"].values()) == len(listed)
        assert set(one["states"]) <= {"SYN_RECV"}
    assert sum(sum(one["states"].values()) for one in web["destinations"]) == 20
