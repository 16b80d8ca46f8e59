"""The facts of a sound node, for the examples of rules: what an example is about replaces the plain ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.protocol import (
    FileFacts,
    FirewallFacts,
    HostFacts,
    InterfaceFacts,
    KeepalivedFacts,
    KeepalivedProcess,
    RouteFacts,
)

from .rule import Example, example

OPTIONS = ("NFTABLES", "LVS", "REGEX", "VRRP", "VRRP_AUTH", "VRRP_VMAC", "JSON", "BFD", "SNMP_VRRP", "DBUS")


def card(name: str, *addresses: str, **more: Any) -> InterfaceFacts:
    """A network card that is up."""
    usual = {"mac": f"02:00:00:00:00:{len(name):02x}", "mtu": 1500, "up": True, "carrier": True, "multicast": True}
    return InterfaceFacts(name=name, addresses=addresses, **{**usual, **more})


def file(path: str, **more: Any) -> FileFacts:
    """A program that root alone may change."""
    usual: dict[str, Any] = {"exists": True, "kind": "file", "owner": "root", "mode": 0o755}
    return FileFacts(path=path, **{**usual, **more})


def keepalived(**more: Any) -> KeepalivedFacts:
    """An installed keepalived that runs under its unit."""
    usual: dict[str, Any] = {
        "version": "2.2.7",
        "options": OPTIONS,
        "processes": (KeepalivedProcess(pid=100, config="/etc/keepalived/keepalived.conf", unit="keepalived.service"),),
        "unit": "keepalived.service",
        "after": ("network-online.target",),
    }
    return KeepalivedFacts(**{**usual, **more})


def host(number: int = 1, **more: Any) -> HostFacts:
    """A node with 10.0.0.NUMBER on eth0 and 10.1.0.NUMBER on eth1."""
    usual: dict[str, Any] = {
        "hostname": f"lb{number % 10}",
        "kernel": "6.1.0",
        "service_manager": "systemd",
        "programs": {"keepalived": "2.2.7"},
        "interfaces": (
            InterfaceFacts(name="lo", addresses=("127.0.0.1/8", "::1/128"), up=True, mtu=65536, multicast=False),
            card("eth0", f"10.0.0.{number}/24", f"2001:db8::{number}/64", mac=f"02:00:00:00:00:{number:02d}"),
            card("eth1", f"10.1.0.{number}/24", mac=f"02:00:00:00:01:{number:02d}"),
        ),
        "routes": (
            RouteFacts(family=4, destination="default", gateway="10.0.0.254", interface="eth0"),
            RouteFacts(family=4, destination="10.0.0.0/24", interface="eth0"),
            RouteFacts(family=4, destination="10.1.0.0/24", interface="eth1"),
        ),
        "sysctls": {
            "net/ipv4/ip_forward": "1",
            "net/ipv6/conf/all/forwarding": "1",
            "net/ipv4/ip_nonlocal_bind": "1",
            "net/ipv6/ip_nonlocal_bind": "1",
            "net/ipv4/conf/all/rp_filter": "0",
            "net/ipv6/conf/eth0/disable_ipv6": "0",
        },
        "modules": ("ip_vs", "ip_vs_wlc", "nf_conntrack"),
        "loadable": {"ip_vs": True, "ip_vs_wlc": True, "ip_vs_rr": True, "macvlan": True},
        "keepalived": keepalived(),
        "commands": {"killall": "/usr/bin/killall", "pidof": "/usr/bin/pidof", "pgrep": "/usr/bin/pgrep"},
        "users": {"keepalived_script": 997, "root": 0},
        "groups": {},
        "files": (file("/usr/local/bin/check_web"),),
        "listeners": (),
        "firewall": FirewallFacts(program="nftables", accepts_ipv4=True, accepts_ipv6=True),
        "platform": "",
    }
    return HostFacts(**{**usual, **more})


def real_server(number: int, *virtual: str, device: str = "lo", **more: Any) -> HostFacts:
    """A real server at 10.0.0.NUMBER that has `virtual` addresses on `device`, and keeps quiet about them."""
    device_facts = InterfaceFacts(name=device, addresses=virtual, up=True, multicast=False)
    lo = () if device == "lo" else (InterfaceFacts(name="lo", addresses=("127.0.0.1/8",), up=True),)
    usual: dict[str, Any] = {
        "hostname": f"web{number % 10}",
        "interfaces": (*lo, device_facts, card("eth0", f"10.0.0.{number}/24", mac=f"02:00:00:00:02:{number:02d}")),
        "sysctls": {
            "net/ipv4/conf/all/arp_ignore": "1",
            "net/ipv4/conf/all/arp_announce": "2",
            "net/ipv4/conf/all/rp_filter": "0",
            f"net/ipv4/conf/{device}/rp_filter": "0",
        },
        "keepalived": None,
    }
    return host(number, **{**usual, **more})


def on(text: str, facts: HostFacts, *fields: str) -> Example:
    """A file of lb1 with those of its facts that the example is about."""
    return example({"lb1": text}, {"lb1": _only(facts, fields)})


def among(files: Mapping[str, str], facts: Mapping[str, HostFacts], *fields: str) -> Example:
    """Files of directors, with some facts of nodes that need not have a file."""
    return example(files, {name: _only(one, fields) for name, one in facts.items()})


def _only(facts: HostFacts, fields: tuple[str, ...]) -> HostFacts:
    """Those fields, or all where none is named: what is not told is not known, and nothing follows from it."""
    if not fields:
        return facts
    kept = {"hostname", "kernel", "service_manager", *fields}
    return HostFacts(**{name: getattr(facts, name) for name in kept})
