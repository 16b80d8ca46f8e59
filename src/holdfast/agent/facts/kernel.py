"""What the kernel is set to: sysctls, modules, confinement, the clock, the machine's maker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from holdfast.agent.host.port import Host
from holdfast.errors import ApplyError
from holdfast.protocol import ClockFacts

from .port import Machine

_GLOBAL = (
    "net/ipv4/ip_forward",
    "net/ipv4/ip_nonlocal_bind",
    "net/ipv6/ip_nonlocal_bind",
    "net/ipv6/conf/all/forwarding",
    "net/ipv4/vs/conntrack",
    "net/ipv4/vs/expire_nodest_conn",
    "net/ipv4/vs/expire_quiescent_template",
    "net/ipv4/vs/sloppy_tcp",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_count",
    "net/bridge/bridge-nf-call-iptables",
    "kernel/nmi_watchdog",
)
_IPV4 = ("arp_ignore", "arp_announce", "arp_filter", "rp_filter", "accept_local", "forwarding", "promote_secondaries")
_IPV6 = ("disable_ipv6", "accept_dad", "accept_ra", "forwarding")
_MOST_INTERFACES = 200
_OF_INTEREST = ("ip_vs", "nf_conntrack", "nf_nat", "nf_tables", "ip_tables", "ip6_tables", "br_netfilter", "bonding")
_EXACTLY = frozenset({"macvlan", "ipvlan", "dummy", "ipip", "ip_gre", "fou", "ip6_tunnel", "8021q", "vrf"})
_PROFILES = "/etc/apparmor.d"


def sysctls(host: Host, interfaces: Iterable[str]) -> dict[str, str]:
    """Name with slashes → value, of those that there are."""
    found: dict[str, str] = {}
    for key in _keys(interfaces):
        try:
            found[key] = host.read_sysctl(key)[:1000]
        except ApplyError:
            continue  # this kernel has no such key, or keeps it from us: then it is not known
    return found


def _keys(interfaces: Iterable[str]) -> Iterator[str]:
    yield from _GLOBAL
    for name in ("all", "default", *list(interfaces)[:_MOST_INTERFACES]):
        if "/" in name or name in (".", ".."):
            continue
        yield from (f"net/ipv4/conf/{name}/{key}" for key in _IPV4)
        yield from (f"net/ipv6/conf/{name}/{key}" for key in _IPV6)


def modules_of_interest(present: Iterable[str]) -> tuple[str, ...]:
    """Those that decide whether a load balancer works."""
    return tuple(sorted(name for name in present if name.startswith(_OF_INTEREST) or name in _EXACTLY))


def loadable(host: Host, machine: Machine, wanted: Iterable[str], release: str) -> dict[str, bool]:
    """Module → whether it is there, or could be loaded; nothing where the kernel's modules are not at hand."""
    try:
        machine.names(f"/lib/modules/{release}")
    except OSError:
        present = host.modules()
        return {name: True for name in wanted if name in present}
    return {name: host.module_is_there(name) for name in wanted}


def confinement(machine: Machine) -> tuple[Literal["selinux", "apparmor"], ...]:
    """What keeps keepalived from running what it is told to: SELinux enforcing, a profile of AppArmor for it."""
    found: list[Literal["selinux", "apparmor"]] = []
    if _text(machine, "/sys/fs/selinux/enforce") == "1":
        found.append("selinux")
    if _text(machine, "/sys/module/apparmor/parameters/enabled") == "Y":
        try:
            profiles = machine.names(_PROFILES)
        except OSError:
            profiles = ()
        if any("keepalived" in name for name in profiles):
            found.append("apparmor")
    return tuple(found)


def platform(machine: Machine) -> str:
    """The machine's maker and product, as its firmware says; empty where it says nothing."""
    words = (_text(machine, f"/sys/class/dmi/id/{name}") for name in ("sys_vendor", "product_name"))
    return " ".join(word for word in words if word)[:255]


def clock(machine: Machine) -> ClockFacts:
    """How right the clock is; raises OSError."""
    found = machine.clock()
    # What nobody adjusts drifts without bound: the kernel then only says its own limit, 16 s.
    error = found.greatest_error_us / 1000 if found.synchronised else None
    return ClockFacts(synchronised=found.synchronised, error_ms=error)


def _text(machine: Machine, path: str) -> str:
    try:
        return machine.text(path).strip()
    except OSError:
        return ""
