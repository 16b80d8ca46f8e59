"""What a change of virtual servers does to connections, on directors and on real servers.

What keepalived 2.2.7 does with a reload was asked of it, next to the kernel's table: an entry stays as long as address,
port and protocol (or mark) do; scheduler, flags, persistence, weights and the way of forwarding are edited in place.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.bundle import NETWORK_FILE, Bundle, NodeNetwork, RealServerExpectation, VirtualServerExpectation

from .note import Hazard, HazardNote

_Key = tuple[object, ...]


def lvs_hazards(old: Bundle, new: Bundle | None) -> Iterator[HazardNote]:
    """The hazards of virtual servers that change or go, and of addresses and routes that a real server loses."""
    yield from _virtual_servers(old, new)
    yield from _network(old, new)


def network_of(bundle: Bundle | None) -> NodeNetwork:
    """What the node carries as a real server."""
    file = bundle.file(NETWORK_FILE) if bundle else None
    return NodeNetwork.model_validate_json(file.content) if file else NodeNetwork(_="")


def _key(vs: VirtualServerExpectation) -> _Key:
    """What the kernel knows a virtual server by."""
    return (vs.family, vs.mark) if vs.mark is not None else (vs.protocol, vs.address, vs.port)


def _in_words(vs: VirtualServerExpectation) -> str:
    what = f"mark {vs.mark}" if vs.mark is not None else f"{vs.address} port {vs.port}, {vs.protocol}"
    return f"'{vs.name}' ({what})"


def _virtual_servers(old: Bundle, new: Bundle | None) -> Iterator[HazardNote]:
    after = {_key(vs): vs for vs in new.expected.virtual_servers} if new else {}
    for before in old.expected.virtual_servers:
        now = after.get(_key(before))
        if now is None:
            reason = f"the virtual server {_in_words(before)} is removed: its connections end"
            yield HazardNote(Hazard.DROPS_CONNECTIONS, reason)
            continue
        yield from _servers(before, now)
        if (was := _way(before)) != (becomes := _way(now)):
            reason = (
                f"{_in_words(before)} is forwarded in another way ({was} → {becomes}), on both sides but not at once"
            )
            yield HazardNote(Hazard.DROPS_CONNECTIONS, reason)


def _way(vs: VirtualServerExpectation) -> str:
    if vs.forward != "tun":
        return vs.forward
    return f"tun by {vs.tunnel}" + (f" to port {vs.tunnel_port}" if vs.tunnel_port else "")


def _servers(before: VirtualServerExpectation, now: VirtualServerExpectation) -> Iterator[HazardNote]:
    left = {(server.address, server.port) for server in now.servers}
    for server in before.servers:
        if (server.address, server.port) not in left:
            reason = f"{_socket(server)} is taken out of {_in_words(now)}: what is not drained by then ends"
            yield HazardNote(Hazard.DROPS_CONNECTIONS, reason)


def _socket(server: RealServerExpectation) -> str:
    return f"{server.address} port {server.port}" if server.port else str(server.address)


def _network(old: Bundle, new: Bundle | None) -> Iterator[HazardNote]:
    before, now = network_of(old), network_of(new)
    for address in sorted({a.address for a in before.addresses} - {a.address for a in now.addresses}):
        reason = f"this real server gives {address} up: what directors still send to it ends"
        yield HazardNote(Hazard.DROPS_CONNECTIONS, reason)
    routes = {route.address.version: route for route in now.gateways}
    for route in before.gateways:
        if routes.get(route.address.version) != route:
            reason = f"answers no longer leave by way of {route.address}: connections from there end"
            yield HazardNote(Hazard.DROPS_CONNECTIONS, reason)
