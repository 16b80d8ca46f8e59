"""From virtual servers to what one of their real servers has to be."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.resolve_lvs import (
    gateways_of,
    interface_of,
    real_server_address,
    real_server_nodes,
    serving,
    virtual_addresses,
)

from .node_view import GatewayView, RealServerRole, ServedAddress, TunnelView


def real_server_role(spec: ClusterSpec, node: str) -> RealServerRole:
    """The virtual addresses that `node` takes itself, and its way back to clients behind NAT."""
    found: dict[tuple[object, ...], ServedAddress] = {}
    names = real_server_nodes(spec).get(node, ())
    for name in names:
        for served in _served(spec, name, node):
            # One address may arrive in several ways: each needs what unwraps it.
            found.setdefault((served.address, served.forward, served.tunnel, served.interface), served)
    behind_nat = any(forward == "nat" for name in names for _, forward in serving(spec.virtual_servers[name]))
    ways_back = gateways_of(spec, node) if behind_nat else ()
    gateways = tuple(GatewayView(way.address, way.interface, way.virtual_server) for way in ways_back)
    return RealServerRole(tuple(found.values()), gateways)


def _served(spec: ClusterSpec, name: str, node: str) -> Iterator[ServedAddress]:
    """Directors know a server by its address of the virtual address's family; without one they send it nothing."""
    virtual = spec.virtual_servers[name]
    tunnel = TunnelView(virtual.tunnel.kind, virtual.tunnel.port, virtual.tunnel.checksum)
    for server, forward in serving(virtual):
        if server.host != node or forward == "nat":
            continue
        for address in virtual_addresses(spec, name):
            own = real_server_address(spec, name, node, address.version, forward)
            if own is not None and (interface := interface_of(spec, node, own)):
                yield ServedAddress(address, forward, tunnel, interface, name)
