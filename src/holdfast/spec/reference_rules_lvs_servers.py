"""Rules about real servers: how packets reach them, and how their answers find back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from holdfast.findings import Severity

from .cluster import ClusterSpec
from .mistakes import Mistake, unknown
from .positions import Path
from .resolve import network_of
from .resolve_lvs import (
    address_in,
    directors,
    families,
    gateway_for,
    gateways_of,
    group_of,
    near_networks,
    node_networks,
    real_server_nodes,
    serving,
    taken_by,
    virtual_addresses,
)
from .servers import ServerAddress
from .values import Address, as_address
from .virtual_servers import ForwardingMethod, VirtualServer


@dataclass(frozen=True)
class _Service:
    """What is the same for all servers of a virtual server, found out once."""

    name: str
    virtual: VirtualServer
    group: str | None
    directors: tuple[str, ...]
    families: tuple[int, ...]
    taken: frozenset[tuple[int, int]]  # first and last port
    near: Mapping[tuple[int, ForwardingMethod], tuple[str, ...]]


@dataclass(frozen=True)
class _Place:
    """A real server or a sorry server, where it is written and how packets reach it."""

    service: _Service
    server: ServerAddress
    forward: ForwardingMethod
    path: Path
    sorry: bool

    @property
    def name(self) -> str:
        return self.service.name

    def address(self, spec: ClusterSpec, family: int) -> Address | None:
        """Where packets are sent."""
        return address_in(spec, self.server.host, family, self.service.near[family, self.forward])


def _services(spec: ClusterSpec) -> Iterator[_Service]:
    for name, virtual in spec.virtual_servers.items():
        served = families(spec, name)
        ways = {forward for _, forward in serving(virtual)}
        yield _Service(
            name=name,
            virtual=virtual,
            group=group_of(spec, name),
            directors=directors(spec, name),
            families=served,
            taken=frozenset((one.first, one.last) for one in taken_by(spec, name)),
            near={(f, way): tuple(near_networks(spec, name, f, way)) for f in served for way in ways},
        )


def _places(spec: ClusterSpec) -> Iterator[_Place]:
    for service in _services(spec):
        virtual = service.virtual
        for index, server in enumerate(virtual.servers):
            path: Path = ("virtual_servers", service.name, "servers", index)
            yield _Place(service, server, virtual.forward, path, sorry=False)
        if virtual.sorry:
            forward = virtual.sorry.forward or virtual.forward
            yield _Place(service, virtual.sorry, forward, ("virtual_servers", service.name, "sorry"), sorry=True)


def servers_can_serve(spec: ClusterSpec) -> Iterator[Mistake]:
    """Each server is known, is no director, and can be reached and answer the way that is asked for."""
    for place in _places(spec):
        if mistake := _mistake_at(spec, place):
            yield mistake


def _mistake_at(spec: ClusterSpec, place: _Place) -> Mistake | None:
    """The first that is wrong with a server: what comes after it would only say so again."""
    found = (judge(spec, place) for judge in _JUDGES)
    return next((mistake for mistake in found if mistake), None)


def _exists(spec: ClusterSpec, place: _Place) -> Mistake | None:
    host = place.server.host
    address = as_address(host)
    if address is None and host not in spec.nodes:
        return unknown("LVS006", place.path, "node", host, spec.nodes)
    if address is not None and (address.is_loopback or address.is_unspecified or address.is_multicast):
        hint = "name a node, such as web01:80, or the address of a machine of its own"
        return Mistake("LVS006", place.path, f"{host} is no machine that directors could send packets to", hint)
    return None


def _is_no_virtual_address(spec: ClusterSpec, place: _Place) -> Mistake | None:
    address = as_address(place.server.host)
    if address is None:
        return None
    floating = {a.ip: group for group, vrrp in spec.vrrp.items() for a in vrrp.addresses.values()}
    if address not in floating:
        return None
    return Mistake(
        "LVS008", place.path,
        f"{address} floats in '{floating[address]}': its packets would come back to a director, and go round",
        "name the server's own address, or its node",
    )  # fmt: skip


def _is_no_director(spec: ClusterSpec, place: _Place) -> Mistake | None:
    node = _node(spec, place.server)
    if node not in place.service.directors:
        return None
    why = "answers would not pass the other director when that one is active"
    if place.forward != "nat":
        why = "the standby director, which has the address as a server, would forward packets back, round and round"
    return Mistake(
        "LVS012", place.path, f"'{node}' directs '{place.name}' and cannot be its server: {why}",
        f"name servers of their own, or take {node} out of vrrp.{place.service.group}.nodes",
    )  # fmt: skip


def _node(spec: ClusterSpec, server: ServerAddress) -> str:
    """The node meant, also where its address is written instead of its name; empty for other machines."""
    if server.host in spec.nodes:
        return server.host
    address = as_address(server.host)
    return next((name for name, node in spec.nodes.items() if address in node.addresses), "")


def _sorry_is_another(spec: ClusterSpec, place: _Place) -> Mistake | None:
    server, servers = place.server, place.service.virtual.servers
    if not place.sorry or all((each.host, each.port) != (server.host, server.port) for each in servers):
        return None
    message = f"{place.server.written} is one of the servers: when they fail, it has failed too"
    return Mistake("LVS009", place.path, message, "name another server, or another port")


def _port_fits(spec: ClusterSpec, place: _Place) -> Mistake | None:
    port = place.server.port
    taken, mark = place.service.taken, place.service.virtual.mark
    if place.forward == "nat" or not port or taken == {(port, port)} or (not taken and mark is None):
        return None
    asked = _ports(taken) if taken else "the port that the client asks for"
    alone = " alone" if any(first <= port <= last for first, last in taken) else ""
    instead = f"`{{address: '{place.server.written}', forward: nat}}`" if place.sorry else "`forward: nat`"
    return Mistake(
        "LVS010", place.path,
        f"{place.forward} changes no packet: the server is asked on {asked}, not on {port}{alone}",
        f"write {_portless(place.server)}, or take {instead}, which translates ports",
    )  # fmt: skip


def _ports(taken: Collection[tuple[int, int]]) -> str:
    return " and ".join(str(first) if first == last else f"{first}-{last}" for first, last in sorted(taken))


def _portless(server: ServerAddress) -> str:
    return f"'[{server.host}]'" if ":" in server.host else f"'{server.host}' without a port"


def _is_near(spec: ClusterSpec, place: _Place) -> Mistake | None:
    """DR changes the Ethernet address alone, so both are on one segment."""
    for family in place.service.families if place.forward == "dr" else ():
        address = place.address(spec, family)
        if address is None:
            continue
        network = network_of(spec, address)
        away = [node for node in place.service.directors if network not in node_networks(spec, node)]
        if away:
            where = f"in '{network}', where {', '.join(away)} cannot be found" if network else "in none of the networks"
            return Mistake(
                "LVS011", place.path,
                f"dr reaches servers on the directors' own segment only: {address} is {where}",
                "take `forward: tun`, which leads anywhere, or give both an interface in one network",
            )  # fmt: skip
    return None


def _finds_back(spec: ClusterSpec, place: _Place) -> Mistake | None:
    """Behind NAT answers have to pass the director that holds the address: their gateway floats with it."""
    if place.forward != "nat" or place.server.host not in spec.nodes or not place.service.directors:
        return None
    for family in place.service.families:
        address = place.address(spec, family)
        if address is None or gateway_for(spec, place.name, place.server.host, family):
            continue
        group, network = place.service.group, network_of(spec, address)
        message = (
            f"'{group}' has no address in '{network}', so answers of {place.server.host} pass no director, and no "
        )
        hint = f"add a free address of '{network}' to vrrp.{group}.addresses, such as `gateway: …`"
        severity = Severity.WARNING if place.sorry else Severity.ERROR
        code = "LVS014" if place.sorry else "LVS013"
        return Mistake(code, place.path, message + "client understands them", hint, severity)
    return None


_JUDGES = (
    _exists,
    _is_no_virtual_address,
    _is_no_director,
    _sorry_is_another,
    _port_fits,
    _is_near,
    _finds_back,
)


def bare_servers_are_prepared(spec: ClusterSpec) -> Iterator[Mistake]:
    """Nobody prepares a machine that is no node of the spec; what has to be done there by hand is said once."""
    found: dict[str, list[str]] = {}
    for place in _places(spec):
        if as_address(place.server.host) is not None and not place.sorry and not _mistake_at(spec, place):
            found.setdefault(place.name, []).append(place.server.host)
    for name, bare in found.items():
        if not directors(spec, name):
            continue
        addresses = ", ".join(str(address) for address in virtual_addresses(spec, name)) or "the virtual address"
        needed = {
            "nat": f"a default route by way of {_gateway(spec, name, bare[0])}",
            "dr": f"{addresses} on lo, arp_ignore=1 and arp_announce=2",
            "tun": f"{addresses} on a tunnel device, rp_filter=0",
        }[spec.virtual_servers[name].forward]
        names = ", ".join(bare[:3]) + (" …" if len(bare) > 3 else "")
        yield Mistake(
            "LVS015", ("virtual_servers", name, "servers"),
            f"nobody prepares {names}: by hand, each needs {needed}",
            _hint_of_bare(spec, bare), Severity.INFO,
        )  # fmt: skip


def _gateway(spec: ClusterSpec, name: str, host: str) -> str:
    address = as_address(host)
    found = gateway_for(spec, name, host, address.version) if address else None
    return str(found) if found else "an address that floats with the virtual one"


def _hint_of_bare(spec: ClusterSpec, bare: list[str]) -> str:
    owners = {address: name for name, node in spec.nodes.items() for address in node.addresses}
    for host in bare:
        address = as_address(host)
        if address in owners:
            return f"{host} is '{owners[address]}': write the node's name, and it is prepared"
    return "name them under `nodes:`, and let an agent prepare them"


def one_default_route(spec: ClusterSpec) -> Iterator[Mistake]:
    """A machine has one default route a family: it serves one group behind NAT."""
    for node in real_server_nodes(spec):
        ways: dict[int, Address] = {}
        for gateway in gateways_of(spec, node):
            first = ways.setdefault(gateway.address.version, gateway.address)
            if first != gateway.address:
                yield Mistake(
                    "LVS029", ("nodes", node),
                    f"'{node}' would need two default routes, by way of {first} and {gateway.address}",
                    "let it serve virtual servers of one group, or take `forward: dr` for the others", key=True,
                )  # fmt: skip
                break


def gateways_are_directors(spec: ClusterSpec) -> Iterator[Mistake]:
    """The gateway of an inside network is the address that floats with the virtual one, or answers leave past it."""
    told: set[str] = set()
    for place in _places(spec):
        if place.forward != "nat" or place.server.host not in spec.nodes:
            continue
        for family in place.service.families:
            gateway = gateway_for(spec, place.name, place.server.host, family)
            network = network_of(spec, gateway) if gateway else None
            if gateway is None or network is None or network in told:
                continue
            stated = [a for a in spec.networks[network].gateway if a.version == family]
            outside = all(network_of(spec, address) != network for address in virtual_addresses(spec, place.name))
            if stated and gateway not in stated and outside:
                told.add(network)
                yield Mistake(
                    "LVS030", ("networks", network, "gateway"),
                    f"{stated[0]} is no address of the directors: what {place.server.host} answers would leave by it, "
                    "and no client understands it",
                    f"write `gateway: {gateway}`, which floats with the virtual address",
                )  # fmt: skip


RULES = (
    servers_can_serve,
    bare_servers_are_prepared,
    one_default_route,
    gateways_are_directors,
)
