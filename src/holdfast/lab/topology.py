"""What a lab consists of, as plain data: networks, nodes, and the client that plays the users.

The client is attached to every network with a free address of each subnet. It also answers for the gateways that the
spec names, unless a node or a VIP has that address itself, and forwards between the networks. So it is both a user on
the same segment and the router of users elsewhere, and what it sees at a failover is what a router sees: the VIP moves
when a gratuitous ARP (or an unsolicited neighbour advertisement) has moved its neighbour entry. Where there are virtual
servers, it has further addresses behind it, from which many users come: they are in nobody's network, so that answers
take the way that they take on the Internet.
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

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from holdfast.bundle import SafeName
from holdfast.errors import LabError

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
    """What a node is there for; it decides what its pid 1 is and what is started on it.

    A real server has the agent of a balancer, for its bundle prepares it, and the application of a server.
    """

    BALANCER = "balancer"
    REAL_SERVER = "real_server"
    SERVER = "server"
    CLIENT = "client"


class Speaks(StrEnum):
    """What a server's application speaks on a port, besides HTTP over TCP."""

    HTTPS = "https"
    UDP = "udp"
    SCTP = "sctp"
    SMTP = "smtp"


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


_Port = Annotated[int, Field(ge=1, le=65535)]


class OriginService(_Frozen):
    """A port on which a server speaks something else than HTTP over TCP."""

    speaks: Speaks
    port: _Port


class LabNode(_Frozen):
    """One machine of the lab.

    `routes` lead to a subnet on an interface's own segment, `remote` by way of a neighbour. `loopback` are further
    addresses of its own, on no segment. `origin_ports` are where its web server listens, `origin_services` what else it
    speaks (both empty: none runs).
    """

    name: SafeName
    role: Role
    interfaces: tuple[Interface, ...] = Field(max_length=16)
    gateways: tuple[Address, ...] = Field(default=(), max_length=2)
    routes: tuple[tuple[Subnet, InterfaceName], ...] = ()
    remote: tuple[tuple[Subnet, Address], ...] = ()
    loopback: tuple[InterfaceAddress, ...] = Field(default=(), max_length=64)
    origin_ports: tuple[_Port, ...] = ()
    origin_services: tuple[OriginService, ...] = ()

    @property
    def has_agent(self) -> bool:
        """Whether the agent's supervisor runs there."""
        return self.role in (Role.BALANCER, Role.REAL_SERVER)

    @property
    def has_origin(self) -> bool:
        """Whether the lab's own server runs there."""
        return bool(self.origin_ports or self.origin_services)

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
