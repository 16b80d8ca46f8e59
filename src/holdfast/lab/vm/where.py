"""Where a lab runs: on this machine's own kernel, or, where that lacks what the spec needs, in a virtual machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import LabError
from holdfast.lab.commands import tool
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.values import as_address

INSIDE = "HOLDFAST_INSIDE_VM"  # set in the virtual machine, to what the report says of it
_PROBE_S = 20.0
_TUNNEL = {("ipip", 4): "ipip", ("ipip", 6): "ip6_tunnel", ("gre", 4): "ip_gre", ("gre", 6): "ip6_gre"}
_LINKS = {
    "ipip": ("ipip", "local", "127.0.0.1", "remote", "127.0.0.2"),
    "ip_gre": ("gre", "local", "127.0.0.1", "remote", "127.0.0.2"),
    "ip6_tunnel": ("ip6tnl", "local", "::1", "remote", "::2"),
    "ip6_gre": ("ip6gre", "local", "::1", "remote", "::2"),
}


@dataclass(frozen=True)
class Place:
    """Where a lab runs; `reason` is what the user is told about it, empty where there is nothing to say."""

    in_vm: bool
    reason: str = ""


def description(kernel: str, *, own_clock: bool = False) -> str:
    """What a report says of a virtual machine with that kernel."""
    clock = ", all times by its own clock" if own_clock else ""
    return f"QEMU, x86-64 emulated in software{clock}, Linux {kernel}"


def this_machine() -> str:
    """What a report says of the virtual machine that this process runs in; empty where it runs in none."""
    return os.environ.get(INSIDE, "")


def needed_modules(spec: ClusterSpec) -> frozenset[str]:
    """The kernel's modules, beyond those of every lab, that the nodes of `spec` need."""
    found: set[str] = set()
    for server in spec.virtual_servers.values():
        found |= {"ip_vs", f"ip_vs_{server.scheduler.name}"}
        if server.protocol == "sctp":
            found.add("sctp")
        if server.forward == "tun" or (server.sorry is not None and server.sorry.forward == "tun"):
            families = _families(spec, [real.host for real in server.servers])
            kinds = ("ipip",) if server.tunnel.kind == "gue" else (server.tunnel.kind,)
            found |= {_TUNNEL[kind, family] for kind in kinds for family in families}
            if server.tunnel.kind == "gue":
                found |= {"fou6" if family == 6 else "fou" for family in families}
    return frozenset(found)


def _families(spec: ClusterSpec, hosts: Iterable[str]) -> set[int]:
    """The address families of real servers, named or by address; 4 where nothing tells."""
    found: set[int] = set()
    for host in hosts:
        node, literal = spec.nodes.get(host), as_address(host)
        found |= {address.version for address in node.addresses} if node else set()
        found |= {literal.version} if literal else set()
    return found or {4}


def choose(needed: Iterable[str], lacking: frozenset[str], *, wish: bool | None, inside: bool) -> Place:
    """Where a lab runs that needs some modules, on a machine that lacks some; `wish` is --vm (True) or --no-vm.

    LabError if it can run nowhere as wished.
    """
    missing = sorted(lacking & set(needed))
    what = f"this kernel has no {', '.join(missing)}"
    if inside:
        if missing:
            raise LabError(f"The virtual machine's kernel has no {', '.join(missing)}", "please report this")
        return Place(False)
    if wish:
        return Place(True, "in a virtual machine, as --vm says")
    if not missing:
        return Place(False)
    if wish is False:
        raise LabError(
            f"The lab cannot run here: {what}",
            f"load it (modprobe {missing[0]}), or leave --no-vm out: the lab then brings a kernel of its own",
        )
    return Place(True, f"in a virtual machine, because {what}")


def place_for(spec: ClusterSpec, wish: bool | None) -> Place:
    """`choose` for this machine; probing loads modules that are needed and there."""
    needed = needed_modules(spec)
    inside = bool(this_machine())
    return choose(needed, frozenset() if wish else lacking_here(needed), wish=wish, inside=inside)


def lacking_here(needed: Iterable[str]) -> frozenset[str]:
    """Those of the modules `needed` that this kernel neither has nor can load."""
    return frozenset(name for name in needed if not _has(name))


def _has(module: str) -> bool:
    if Path(f"/sys/module/{module}").exists() or _load(module):
        return True
    # Not a module of its own where it is built in: then only trying tells.
    probe = _PROBES.get(module)
    if probe is not None:
        return probe()
    if module in _LINKS:
        return _succeeds("ip", "link", "add", "hf-probe", "type", *_LINKS[module])
    return shutil.which("modprobe") is None  # a scheduler of a kernel that cannot tell: ip_vs itself was found


def _load(module: str) -> bool:
    modprobe = shutil.which("modprobe", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if modprobe is None:
        return False
    done = subprocess.run([modprobe, "--quiet", module], capture_output=True, timeout=_PROBE_S, check=False)
    return done.returncode == 0


def _succeeds(*argv: str) -> bool:
    """Whether a command works in a network namespace that is gone afterwards."""
    whole = [tool("unshare"), "--net", tool(argv[0]), *argv[1:]]
    return subprocess.run(whole, capture_output=True, timeout=_PROBE_S, check=False).returncode == 0


def _has_ipvs() -> bool:
    return Path("/proc/net/ip_vs").exists()


def _has_sctp() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError:
        return False
    return True


_PROBES: dict[str, Callable[[], bool]] = {
    "ip_vs": _has_ipvs,
    "sctp": _has_sctp,
    "fou": lambda: _succeeds("ip", "fou", "add", "port", "6080", "ipproto", "4"),
    "fou6": lambda: _succeeds("ip", "fou", "add", "port", "6080", "ipproto", "4", "-6"),
}
