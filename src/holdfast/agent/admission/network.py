"""network.json: well formed, and only what a real server carries."""

from __future__ import annotations

import re
from ipaddress import ip_interface

from pydantic import ValidationError

from holdfast.agent.admission.findings import odd_characters, refuse, shown
from holdfast.bundle import BundleFile, NetworkAddress, NodeNetwork
from holdfast.findings import Finding

_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")  # IFNAMSIZ


def check(file: BundleFile) -> list[Finding]:
    """Everything in the file that is not allowed."""
    found = odd_characters(file.path, file.content, "ADM800")
    if found:
        return found
    try:
        network = NodeNetwork.model_validate_json(file.content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "its beginning"
        return [refuse("ADM801", f"at {where}: {first['msg']}", file.path, hint="compile it again")]
    for tunnel in network.tunnels:
        if (tunnel.port is None) is tunnel.kind.startswith("gue"):
            found.append(refuse("ADM804", f"{tunnel.device}: gue has a port, and no other kind has", file.path))
        if tunnel.device == "lo" or not _DEVICE.fullmatch(tunnel.device):
            found.append(refuse("ADM804", f"{shown(tunnel.device)} is no device for a tunnel", file.path))
    for gateway in network.gateways:
        if gateway.device == "lo" or not _DEVICE.fullmatch(gateway.device) or gateway.address.is_multicast:
            found.append(refuse("ADM805", f"{gateway.address} on {shown(gateway.device)} is no gateway", file.path))
    if len({gateway.address.version for gateway in network.gateways}) < len(network.gateways):
        found.append(refuse("ADM805", "a family has two default routes", file.path))
    devices = {"lo", *(tunnel.device for tunnel in network.tunnels)}
    for address in network.addresses:
        found += _check_address(file, address, devices)
    return found


def _check_address(file: BundleFile, address: NetworkAddress, devices: set[str]) -> list[Finding]:
    """A real server takes virtual addresses on lo or on a tunnel: anywhere else it would claim them on the wire."""
    try:
        parsed = ip_interface(address.address)
    except ValueError:
        return [refuse("ADM802", f"{shown(address.address)} is no address", file.path)]
    if parsed.is_loopback or parsed.is_multicast or parsed.is_unspecified or parsed.is_link_local:
        return [refuse("ADM802", f"{shown(address.address)} is no virtual address", file.path)]
    if parsed.network.prefixlen != parsed.max_prefixlen or "/" not in address.address:
        return [refuse("ADM802", f"{shown(address.address)} has no host prefix", file.path)]
    if address.device not in devices:
        return [refuse("ADM803", f"{shown(address.address)} would be on {address.device}", file.path)]
    return []
