"""The lab that is the twin of a spec's cluster: which nodes, what they are there for, and how they reach each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_interface

from pydantic import ValidationError

from holdfast.errors import LabError
from holdfast.lab.origins import origin_ports
from holdfast.lab.topology import (
    CLIENT,
    Address,
    Interface,
    InterfaceAddress,
    LabNode,
    LabTopology,
    Network,
    Role,
    with_client,
)
from holdfast.lab.users import with_users
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.resolve import carrying_interface, network_of, with_prefix
from holdfast.spec.resolve_lvs import listener_sockets, serving
from holdfast.spec.values import as_address


def from_spec(spec: ClusterSpec, name: str = "", later: Sequence[ClusterSpec] = ()) -> LabTopology:
    """The twin of the cluster that `spec` describes, with its client; it is called `name`, or else as the cluster is.

    Nodes of a VRRP group or a proxy are balancers; all others are real servers where the spec has virtual servers
    (what a node becomes may change, so that each has an agent), and servers where it has none. A server that is no
    node, but has an address in one of the networks, becomes a node of its own. Each server's application listens on the
    ports that pools and virtual servers name. What the specs of `later` add is there from the beginning, like a machine
    that was racked up before it is needed. LabError says what cannot be built.
    """
    specs = (spec, *later)
    segments = _Segments(spec)
    first = {node: found for found in reversed(specs) for node in found.nodes}  # the first spec that knows a node
    ordered = dict.fromkeys(node for found in specs for node in found.nodes)
    nodes = [_spec_node(first[node], node, segments, specs) for node in ordered]
    nodes += _foreign_servers(specs, segments)
    networks = tuple(
        Network(name=found, gateways=_gateways(spec, found)) for found in dict.fromkeys(segments.seen) if found
    )
    try:
        topology = LabTopology(name=name or spec.cluster[:32], networks=networks, nodes=tuple(nodes))
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise LabError(f"The lab of {spec.cluster} cannot be laid out: {reason}") from error
    floating = [with_prefix(s, a.address) for s in specs for group in s.vrrp.values() for a in group.addresses.values()]
    routed = _with_routes(with_client(topology, floating), spec)
    return with_users(routed, specs) if any(s.virtual_servers for s in specs) else routed


class _Segments:
    """Which network an interface is on: the spec's, or one made up for addresses that lie in none."""

    def __init__(self, spec: ClusterSpec) -> None:
        self._spec = spec
        self._floating = [with_prefix(spec, a.address) for g in spec.vrrp.values() for a in g.addresses.values()]
        self.seen: list[str] = []

    def interface(self, address: Address) -> InterfaceAddress:
        """The address with the prefix of its network, of a VIP beside it, or what a host mostly has."""
        found = with_prefix(self._spec, address)
        if network_of(self._spec, address) is None:
            beside = [f.network for f in self._floating if f.version == address.version and address in f.network]
            usual = 24 if address.version == 4 else 64
            found = ip_interface(f"{address}/{min([usual, *(subnet.prefixlen for subnet in beside)])}")
        return found

    def network(self, addresses: Iterable[Address]) -> str:
        """The network of an interface with these addresses."""
        ordered = tuple(addresses)
        named = [n for n in (network_of(self._spec, a) for a in ordered) if n]
        subnet = self.interface(ordered[0]).network
        found = named[0] if named else f"net-{subnet.network_address}-{subnet.prefixlen}".replace(":", "-")
        self.seen.append(found)
        return found


def _spec_node(spec: ClusterSpec, name: str, segments: _Segments, specs: Sequence[ClusterSpec]) -> LabNode:
    interfaces = tuple(
        Interface(
            name=label,
            network=segments.network(found.addresses),
            addresses=tuple(segments.interface(a) for a in found.addresses),
        )
        for label, found in spec.nodes[name].interfaces.items()
    )
    # A balancer that is also a server gives way where its own proxy listens.
    busy = {port for each in specs if name in each.nodes for port in _proxy_ports(each, name)}
    ports = origin_ports(specs, {name, *(str(a) for a in spec.nodes[name].addresses)}, busy)
    return LabNode(
        name=name,
        role=_role(specs, name),
        interfaces=interfaces,
        gateways=_default_gateways(spec, interfaces),
        origin_ports=ports.http,
        origin_services=ports.others,
    )


def _role(specs: Sequence[ClusterSpec], name: str) -> Role:
    groups = [group for spec in specs for group in spec.vrrp.values()]
    proxies = [proxy for spec in specs for proxy in spec.proxies.values()]
    if any(name in group.members for group in groups) or any(name in proxy.nodes for proxy in proxies):
        return Role.BALANCER
    return Role.REAL_SERVER if any(spec.virtual_servers for spec in specs) else Role.SERVER


def _proxy_ports(spec: ClusterSpec, node: str) -> set[int]:
    proxies = [proxy for proxy in spec.proxies.values() if node in proxy.nodes]
    listened = {listener.on.port for proxy in proxies for listener in proxy.listeners}
    behind = {p for proxy in proxies for li in proxy.listeners for _, p in listener_sockets(spec, node, li.on)}
    return listened | behind


def _foreign_servers(specs: Sequence[ClusterSpec], segments: _Segments) -> list[LabNode]:
    own = {a for spec in specs for node in spec.nodes.values() for a in node.addresses}
    hosts = dict.fromkeys(host for spec in specs for host in _server_hosts(spec))
    found = []
    for address in (a for host in hosts if (a := as_address(host)) is not None):
        spec = next((s for s in specs if network_of(s, address) is not None), None)
        if address in own or spec is None:
            continue  # a node, or nowhere near: what cannot be reached here is not played
        interface = Interface(
            name="eth0", network=segments.network([address]), addresses=(segments.interface(address),)
        )
        ports = origin_ports(specs, {str(address)}, ())
        found.append(
            LabNode(
                name=f"server-{address}".replace(":", "-"),
                role=Role.SERVER,
                interfaces=(interface,),
                gateways=_default_gateways(spec, (interface,)),
                origin_ports=ports.http,
                origin_services=ports.others,
            )
        )
    return found


def _server_hosts(spec: ClusterSpec) -> list[str]:
    pooled = [server.host for pool in spec.pools.values() for server in pool.servers]
    return pooled + [server.host for virtual in spec.virtual_servers.values() for server, _ in serving(virtual)]


def _gateways(spec: ClusterSpec, network: str) -> tuple[InterfaceAddress, ...]:
    declared = spec.networks[network].gateway if network in spec.networks else ()
    return tuple(with_prefix(spec, gateway) for gateway in declared)


def _default_gateways(spec: ClusterSpec, interfaces: Iterable[Interface]) -> tuple[Address, ...]:
    """One a family, of the first network that has one; never the node itself, and only where it can be reached."""
    chosen: dict[int, Address] = {}
    mine = [a for i in interfaces for a in i.addresses]
    for interface in interfaces:
        for gateway in _gateways(spec, interface.network):
            near = any(a.version == gateway.version and gateway.ip in a.network for a in mine)
            if near and gateway.ip not in {a.ip for a in mine}:
                chosen.setdefault(gateway.version, gateway.ip)
    return tuple(chosen[version] for version in sorted(chosen))


def _with_routes(topology: LabTopology, spec: ClusterSpec) -> LabTopology:
    """Give the client a route to each VIP that lies in none of the subnets, over the network of those who carry it."""
    client = topology.node(CLIENT)
    on_link = [a.network for i in client.interfaces for a in i.addresses]
    routes = []
    for group in spec.vrrp.values():
        for floating in group.addresses.values():
            if any(floating.ip.version == s.version and floating.ip in s for s in on_link):
                continue
            member = group.members[0]
            carrier = carrying_interface(spec, member, floating)
            if carrier is not None:
                network = topology.node(member).interface(carrier).network
                label = next(i.name for i in client.interfaces if i.network == network)
                routes.append((ip_interface(str(floating.ip)).network, label))
    changed = client.model_copy(update={"routes": tuple(routes)})
    return topology.model_copy(update={"nodes": (*topology.nodes[:-1], changed)})
