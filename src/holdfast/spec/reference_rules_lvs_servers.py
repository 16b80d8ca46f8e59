"""Rules about real servers: how packets reach them, and how their answers find back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from holdfast.findings import Severity
from holdfast.sentences import Sentence

from .cluster import ClusterSpec
from .mistakes import Mistake, unknown
from .once import once
from .positions import Path
from .resolve import network_of
from .resolve_lvs import (
    address_in,
    directors,
    families,
    floating_groups,
    gateway_for,
    gateways_of,
    group_of,
    near_networks,
    node_networks,
    owners,
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
            near={(f, way): near_networks(spec, name, f, way) for f in served for way in ways},
        )


@once
def _places(spec: ClusterSpec) -> tuple[_Place, ...]:
    return tuple(_all_places(spec))


def _all_places(spec: ClusterSpec) -> Iterator[_Place]:
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
    yield from (mistake for mistake in _mistakes(spec) if mistake)


@once
def _mistakes(spec: ClusterSpec) -> tuple[Mistake | None, ...]:
    """What is wrong with each place, if anything is."""
    return tuple(_mistake_at(spec, place) for place in _places(spec))


def _mistake_at(spec: ClusterSpec, place: _Place) -> Mistake | None:
    """The first that is wrong with a server: what comes after it would only say so again."""
    found = (judge(spec, place) for judge in _JUDGES)
    return next((mistake for mistake in found if mistake), None)


def _exists(spec: ClusterSpec, place: _Place) -> Mistake | None:
    host = place.server.host
    address = as_address(host)
    if address is None and host not in spec.nodes:
        return unknown("LVS006", place.path, Sentence("node"), host, spec.nodes)
    if address is not None and (address.is_loopback or address.is_unspecified or address.is_multicast):
        hint = Sentence("name a node, such as web01:80, or the address of a machine of its own")
        return Mistake(
            "LVS006",
            place.path,
            Sentence("%(host)s is no machine that directors could send packets to", host=host),
            hint,
        )
    return None


def _is_no_virtual_address(spec: ClusterSpec, place: _Place) -> Mistake | None:
    address = as_address(place.server.host)
    if address is None:
        return None
    floating = floating_groups(spec)
    if address not in floating:
        return None
    return Mistake(
        "LVS008",
        place.path,
        Sentence(
            "%(address)s floats in '%(floating)s': its packets would come back to a director, and go round",
            address=address,
            floating=floating[address],
        ),
        Sentence("name the server's own address, or its node"),
    )


def _is_no_director(spec: ClusterSpec, place: _Place) -> Mistake | None:
    node = _node(spec, place.server)
    if node not in place.service.directors:
        return None
    why = Sentence("answers would not pass the other director when that one is active")
    if place.forward != "nat":
        why = Sentence(
            "the standby director, which has the address as a server, would forward packets back, round and round"
        )
    return Mistake(
        "LVS012",
        place.path,
        Sentence(
            "'%(node)s' directs '%(name)s' and cannot be its server: %(why)s", node=node, name=place.name, why=why
        ),
        Sentence(
            "name servers of their own, or take %(node)s out of vrrp.%(group)s.nodes",
            node=node,
            group=place.service.group,
        ),
    )


def _node(spec: ClusterSpec, server: ServerAddress) -> str:
    """The node meant, also where its address is written instead of its name; empty for other machines."""
    if server.host in spec.nodes:
        return server.host
    address = as_address(server.host)
    return owners(spec).get(address, "") if address else ""


def _sorry_is_another(spec: ClusterSpec, place: _Place) -> Mistake | None:
    server, servers = place.server, place.service.virtual.servers
    if not place.sorry or all((each.host, each.port) != (server.host, server.port) for each in servers):
        return None
    message = Sentence(
        "%(written)s is one of the servers: when they fail, it has failed too", written=place.server.written
    )
    return Mistake("LVS009", place.path, message, Sentence("name another server, or another port"))


def _port_fits(spec: ClusterSpec, place: _Place) -> Mistake | None:
    port = place.server.port
    taken, mark = place.service.taken, place.service.virtual.mark
    if place.forward == "nat" or not port or taken == {(port, port)} or (not taken and mark is None):
        return None
    asked = _ports(taken) if taken else Sentence("the port that the client asks for")
    alone = Sentence(" alone") if any(first <= port <= last for first, last in taken) else ""
    instead = f"`{{address: '{place.server.written}', forward: nat}}`" if place.sorry else "`forward: nat`"
    return Mistake(
        "LVS010",
        place.path,
        Sentence(
            "%(forward)s changes no packet: the server is asked on %(asked)s, not on %(port)s%(alone)s",
            forward=place.forward,
            asked=asked,
            port=port,
            alone=alone,
        ),
        Sentence(
            "write %(portless)s, or take %(instead)s, which translates ports",
            portless=_portless(place.server),
            instead=instead,
        ),
    )


def _ports(taken: Collection[tuple[int, int]]) -> str:
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in sorted(taken))


def _portless(server: ServerAddress) -> str:
    return f"'[{server.host}]'" if ":" in server.host else Sentence("'%(host)s' without a port", host=server.host)


def _is_near(spec: ClusterSpec, place: _Place) -> Mistake | None:
    """DR changes the Ethernet address alone, so both are on one segment."""
    for family in place.service.families if place.forward == "dr" else ():
        address = place.address(spec, family)
        if address is None:
            continue
        network = network_of(spec, address)
        away = [node for node in place.service.directors if network not in node_networks(spec, node)]
        if away:
            where = Sentence("in none of the networks")
            if network:
                nodes = ", ".join(away)
                where = Sentence("in '%(network)s', where %(nodes)s cannot be found", network=network, nodes=nodes)
            return Mistake(
                "LVS011",
                place.path,
                Sentence(
                    "dr reaches servers on the directors' own segment only: %(address)s is %(where)s",
                    address=address,
                    where=where,
                ),
                Sentence("take `forward: tun`, which leads anywhere, or give both an interface in one network"),
            )
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
        message = Sentence(
            "'%(group)s' has no address in '%(network)s', so answers of %(host)s pass no director, and no client "
            "understands them",
            group=group,
            network=network,
            host=place.server.host,
        )
        hint = Sentence(
            "add a free address of '%(network)s' to vrrp.%(group)s.addresses, such as `gateway: …`",
            network=network,
            group=group,
        )
        severity = Severity.WARNING if place.sorry else Severity.ERROR
        code = "LVS014" if place.sorry else "LVS013"
        return Mistake(code, place.path, message, hint, severity)
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
    for place, mistake in zip(_places(spec), _mistakes(spec), strict=True):
        if as_address(place.server.host) is not None and not place.sorry and not mistake:
            found.setdefault(place.name, []).append(place.server.host)
    for name, bare in found.items():
        if not directors(spec, name):
            continue
        needed = _needed(spec, name, bare[0])
        names = ", ".join(bare[:3]) + (" …" if len(bare) > 3 else "")
        yield Mistake(
            "LVS015", ("virtual_servers", name, "servers"),
            Sentence("nobody prepares %(names)s: by hand, each needs %(needed)s", names=names, needed=needed),
            _hint_of_bare(spec, bare), Severity.INFO,
        )  # fmt: skip


def _needed(spec: ClusterSpec, name: str, host: str) -> Sentence:
    """What a real server has to have, by how packets are forwarded to it."""
    listed = ", ".join(str(address) for address in virtual_addresses(spec, name))
    addresses = listed or Sentence("the virtual address")
    match spec.virtual_servers[name].forward:
        case "nat":
            return Sentence("a default route by way of %(gateway)s", gateway=_gateway(spec, name, host))
        case "dr":
            return Sentence("%(addresses)s on lo, arp_ignore=1 and arp_announce=2", addresses=addresses)
        case _:
            return Sentence("%(addresses)s on a tunnel device, rp_filter=0", addresses=addresses)


def _gateway(spec: ClusterSpec, name: str, host: str) -> str:
    address = as_address(host)
    found = gateway_for(spec, name, host, address.version) if address else None
    return str(found) if found else Sentence("an address that floats with the virtual one")


def _hint_of_bare(spec: ClusterSpec, bare: list[str]) -> Sentence:
    for host in bare:
        address = as_address(host)
        node = owners(spec).get(address) if address else None
        if node is not None:
            return Sentence("%(host)s is '%(node)s': write the node's name, and it is prepared", host=host, node=node)
    return Sentence("name them under `nodes:`, and let an agent prepare them")


def one_default_route(spec: ClusterSpec) -> Iterator[Mistake]:
    """A machine has one default route a family: it serves one group behind NAT."""
    for node in real_server_nodes(spec):
        ways: dict[int, Address] = {}
        for gateway in gateways_of(spec, node):
            first = ways.setdefault(gateway.address.version, gateway.address)
            if first != gateway.address:
                yield Mistake(
                    "LVS029",
                    ("nodes", node),
                    Sentence(
                        "'%(node)s' would need two default routes, by way of %(first)s and %(address)s",
                        node=node,
                        first=first,
                        address=gateway.address,
                    ),
                    Sentence("let it serve virtual servers of one group, or take `forward: dr` for the others"),
                    key=True,
                )
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
                    "LVS030",
                    ("networks", network, "gateway"),
                    Sentence(
                        "%(stated)s is no address of the directors: what %(host)s answers would "
                        "leave by it, and no client understands it",
                        stated=stated[0],
                        host=place.server.host,
                    ),
                    Sentence("write `gateway: %(gateway)s`, which floats with the virtual address", gateway=gateway),
                )


RULES = (
    servers_can_serve,
    bare_servers_are_prepared,
    one_default_route,
    gateways_are_directors,
)
