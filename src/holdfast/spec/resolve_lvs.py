"""Questions about virtual servers that rules, compiler and lab all ask: who directs, what is taken, who serves it how.

Every function takes a spec whose names lead somewhere; what leads nowhere gives None or nothing, never an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from .cluster import ClusterSpec
from .once import once
from .proxies import ListenOn
from .resolve import listener_addresses, network_of
from .servers import ServerAddress
from .values import Address, as_address
from .virtual_servers import ForwardingMethod, TakenPorts, VirtualServer
from .vrrp import VrrpGroup


@dataclass(frozen=True)
class Taken:
    """One address and its ports, of those that a virtual server takes; `place` is its entry in `on`."""

    address: Address
    first: int
    last: int
    place: int


@dataclass(frozen=True)
class Served:
    """A virtual address that a node takes as a real server (dr, tun) by the packets that come in on `interface`."""

    address: Address
    forward: ForwardingMethod
    interface: str
    virtual_server: str


@dataclass(frozen=True)
class Gateway:
    """The default route of a real server behind NAT, by way of a floating address of its directors."""

    address: Address
    interface: str
    virtual_server: str


def group_of_target(spec: ClusterSpec, taken: TakenPorts) -> str | None:
    """The VRRP group that an entry of `on` names, itself or by one of its addresses."""
    address = as_address(taken.target)
    if address is not None:
        return floating_groups(spec).get(address)
    return taken.group if taken.group in spec.vrrp else None


@once
def floating_groups(spec: ClusterSpec) -> Mapping[Address, str]:
    """The VRRP group of every floating address; the first that has it."""
    found: dict[Address, str] = {}
    for name, group in spec.vrrp.items():
        for address in _floating(group):
            found.setdefault(address, name)
    return found


@once
def owners(spec: ClusterSpec) -> Mapping[Address, str]:
    """The node that has an address; the first."""
    found: dict[Address, str] = {}
    for name, node in spec.nodes.items():
        for address in node.addresses:
            found.setdefault(address, name)
    return found


@once
def group_of(spec: ClusterSpec, name: str) -> str | None:
    """The VRRP group whose members are the directors of the virtual server `name`."""
    virtual = spec.virtual_servers[name]
    for taken in virtual.on:
        if found := group_of_target(spec, taken):
            return found
    if virtual.group is not None:
        return virtual.group if virtual.group in spec.vrrp else None
    return next(iter(spec.vrrp)) if virtual.mark is not None and len(spec.vrrp) == 1 else None


@once
def directors(spec: ClusterSpec, name: str) -> tuple[str, ...]:
    """The directors of the virtual server `name`, in order of preference."""
    group = group_of(spec, name)
    return tuple(node for node in spec.vrrp[group].members if node in spec.nodes) if group else ()


@once
def directed_groups(spec: ClusterSpec) -> tuple[str, ...]:
    """The VRRP groups with virtual servers, in the spec's order."""
    used = {group_of(spec, name) for name in spec.virtual_servers}
    return tuple(name for name in spec.vrrp if name in used)


@once
def all_directors(spec: ClusterSpec) -> tuple[str, ...]:
    """Every node that directs a virtual server, in the spec's order."""
    found = {node for name in spec.virtual_servers for node in directors(spec, name)}
    return tuple(node for node in spec.nodes if node in found)


@once
def taken_by(spec: ClusterSpec, name: str) -> tuple[Taken, ...]:
    """Every address and its ports that the virtual server `name` takes; nothing where it goes by the operator's mark.

    `GROUP:80` stands for all addresses of the group. Behind NAT those in the networks of the real servers are their
    gateways and are not taken, unless there are no others of their family.
    """
    return tuple(
        taken for place, on in enumerate(spec.virtual_servers[name].on) for taken in _taken(spec, name, on, place)
    )


def _taken(spec: ClusterSpec, name: str, on: TakenPorts, place: int) -> Iterator[Taken]:
    addresses = listener_addresses(spec, on.target)
    if on.group and not on.address_name:
        addresses = _for_clients(spec, name, addresses)
    for address in addresses:
        yield Taken(address, on.first, on.last, place)


def _for_clients(spec: ClusterSpec, name: str, addresses: tuple[Address, ...]) -> tuple[Address, ...]:
    """Of a whole group's addresses those that are no gateways of real servers behind NAT."""
    if spec.virtual_servers[name].forward != "nat":
        return addresses
    inner = _inner_networks(spec, name)
    outer = [address for address in addresses if network_of(spec, address) not in inner]
    served = {address.version for address in outer}
    return tuple(a for a in addresses if a in outer or a.version not in served)


@once
def virtual_addresses(spec: ClusterSpec, name: str) -> tuple[Address, ...]:
    """The addresses that the virtual server `name` takes, each once; by a mark of the operator's, all of the group."""
    group = group_of(spec, name)
    if spec.virtual_servers[name].mark is not None:
        return _for_clients(spec, name, _floating(spec.vrrp[group])) if group else ()
    return tuple(dict.fromkeys(taken.address for taken in taken_by(spec, name)))


@once
def families(spec: ClusterSpec, name: str) -> tuple[int, ...]:
    """4, 6 or both: those of its addresses; by a mark of the operator's, those of them that a server has, too."""
    found = sorted({address.version for address in virtual_addresses(spec, name)})
    if spec.virtual_servers[name].mark is None:
        return tuple(found)
    servers = spec.virtual_servers[name].servers
    return tuple(f for f in found if any(real_server_address(spec, name, s.host, f) for s in servers))


def serving(virtual: VirtualServer) -> Iterator[tuple[ServerAddress, ForwardingMethod]]:
    """Its real servers and its sorry server, each with the way that packets reach it."""
    for server in virtual.servers:
        yield server, virtual.forward
    if virtual.sorry:
        yield virtual.sorry, virtual.sorry.forward or virtual.forward


def real_server_address(
    spec: ClusterSpec, name: str, host: str, family: int, forward: ForwardingMethod | None = None
) -> Address | None:
    """Where the directors of `name` send the packets for `host`: None where it has no address of the family.

    Behind NAT it lies in a network of another floating address of the group, which is its gateway; else in the
    network of the virtual address, or in one that all directors are on. A tunnel leads anywhere.
    """
    way = forward or spec.virtual_servers[name].forward
    return address_in(spec, host, family, near_networks(spec, name, family, way))


def address_in(spec: ClusterSpec, host: str, family: int, networks: Iterable[str]) -> Address | None:
    """The address of a server in the first of `networks` that it is on, else its first of the family."""
    if (literal := as_address(host)) is not None:
        return literal if literal.version == family else None
    if host not in spec.nodes:
        return None
    own: dict[str | None, Address] = {}
    for address in spec.nodes[host].addresses:
        if address.version == family:
            own.setdefault(network_of(spec, address), address)
    return next((own[network] for network in networks if network in own), next(iter(own.values()), None))


@once
def near_networks(spec: ClusterSpec, name: str, family: int, forward: ForwardingMethod) -> tuple[str, ...]:
    """Networks in which the real servers of `name` are looked for, the likeliest first."""
    named = [address for address in _named(spec, name) if address.version == family]
    group = group_of(spec, name)
    others = [a for a in _floating(spec.vrrp[group]) if a.version == family and a not in named] if group else []
    first = [network_of(spec, address) for address in (others + named if forward == "nat" else named + others)]
    return tuple(dict.fromkeys((*(network for network in first if network), *shared_networks(spec, name))))


@once
def _named(spec: ClusterSpec, name: str) -> tuple[Address, ...]:
    """Addresses that `on` names one by one: they are there for the clients."""
    singly = [on for on in spec.virtual_servers[name].on if on.group is None or on.address_name]
    return tuple(dict.fromkeys(address for on in singly for address in listener_addresses(spec, on.target)))


def shared_networks(spec: ClusterSpec, name: str) -> tuple[str, ...]:
    """The networks that every director of `name` is on."""
    return _networks_of_all(spec, directors(spec, name))


@once
def _networks_of_all(spec: ClusterSpec, nodes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(net for net in spec.networks if nodes and all(net in node_networks(spec, node) for node in nodes))


@once
def node_networks(spec: ClusterSpec, node: str) -> tuple[str, ...]:
    """The networks that a node is on, in the order of its addresses."""
    found = (network_of(spec, address) for address in spec.nodes[node].addresses)
    return tuple(dict.fromkeys(name for name in found if name))


@once
def _inner_networks(spec: ClusterSpec, name: str) -> frozenset[str | None]:
    virtual = spec.virtual_servers[name]
    addresses = [
        real_server_address(spec, name, server.host, family)
        for server, forward in serving(virtual)
        if forward == "nat"
        for family in (4, 6)
    ]
    return frozenset(network_of(spec, address) for address in addresses if address) - {None}


@once
def gateway_for(spec: ClusterSpec, name: str, host: str, family: int) -> Address | None:
    """The floating address of the directors of `name` that `host` answers by way of, behind NAT.

    One in the server's own network; where several are, one that is no virtual address of `name`. None where
    there is none: what the server answers would not come back by its director.
    """
    address = real_server_address(spec, name, host, family, "nat")
    group = group_of(spec, name)
    network = network_of(spec, address) if address else None
    if group is None or network is None:
        return None
    subnets = [subnet for subnet in spec.networks[network].cidr if subnet.version == family]
    near = [a for a in _floating(spec.vrrp[group]) if a.version == family and any(a in subnet for subnet in subnets)]
    named = _named(spec, name)
    return next((a for a in near if a not in named), near[0] if near else None)


def interface_of(spec: ClusterSpec, node: str, address: Address) -> str | None:
    """The interface that has one of the node's own addresses."""
    return next((name for name, one in spec.nodes[node].interfaces.items() if address in one.addresses), None)


@once
def real_server_nodes(spec: ClusterSpec) -> Mapping[str, tuple[str, ...]]:
    """The nodes that serve virtual servers (as sorry servers, too), each with the names of those."""
    found: dict[str, list[str]] = {}
    for name, virtual in spec.virtual_servers.items():
        for host in dict.fromkeys(server.host for server, _ in serving(virtual) if server.host in spec.nodes):
            found.setdefault(host, []).append(name)
    return {node: tuple(found[node]) for node in spec.nodes if node in found}


@once
def served_addresses(spec: ClusterSpec, node: str) -> tuple[Served, ...]:
    """The virtual addresses that `node` takes itself, as a real server by dr or tun; each once a way."""
    found: dict[tuple[Address, str], Served] = {}
    for name in real_server_nodes(spec).get(node, ()):
        for server, forward in serving(spec.virtual_servers[name]):
            if server.host != node or forward == "nat":
                continue
            for address in virtual_addresses(spec, name):
                inner = real_server_address(spec, name, node, address.version, forward)
                interface = interface_of(spec, node, inner) if inner else None
                if interface:
                    found.setdefault((address, forward), Served(address, forward, interface, name))
    return tuple(found.values())


@once
def gateways_of(spec: ClusterSpec, node: str) -> tuple[Gateway, ...]:
    """The default routes that `node` needs as a real server behind NAT: one a family, if the spec is sound."""
    found: dict[Address, Gateway] = {}
    for name in real_server_nodes(spec).get(node, ()):
        ways = [forward for server, forward in serving(spec.virtual_servers[name]) if server.host == node]
        for family in families(spec, name) if "nat" in ways else ():
            gateway = gateway_for(spec, name, node, family)
            own = real_server_address(spec, name, node, family, "nat")
            interface = interface_of(spec, node, own) if own else None
            if gateway and interface:
                found.setdefault(gateway, Gateway(gateway, interface, name))
    return tuple(found.values())


def listener_sockets(spec: ClusterSpec, node: str, on: ListenOn) -> tuple[tuple[Address, int], ...]:
    """The addresses and ports that a proxy's listener has on `node`.

    On a node that may hold the address, the address itself. On a real server of a virtual server that takes it: the
    same by dr and tun, for the node carries it too, and its own address beside it, which checks ask; its own address
    and the server's port behind NAT.
    """
    addresses = listener_addresses(spec, on.target)
    holders = {m for group in spec.vrrp.values() if set(addresses) & set(_floating(group)) for m in group.members}
    if node in holders or (on.group is None and not holders):
        return tuple((address, on.port) for address in addresses)
    found: dict[tuple[Address, int], None] = {}
    for name in real_server_nodes(spec).get(node, ()):
        for taken in taken_by(spec, name):
            if taken.address in addresses and taken.first <= on.port <= taken.last:
                found.update(dict.fromkeys(_behind(spec, name, node, taken.address, on.port)))
    return tuple(found)


def _behind(spec: ClusterSpec, name: str, node: str, address: Address, port: int) -> Iterator[tuple[Address, int]]:
    for server, forward in serving(spec.virtual_servers[name]):
        if server.host != node:
            continue
        own = real_server_address(spec, name, node, address.version, forward)
        if forward != "nat":
            yield address, port
            if own and spec.virtual_servers[name].check:
                yield own, port  # the directors' checks ask the server itself: the virtual address leads to them
        elif own:
            yield own, server.port or port


def _floating(group: VrrpGroup) -> tuple[Address, ...]:
    return tuple(floating.ip for floating in group.addresses.values())
