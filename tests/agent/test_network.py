"""A real server's addresses and default route in the kernel: taken, kept, given back exactly, refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.agent import bundles
from tests.agent.machine import Machine

from holdfast.bundle import Bundle

pytestmark = pytest.mark.lab

VIP, VIP6 = "10.9.7.3/32", "fd00:9:7::3/128"
ARP = {"net.ipv4.conf.all.arp_ignore": "1", "net.ipv4.conf.all.arp_announce": "2"}
NOTHING = Bundle(cluster="shop", node="lb01", services=(), files=())


def direct(*more: str) -> Bundle:
    return bundles.bundle(bundles.sysctl(**ARP), bundles.network(f"lo {VIP}", f"lo {VIP6}", *more))


def behind_nat(gateway: str = "10.9.0.254") -> Bundle:
    return bundles.bundle(bundles.network(gateway=gateway))


def on_lo(node: Machine) -> set[str]:
    told = json.loads(node.run("ip", "-json", "address", "show", "dev", "lo").stdout)
    return {f"{each['local']}/{each['prefixlen']}" for each in told[0]["addr_info"]} - {"127.0.0.1/8", "::1/128"}


def defaults(node: Machine, family: int = 4) -> list[str]:
    listing = node.run("ip", f"-{family}", "-oneline", "route", "show", "default").stdout
    return sorted(" ".join(line.split()) for line in listing.splitlines())


def committed(report: dict[str, Any]) -> dict[str, Any]:
    assert report["outcome"] == "committed", report
    return report


def test_addresses_come_after_arp_is_silent_and_go_before_it_speaks(node: Machine) -> None:
    report = committed(node.apply(direct()))
    names = [stage["name"] for stage in report["stages"]]
    assert names.index("set sysctls") < names.index("add addresses")
    assert on_lo(node) == {VIP, VIP6}
    assert node.apply(direct())["outcome"] == "unchanged"
    names = [stage["name"] for stage in committed(node.apply(NOTHING))["stages"]]
    assert names.index("take addresses away") < names.index("put sysctls back that left")
    assert on_lo(node) == set()
    assert [node.sysctl(key) for key in ARP] == ["0", "0"]


def test_what_was_there_already_stays_when_the_bundle_goes(node: Machine) -> None:
    node.run("ip", "address", "add", VIP, "dev", "lo")
    node.run("ip", "address", "add", "10.9.8.8/32", "dev", "lo")
    committed(node.apply(direct()))
    committed(node.apply(NOTHING))
    assert on_lo(node) == {VIP, "10.9.8.8/32"}


@pytest.mark.parametrize(
    "before",
    [
        "",
        "default via 10.9.0.1 dev eth0",
        "default via 10.9.0.1 dev eth0 metric 100",
        "default proto 42 src 10.9.0.5 metric 0 mtu 1400 nexthop via 10.9.0.1 dev eth0 weight 1",
        "default nexthop via 10.9.0.1 dev eth0 weight 2 nexthop via 10.9.0.2 dev eth0 weight 1",
    ],
)
def test_the_default_route_of_before_comes_back_exactly(node: Machine, before: str) -> None:
    if before:
        node.run("ip", "route", "add", *before.split())
    found = defaults(node)
    committed(node.apply(behind_nat()))
    assert "default via 10.9.0.254 dev eth0 proto static" in defaults(node)
    assert "via 10.9.0.254" in node.run("ip", "route", "get", "192.0.2.1").stdout
    committed(node.apply(behind_nat("10.9.0.253")))
    assert "via 10.9.0.253" in node.run("ip", "route", "get", "192.0.2.1").stdout
    committed(node.apply(NOTHING))
    assert defaults(node) == found


def test_the_route_of_ipv6_too(node: Machine) -> None:
    node.run("ip", "address", "add", "fd00:9::5/64", "dev", "eth0", "nodad")
    node.run("ip", "-6", "route", "add", "default", "via", "fd00:9::1", "dev", "eth0")
    before = defaults(node, 6)
    committed(node.apply(behind_nat("fd00:9::254")))
    assert "via fd00:9::254" in node.run("ip", "route", "get", "2001:db8::1").stdout
    committed(node.apply(NOTHING))
    assert defaults(node, 6) == before


def test_a_bundle_that_is_refused_leaves_the_network_as_it_was(node: Machine) -> None:
    node.run("ip", "route", "add", "default", "via", "10.9.0.1", "dev", "eth0")
    unreachable = node.apply(bundles.bundle(bundles.sysctl(**ARP), bundles.network(f"lo {VIP}", gateway="192.0.2.77")))
    assert unreachable["outcome"] == "rolled_back", unreachable
    assert "192.0.2.77" in unreachable["failure"]["message"] + unreachable["failure"]["program_line"]
    assert on_lo(node) == set()
    assert defaults(node) == ["default via 10.9.0.1 dev eth0"]
    bad = bundles.bundle(bundles.sysctl(**ARP), bundles.network(f"lo {VIP}"), bundles.nginx(more="no_such_word on;"))
    refused = node.apply(bad)
    assert refused["outcome"] == "refused", refused
    assert on_lo(node) == set()
    assert [node.sysctl(key) for key in ARP] == ["0", "0"]


def test_an_address_that_is_on_the_wire_already_is_refused_by_name(node: Machine) -> None:
    node.run("ip", "address", "add", "10.9.7.3/24", "dev", "eth0")
    report = node.apply(direct())
    assert report["outcome"] == "refused"
    assert "10.9.7.3/24 is on eth0 already" in report["failure"]["message"]
    assert on_lo(node) == set()


def test_a_device_of_another_kind_is_refused_by_name(node: Machine) -> None:
    tunnel = (bundles.NetworkTunnel(device="outside", kind="ipip"),)
    report = node.apply(bundles.bundle(bundles.network(tunnels=tunnel)))
    assert report["outcome"] == "refused"
    assert "there is a device outside already, and it is veth" in report["failure"]["message"]


def test_a_module_that_the_kernel_lacks_is_named_before_anything_changes(node: Machine) -> None:
    wanted = direct().model_copy(update={"kernel_modules": ("ip_vs_nosuch",)})
    report = node.apply(wanted)
    assert report["outcome"] == "refused"
    assert "ip_vs_nosuch" in report["failure"]["message"]
    assert "modprobe" in report["failure"]["hint"]
    assert [node.sysctl(key) for key in ARP] == ["0", "0"]


def test_a_module_that_is_none_of_ours_is_not_loaded(node: Machine) -> None:
    report = node.apply(direct().model_copy(update={"kernel_modules": ("nbd",)}))
    assert report["outcome"] == "refused"
    assert "ADM111" in report["failure"]["message"]


def test_what_is_removed_by_hand_is_seen_and_comes_back(node: Machine) -> None:
    committed(node.apply(direct()))
    node.run("ip", "address", "del", VIP, "dev", "lo")
    assert committed(node.agent("recover"))["stages"]
    assert on_lo(node) == {VIP, VIP6}
