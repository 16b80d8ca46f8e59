"""What a lab consists of, as plain data: networks, nodes, and the client that plays the users.

The client is attached to every network with a free address of each subnet. It also answers for the gateways that the
spec names, unless a node or a VIP has that address itself, and forwards between the networks. So it is both a user on
the same segment and the router of users elsewhere, and what it sees at a failover is what a router sees: the VIP moves
when a gratuitous ARP (or an unsolicited neighbour advertisement) has moved its neighbour entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from enum import StrEnum
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_interface,
)
from itertools import islice
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from holdfast.bundle import SafeName
from holdfast.errors import LabError
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.resolve import carrying_interface, network_of, with_prefix
from holdfast.spec.values import as_address

Address = IPv4Address | IPv6Address
InterfaceAddress = IPv4Interface | IPv6Interface
Subnet = IPv4Network | IPv6Network

# Lab names hold no dot, so `hf-LAB.NODE` cannot mean two things.
LabName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]
# The kernel's limit is 15 bytes; it also refuses "/" and white space, and "." and ".." as names.
InterfaceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$")]

CLIENT = "client"
MAX_NODES = 64
_CLIENT_HOST = 0xFFFE  # where the search for a free client address starts in a large subnet


class Role(StrEnum):
    """What a node is there for; it decides what its pid 1 is and what is started on it."""

    BALANCER = "balancer"
    SERVER = "server"
    CLIENT = "client"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Network(_Frozen):
    """One segment: a bridge. `gateways` are answered by the client."""

    name: SafeName
    gateways: tuple[InterfaceAddress, ...] = ()


class Interface(_Frozen):
    """One network card of a node, with its own addresses (never the VIPs)."""

    name: InterfaceName
    network: SafeName
    addresses: tuple[InterfaceAddress, ...] = ()


class LabNode(_Frozen):
    """One machine of the lab. `origin_ports` are where a server's web server listens (empty: none runs)."""

    name: SafeName
    role: Role
    interfaces: tuple[Interface, ...] = Field(max_length=16)
    gateways: tuple[Address, ...] = Field(default=(), max_length=2)
    routes: tuple[tuple[Subnet, InterfaceName], ...] = ()
    origin_ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = ()

    def interface(self, name: str) -> Interface:
        """The interface called `name`; LabError if there is none."""
        for interface in self.interfaces:
            if interface.name == name:
                return interface
        known = ", ".join(i.name for i in self.interfaces) or "none"
        raise LabError(f"Node {self.name} has no interface {name}", hint=f"its interfaces are: {known}")


class LabTopology(_Frozen):
    """A whole lab. Nodes and networks keep their order, which decides the names in the switch namespace."""

    name: LabName
    networks: tuple[Network, ...] = Field(min_length=1, max_length=32)
    nodes: tuple[LabNode, ...] = Field(min_length=1, max_length=MAX_NODES)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        networks = [n.name for n in self.networks]
        _refuse_twice("network", networks)
        _refuse_twice("node", [n.name for n in self.nodes])
        for node in self.nodes:
            if any(i.name == "lo" for i in node.interfaces):
                raise ValueError(f"{node.name}: the interface lo is the kernel's own")
            _refuse_twice(f"interface of {node.name}", [i.name for i in node.interfaces])
            for interface in node.interfaces:
                if interface.network not in networks:
                    raise ValueError(f"{node.name}/{interface.name}: there is no network {interface.network!r}")
        owned = [str(a.ip) for n in self.nodes for i in n.interfaces for a in i.addresses]
        _refuse_twice("address", owned)
        return self

    def node(self, name: str) -> LabNode:
        """The node called `name`; LabError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        known = ", ".join(n.name for n in self.nodes)
        raise LabError(f"Lab {self.name} has no node {name}", hint=f"its nodes are: {known}")

    def subnets(self, network: str) -> tuple[Subnet, ...]:
        """The subnets in use on `network`, taken from the addresses of its interfaces and gateways."""
        return _subnets(network, self.networks, self.nodes)

    def port(self, node: str, interface: str) -> str:
        """The name of the bridge port that the cable from `node`'s `interface` ends in (in the switch namespace)."""
        index = self.nodes.index(self.node(node))
        return f"n{index}i{self.nodes[index].interfaces.index(self.nodes[index].interface(interface))}"

    def ports(self, node: str) -> tuple[str, ...]:
        """The bridge ports of all cables of `node`."""
        return tuple(self.port(node, i.name) for i in self.node(node).interfaces)

    def bridge(self, network: str) -> str:
        """The name of the bridge that is `network` (in the switch namespace)."""
        return f"br{[n.name for n in self.networks].index(network)}"


def mac_address(node: str, interface: str) -> str:
    """A locally administered unicast MAC address that depends on the names alone, so that runs can be compared."""
    digest = hashlib.sha256(f"{node}/{interface}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def link_local(mac: str) -> IPv6Interface:
    """The fe80::/64 address that belongs to `mac` (RFC 4291, appendix A)."""
    octets = [int(part, 16) for part in mac.split(":")]
    octets[0] ^= 0x02
    host = int.from_bytes(bytes([*octets[:3], 0xFF, 0xFE, *octets[3:]]), "big")
    return IPv6Interface((int(IPv6Address("fe80::")) + host, 64))


def with_client(topology: LabTopology, reserved: Iterable[InterfaceAddress] = ()) -> LabTopology:
    """Add the client. `reserved` are addresses that are not free although no node has them yet: the VIPs.

    Raise LabError where a subnet has no free address, or where a node is already called `client`.
    """
    taken = {a.ip for a in reserved} | {a.ip for n in topology.nodes for i in n.interfaces for a in i.addresses}
    gateways = {g.ip for network in topology.networks for g in network.gateways}
    interfaces = []
    for index, network in enumerate(topology.networks):
        own = [_free(subnet, taken | gateways) for subnet in topology.subnets(network.name)]
        answered = [g for g in network.gateways if g.ip not in taken]
        interfaces.append(
            Interface(name=f"eth{index}", network=network.name, addresses=(*own, *answered)),
        )
    if any(node.name == CLIENT for node in topology.nodes):
        raise LabError(f"A node is called {CLIENT!r}, which is the lab's own", hint="give the node another name")
    client = LabNode(name=CLIENT, role=Role.CLIENT, interfaces=tuple(interfaces))
    return LabTopology(name=topology.name, networks=topology.networks, nodes=(*topology.nodes, client))


def from_spec(spec: ClusterSpec, name: str = "") -> LabTopology:
    """The twin of the cluster that `spec` describes, with its client; it is called `name`, or else as the cluster is.

    Nodes of a VRRP group or a proxy are balancers, all others servers. A pool's server that is no node, but has an
    address in one of the networks, becomes a node of its own. Each server's web server listens on the ports that pools
    name. LabError says what cannot be built.
    """
    segments = _Segments(spec)
    nodes = [_spec_node(spec, node, segments) for node in spec.nodes]
    nodes += _foreign_servers(spec, segments)
    networks = tuple(
        Network(name=found, gateways=_gateways(spec, found)) for found in dict.fromkeys(segments.seen) if found
    )
    try:
        topology = LabTopology(name=name or spec.cluster[:32], networks=networks, nodes=tuple(nodes))
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise LabError(f"The lab of {spec.cluster} cannot be laid out: {reason}") from error
    floating = [with_prefix(spec, a.address) for group in spec.vrrp.values() for a in group.addresses.values()]
    return _with_routes(with_client(topology, floating), spec)


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


def _spec_node(spec: ClusterSpec, name: str, segments: _Segments) -> LabNode:
    interfaces = tuple(
        Interface(
            name=label,
            network=segments.network(found.addresses),
            addresses=tuple(segments.interface(a) for a in found.addresses),
        )
        for label, found in spec.nodes[name].interfaces.items()
    )
    balances = any(name in g.members for g in spec.vrrp.values()) or any(name in p.nodes for p in spec.proxies.values())
    # A balancer that is also a server gives way where its own proxy listens.
    busy = {li.on.port for p in spec.proxies.values() if name in p.nodes for li in p.listeners}
    hosts = {name, *(str(a) for a in spec.nodes[name].addresses)}
    return LabNode(
        name=name,
        role=Role.BALANCER if balances else Role.SERVER,
        interfaces=interfaces,
        gateways=_default_gateways(spec, interfaces),
        origin_ports=tuple(sorted(_ports(spec, hosts) - busy)),
    )


def _foreign_servers(spec: ClusterSpec, segments: _Segments) -> list[LabNode]:
    own = {a for node in spec.nodes.values() for a in node.addresses}
    hosts = dict.fromkeys(server.host for pool in spec.pools.values() for server in pool.servers)
    addresses = [a for host in hosts if (a := as_address(host)) is not None]
    found = []
    for address in addresses:
        if address in own or network_of(spec, address) is None:
            continue  # a node, or nowhere near: what cannot be reached here is not played
        interface = Interface(
            name="eth0", network=segments.network([address]), addresses=(segments.interface(address),)
        )
        found.append(
            LabNode(
                name=f"server-{address}".replace(":", "-"),
                role=Role.SERVER,
                interfaces=(interface,),
                gateways=_default_gateways(spec, (interface,)),
                origin_ports=tuple(sorted(_ports(spec, {str(address)}))),
            )
        )
    return found


def _ports(spec: ClusterSpec, hosts: set[str]) -> set[int]:
    found = set()
    for pool in spec.pools.values():
        for server in pool.servers:
            if server.host in hosts:
                found.add(server.port)
                if pool.check is not None and pool.check.port is not None:
                    found.add(pool.check.port)
    return found


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


def _refuse_twice(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the {what} {name!r} is there twice")


def _subnets(network: str, networks: Iterable[Network], nodes: Iterable[LabNode]) -> tuple[Subnet, ...]:
    addresses = [a for n in nodes for i in n.interfaces if i.network == network for a in i.addresses]
    addresses += [g for n in networks if n.name == network for g in n.gateways]
    found = {a.network for a in addresses if not a.is_link_local}
    return tuple(sorted(found, key=lambda s: (s.version, int(s.network_address), s.prefixlen)))


def _hosts_from_above(subnet: Subnet) -> Iterator[int]:
    # The first and the last address are no hosts' (network and broadcast; the subnet-router anycast in IPv6).
    last = min(subnet.num_addresses - 2, _CLIENT_HOST)
    return (int(subnet.network_address) + host for host in range(last, 0, -1))


def _free(subnet: Subnet, taken: set[Address]) -> InterfaceAddress:
    numbers = {int(a) for a in taken if a.version == subnet.version}
    for number in islice(_hosts_from_above(subnet), len(numbers) + 1):
        if number not in numbers:
            make = IPv4Address if subnet.version == 4 else IPv6Address
            return ip_interface(f"{make(number)}/{subnet.prefixlen}")
    raise LabError(
        f"The subnet {subnet} has no free address for the lab's client",
        hint="give the network a larger subnet; the client needs one address of its own in each",
    )
