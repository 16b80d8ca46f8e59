"""What this node can do: programs with their versions, interfaces with their addresses, who runs services."""

from __future__ import annotations

import os
import re

from holdfast.agent.host.port import Host
from holdfast.agent.service_manager import ServiceManager, SystemdManager
from holdfast.errors import MissingProgram
from holdfast.protocol import HostFacts, InterfaceFacts

_TIMEOUT_S = 5.0
VERSIONS = {  # how each program is asked
    "keepalived": ("keepalived", "--version"),
    "nginx": ("nginx", "-v"),
    "haproxy": ("haproxy", "-v"),
    "nft": ("nft", "--version"),
}
_NUMBER = re.compile(r"\bv?(\d+\.\d+(?:\.\d+)?)")


def host_facts(host: Host, manager: ServiceManager) -> HostFacts:
    """Everything, asked now; a program that is not installed has None for its version."""
    machine = os.uname()
    interfaces: dict[str, list[str]] = {}
    for each in sorted(host.addresses(), key=lambda found: (found.interface, found.address)):
        interfaces.setdefault(each.interface, []).append(each.address)
    return HostFacts(
        hostname=machine.nodename,
        kernel=machine.release,
        service_manager="systemd" if isinstance(manager, SystemdManager) else "supervisor",
        programs={name: _version(host, argv) for name, argv in VERSIONS.items()},
        interfaces=tuple(InterfaceFacts(name=name, addresses=tuple(found)) for name, found in interfaces.items()),
    )


def _version(host: Host, argv: tuple[str, ...]) -> str | None:
    try:
        done = host.run(argv, _TIMEOUT_S)
    except MissingProgram:
        return None
    found = _NUMBER.search("\n".join(done.lines))
    return found.group(1) if found else "unknown"
