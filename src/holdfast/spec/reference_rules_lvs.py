"""Rules about virtual servers: what they take, who directs them, and who else claims the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from holdfast.findings import Severity
from holdfast.sentences import Sentence

from .cluster import ClusterSpec
from .mistakes import Mistake, unknown
from .positions import Path
from .resolve import listener_addresses, network_of
from .resolve_lvs import (
    Taken,
    all_directors,
    directed_groups,
    directors,
    families,
    group_of,
    group_of_target,
    node_networks,
    real_server_address,
    taken_by,
)
from .values import Address, as_address, format_duration, join_host_port
from .virtual_servers import SYNC_ROUND_MS, ConnectionSync, TakenPorts
from .vrrp import PreemptAfter


def on_path(spec: ClusterSpec, name: str, place: int) -> Path:
    """Where an entry of `on` stands: alone, or in a list."""
    path: Path = ("virtual_servers", name, "on")
    return (*path, place) if len(spec.virtual_servers[name].on) > 1 else path


def what_is_taken_exists(spec: ClusterSpec) -> Iterator[Mistake]:
    """A virtual server takes addresses that float: only with them come the packets to the director that holds them."""
    for name, virtual in spec.virtual_servers.items():
        for place, taken in enumerate(virtual.on):
            yield from _target(spec, taken, on_path(spec, name, place))
        path: Path = ("virtual_servers", name, "group")
        if virtual.group is not None and virtual.group not in spec.vrrp:
            yield unknown("LVS001", path, Sentence("VRRP group"), virtual.group, spec.vrrp)
        elif virtual.mark is not None and group_of(spec, name) is None:
            yield Mistake(
                "LVS005", ("virtual_servers", name, "mark"),
                Sentence("a mark tells nothing of the directors, and the spec has several VRRP groups")
                if spec.vrrp
                else Sentence("a mark tells nothing of the directors, and the spec has no VRRP group"),
                Sentence("add `group:` with the group whose members direct it"),
            )  # fmt: skip


def _target(spec: ClusterSpec, taken: TakenPorts, path: Path) -> Iterator[Mistake]:
    if taken.group is None:
        if group_of_target(spec, taken) is None:
            yield Mistake(
                "LVS003",
                path,
                Sentence(
                    "%(target)s floats in no VRRP group: when its node dies, nobody takes over", target=taken.target
                ),
                Sentence("add it to a group under `vrrp:`, and name that one: 'GROUP:PORT'"),
            )
    elif taken.group not in spec.vrrp:
        yield unknown("LVS001", path, Sentence("VRRP group"), taken.group, spec.vrrp)
    elif not listener_addresses(spec, taken.target):
        known = spec.vrrp[taken.group].addresses
        yield unknown(
            "LVS002", path, Sentence("address of '%(group)s' named", group=taken.group), taken.address_name or "", known
        )


def one_group_directs(spec: ClusterSpec) -> Iterator[Mistake]:
    """All that one virtual server takes floats together: its directors would not be the same otherwise."""
    for name, virtual in spec.virtual_servers.items():
        first = group_of(spec, name)
        for place, taken in enumerate(virtual.on):
            other = group_of_target(spec, taken)
            if first and other and other != first:
                yield Mistake(
                    "LVS004",
                    on_path(spec, name, place),
                    Sentence(
                        "'%(other)s' and '%(first)s' may have different holders: one virtual "
                        "server belongs to one group",
                        other=other,
                        first=first,
                    ),
                    Sentence(
                        "write a virtual server for each group; `servers: &same […]` and `servers: *same` say them once"
                    ),
                )


def nothing_is_taken_twice(spec: ClusterSpec) -> Iterator[Mistake]:
    """The kernel knows one virtual server for each protocol, address and port, and one for each mark."""
    taken: dict[tuple[str, Address], _TakenBefore] = {}
    marks: dict[int, str] = {}
    for name, virtual in spec.virtual_servers.items():
        if virtual.mark is not None:
            if virtual.mark in marks:
                message = Sentence(
                    "the mark %(mark)s belongs to virtual server '%(owner)s' already",
                    mark=virtual.mark,
                    owner=marks[virtual.mark],
                )
                yield Mistake("LVS007", ("virtual_servers", name, "mark"), message, Sentence("give each its own mark"))
            marks.setdefault(virtual.mark, name)
        told: set[int] = set()
        for one in taken_by(spec, name):
            others = taken.setdefault((virtual.protocol, one.address), _TakenBefore())
            found = others.first_of(one)
            if found and one.place not in told:
                told.add(one.place)
                mine = found[1] == name
                who = Sentence("this virtual server") if mine else Sentence("virtual server '%(name)s'", name=found[1])
                port = max(found[0].first, one.first)
                yield Mistake(
                    "LVS007",
                    on_path(spec, name, one.place),
                    Sentence(
                        "%(socket)s (%(protocol)s) is taken by %(who)s already",
                        socket=join_host_port(str(one.address), port),
                        protocol=virtual.protocol,
                        who=who,
                    ),
                    Sentence("take each address and port in one virtual server, once"),
                )
            others.add(one, name)


@dataclass
class _TakenBefore:
    """What is taken of one address, in its order: single ports are looked up, for there may be thousands."""

    _ports: dict[int, tuple[int, Taken, str]] = field(default_factory=dict)
    _ranges: list[tuple[int, Taken, str]] = field(default_factory=list)
    _count: int = 0

    def add(self, one: Taken, name: str) -> None:
        """It is taken by this virtual server."""
        self._count += 1
        if one.first == one.last:
            self._ports.setdefault(one.first, (self._count, one, name))
        else:
            self._ranges.append((self._count, one, name))

    def first_of(self, one: Taken) -> tuple[Taken, str] | None:
        """The first that has a port in common, and whose it is."""
        several = one.first != one.last
        found = list(self._ports.values()) if several else [self._ports[one.first]] if one.first in self._ports else []
        found = [each for each in (*found, *self._ranges) if one.first <= each[1].last and each[1].first <= one.last]
        return min(found, key=lambda each: each[0])[1:] if found else None


def every_family_is_served(spec: ClusterSpec) -> Iterator[Mistake]:
    """IPVS sends IPv4 to IPv4 and IPv6 to IPv6: a family without a server answers nobody."""
    for name, virtual in spec.virtual_servers.items():
        known = [s for s in virtual.servers if s.host in spec.nodes or as_address(s.host) is not None]
        if len(known) < len(virtual.servers):
            continue  # an unknown server might have been one
        for family in families(spec, name):
            if any(real_server_address(spec, name, server.host, family) for server in virtual.servers):
                continue
            one = next(one for one in taken_by(spec, name) if one.address.version == family)
            yield Mistake(
                "LVS028",
                on_path(spec, name, one.place),
                Sentence(
                    "no server of '%(name)s' has an IPv%(family)s address, so nobody answers at %(address)s",
                    name=name,
                    family=family,
                    address=one.address,
                ),
                Sentence("give the servers one, or name the other address alone: 'GROUP.ADDRESS:PORT'"),
            )
            break


def proxies_do_not_wait_in_vain(spec: ClusterSpec) -> Iterator[Mistake]:
    """What IPVS takes on a director never reaches a proxy that listens there on the same address and port."""
    listeners: dict[Address, list[tuple[str, str, int]]] = {}
    for proxy_name, proxy in spec.proxies.items():
        for listener in proxy.listeners:
            for address in listener_addresses(spec, listener.on.target):
                at = listeners.setdefault(address, [])
                at += ((proxy_name, node, listener.on.port) for node in proxy.nodes)
    for name, virtual in spec.virtual_servers.items():
        nodes, told = set(directors(spec, name)), set()
        for one in taken_by(spec, name) if virtual.protocol == "tcp" else ():
            for proxy_name, node, port in listeners.get(one.address, ()):
                if node in nodes and one.first <= port <= one.last and one.place not in told:
                    told.add(one.place)
                    yield Mistake(
                        "LVS031",
                        on_path(spec, name, one.place),
                        Sentence(
                            "on '%(node)s' the proxy '%(proxy_name)s' listens on "
                            "%(socket)s, but the virtual server takes every connection before it",
                            node=node,
                            proxy_name=proxy_name,
                            socket=join_host_port(str(one.address), port),
                        ),
                        Sentence("let the proxy run on the real servers, or give one of the two another port"),
                    )


def sync_has_a_way(spec: ClusterSpec) -> Iterator[Mistake]:
    """Directors tell each other of connections over an interface that all of them have."""
    sync = spec.directors.sync
    if not isinstance(sync, ConnectionSync):
        return
    nodes = all_directors(spec)
    if sync.interface is not None:
        lacking = [node for node in nodes if sync.interface not in spec.nodes[node].interfaces]
        if lacking:
            known = {name for node in nodes for name in spec.nodes[node].interfaces}
            path: Path = ("directors", "sync", "interface")
            yield unknown(
                "LVS033",
                path,
                Sentence("interface"),
                sync.interface,
                known,
                where=Sentence(" on %(nodes)s", nodes=", ".join(lacking)),
            )
    if sync.network is not None:
        path = ("directors", "sync", "network")
        if sync.network not in spec.networks:
            yield unknown("LVS033", path, Sentence("network"), sync.network, spec.networks)
        elif away := [node for node in nodes if sync.network not in node_networks(spec, node)]:
            message = Sentence(
                "%(away)s would hear of no connection: no interface there is in '%(network)s'",
                away=", ".join(away),
                network=sync.network,
            )
            yield Mistake("LVS033", path, message, Sentence("name a network that all directors are on"))


def who_comes_back_has_heard_of_all(spec: ClusterSpec) -> Iterator[Mistake]:
    """A director that takes its group back has to know what the other forwards: it hears of it in rounds."""
    if spec.directors.sync is False:
        return
    for name in directed_groups(spec):
        preempt = spec.vrrp[name].preempt
        delay = preempt.after if isinstance(preempt, PreemptAfter) else 0
        if "preempt" in spec.vrrp[name].model_fields_set and preempt is not False and delay < SYNC_ROUND_MS:
            round_ = format_duration(SYNC_ROUND_MS)
            yield Mistake(
                "LVS035",
                ("vrrp", name, "preempt"),
                Sentence(
                    "a director that comes back may cut connections: directors tell each other "
                    "of those that go on once in %(round)s, and it takes over before it has heard of all",
                    round=round_,
                ),
                Sentence(
                    "write `preempt: {after: %(after)s}`, or `preempt: false`",
                    after=format_duration(SYNC_ROUND_MS * 3 // 2),
                ),
                Severity.WARNING,
            )


def clients_come_from_elsewhere(spec: ClusterSpec) -> Iterator[Mistake]:
    """Behind NAT a real server answers a client of its own network directly: past the director, not understood."""
    for name, virtual in spec.virtual_servers.items():
        if virtual.forward != "nat":
            continue
        outer = {network_of(spec, one.address) for one in taken_by(spec, name)} - {None}
        inner = {
            network_of(spec, address)
            for server in virtual.servers
            for family in families(spec, name)
            if (address := real_server_address(spec, name, server.host, family))
        }
        if both := sorted(str(network) for network in outer & inner):
            yield Mistake(
                "LVS016",
                ("virtual_servers", name, "forward"),
                Sentence(
                    "clients in '%(network)s' get no answer: the servers are in their network, and "
                    "answer them past the director",
                    network=both[0],
                ),
                Sentence("put the servers into an inside network, or take `forward: dr`"),
                Severity.WARNING,
            )


RULES = (
    what_is_taken_exists,
    one_group_directs,
    nothing_is_taken_twice,
    every_family_is_served,
    proxies_do_not_wait_in_vain,
    sync_has_a_way,
    who_comes_back_has_heard_of_all,
    clients_come_from_elsewhere,
)
