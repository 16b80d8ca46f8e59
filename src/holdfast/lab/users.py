"""The users behind the lab's client: many addresses in nobody's network, and the ways back to them (pure).

Sharing by weight, and staying with one server, are about users; with one address there would be one. And a user in the
real servers' own network would be answered past a director that translates addresses, as on a real network.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_interface

from holdfast.lab.topology import (
    CLIENT,
    Address,
    InterfaceAddress,
    LabNode,
    LabTopology,
    Subnet,
)
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.resolve import carrying_interface
from holdfast.spec.resolve_lvs import gateways_of

USERS = 12
# For documentation and benchmarks (RFC 5737, 2544, 3849): nobody's, and the first that the spec does not use is taken.
_CANDIDATES4 = tuple(IPv4Network(n) for n in ("198.51.100.0/28", "203.0.113.0/28", "192.0.2.0/28", "198.18.0.0/28"))
_CANDIDATES6 = tuple(IPv6Network(n) for n in ("2001:db8:0:fff0::/124", "2001:db8:1:fff0::/124"))


def user_addresses(topology: LabTopology, family: int) -> tuple[str, ...]:
    """The addresses that users of a family come from."""
    return tuple(str(a.ip) for a in topology.node(CLIENT).loopback if a.version == family)


def with_users(topology: LabTopology, specs: Sequence[ClusterSpec]) -> LabTopology:
    """Give the client the users' addresses, and the nodes the ways back to them.

    A node whose default route leads to the client needs none. A real server behind NAT gets none: its answers must
    take the default route that its bundle sets, by way of its directors.
    """
    used = [s for network in topology.networks for s in topology.subnets(network.name)]
    subnets = [_first_free(_CANDIDATES4, used)]
    if any(s.version == 6 for s in used):
        subnets.append(_first_free(_CANDIDATES6, used))
    client = topology.node(CLIENT)
    users = tuple(ip_interface(str(s[n])) for s in subnets for n in range(1, USERS + 1))
    behind_nat = {node for spec in specs for node in spec.nodes if gateways_of(spec, node)}
    nodes = []
    for node in topology.nodes:
        if node.name == CLIENT:
            nodes.append(node.model_copy(update={"loopback": users}))
        elif node.name in behind_nat:
            nodes.append(node)
        else:
            nodes.append(_with_way_back(node, client, subnets, _preferred(specs, node.name)))
    return topology.model_copy(update={"nodes": tuple(nodes)})


def _first_free(candidates: Iterable[Subnet], used: Sequence[Subnet]) -> Subnet:
    choices = tuple(candidates)
    return next((c for c in choices if not any(_overlap(c, s) for s in used)), choices[-1])


def _overlap(one: Subnet, other: Subnet) -> bool:
    if isinstance(one, IPv4Network) and isinstance(other, IPv4Network):
        return one.overlaps(other)
    return isinstance(one, IPv6Network) and isinstance(other, IPv6Network) and one.overlaps(other)


def _preferred(specs: Sequence[ClusterSpec], node: str) -> tuple[str, ...]:
    """The interfaces on which users reach a director: those that carry its floating addresses."""
    found = (
        carrying_interface(spec, node, floating)
        for spec in specs
        for group in spec.vrrp.values()
        if node in group.members and node in spec.nodes
        for floating in group.addresses.values()
    )
    return tuple(dict.fromkeys(name for name in found if name))


def _with_way_back(node: LabNode, client: LabNode, subnets: Iterable[Subnet], preferred: Sequence[str]) -> LabNode:
    remote = []
    for subnet in subnets:
        if any(gateway.version == subnet.version for gateway in node.gateways):
            continue  # by its default route, as on a real network
        neighbour = _neighbour(node, client, subnet.version, preferred)
        if neighbour is not None:
            remote.append((subnet, neighbour))
    return node.model_copy(update={"remote": tuple(remote)})


def _neighbour(node: LabNode, client: LabNode, family: int, preferred: Sequence[str]) -> Address | None:
    """The client's own address on a segment of the node's, the preferred ones first."""
    ordered = sorted(node.interfaces, key=lambda i: i.name not in preferred)
    for interface in ordered:
        own: list[InterfaceAddress] = [a for a in interface.addresses if a.version == family]
        for theirs in client.interfaces:
            if theirs.network == interface.network and own:
                near = [a.ip for a in theirs.addresses if any(a.version == o.version and a in o.network for o in own)]
                if near:
                    return near[0]
    return None
