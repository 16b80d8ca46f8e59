"""Every way of forwarding, with packets across it: 300 KB down and up, byte for byte, TCP and SCTP, and datagrams."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from holdfast.lab.vm.machine import ENVIRONMENT, Machine
from holdfast.lab.vm.qemu import SHARE

pytestmark = pytest.mark.xdist_group("modes")

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "src"
SERVERS = {"nat": "nat01", "dr": "dr01", "ipip": "ipip01", "gre": "gre01", "gue": "gue01"}
SERVERS |= {"first": "dr01", "last": "dr01"}  # ports of a range, by a mark


@pytest.fixture(scope="module")
def said(vm: Machine) -> dict[str, Any]:
    """What the lab in the machine said."""
    argv = [sys.executable, str(HERE / "inside_modes.py"), str(HERE / "modes.yaml"), SHARE]
    vm.run(argv, timeout=1700, check=True, env={**ENVIRONMENT, "PYTHONPATH": str(SOURCES)})
    found: dict[str, Any] = json.loads((vm.share / "modes.json").read_text())
    return found


@pytest.mark.parametrize("mode", [*SERVERS, "nat-sctp", "dr-sctp", "ipip-sctp", "nat-udp", "dr-udp", "ipip-udp"])
def test_every_byte_arrives_both_ways(said: dict[str, Any], mode: str) -> None:
    assert said["errors"] == ""
    seen = json.loads(said["seen"])[mode]
    assert seen.get("down") is True, (seen, said["tables"])
    assert seen.get("up") is True, (seen, said["tables"])
    assert seen["server"].partition(":")[0] == SERVERS[mode.partition("-")[0]]


@pytest.mark.parametrize("node", ["ipip01", "gre01", "gue01"])
def test_the_packets_came_through_the_tunnel(said: dict[str, Any], node: str) -> None:
    """Bytes, not packets: by the guest's own clock the kernel joins a different number of them at a time (GRO)."""
    links = json.loads(said["links"][node])
    through = [link["stats64"]["rx"]["bytes"] for link in links if link["ifname"] not in ("lo", "eth0")]
    assert max(through, default=0) > 300_000, said["tables"][node]
