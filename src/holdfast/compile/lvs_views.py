"""From virtual servers to what one director has in its kernel's table."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.bundle import WEIGHT_DIR
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.resolve import advert_interface, network_of
from holdfast.spec.resolve_lvs import (
    Taken,
    address_in,
    directors,
    families,
    gateway_for,
    group_of,
    interface_of,
    near_networks,
    node_networks,
    real_server_address,
    shared_networks,
    taken_by,
    virtual_addresses,
)
from holdfast.spec.servers import Server, ServerAddress
from holdfast.spec.values import Address, as_address
from holdfast.spec.virtual_servers import ForwardingMethod, VirtualServer

from .node_view import DirectorRole, MarkView, RealServerView, SorryView, SyncView, TunnelView, VirtualServerView

_ANY = {4: 32, 6: 128}  # the whole address: no granularity


def director_role(spec: ClusterSpec, node: str, marks: dict[str, int], sync_id: int | None) -> DirectorRole:
    """The virtual servers that `node` directs, by name; empty where it directs none.

    `marks` are those of the spec and the lock; what has none yet is left out.
    """
    names = [name for name in sorted(spec.virtual_servers) if node in directors(spec, name)]
    if not names:
        return DirectorRole()
    ends = spec.directors.sessions_of_drained == "end"
    return DirectorRole(
        virtual_servers=tuple(view for name in names for view in _views(spec, name, marks)),
        marks=tuple(mark for name in names for mark in _marks(spec, name, marks)),
        sync=_sync(spec, node, names, sync_id),
        end_sessions_of_drained=ends,
        nat_interfaces=tuple(sorted({found for name in names for found in _nat_interfaces(spec, name, node)})),
    )


def _views(spec: ClusterSpec, name: str, marks: dict[str, int]) -> Iterator[VirtualServerView]:
    virtual = spec.virtual_servers[name]
    if virtual.marked:
        if name in marks:
            both = families(spec, name)
            for family in both:
                label = f"{name}.v6" if family == 6 and len(both) > 1 else name
                yield _view(spec, name, label, family, None, marks[name])
        return
    taken = list(dict.fromkeys((each.address, each.first) for each in taken_by(spec, name)))
    by_family = {family: [each for each in taken if each[0].version == family] for family in (4, 6)}
    for family, sockets in by_family.items():
        for address, port in sockets:
            if len(sockets) > 1:
                label = f"{name}.{_dashed(address)}-{port}"
            else:
                label = f"{name}.v6" if family == 6 and by_family[4] else name
            yield _view(spec, name, label, family, (address, port), None)


def _dashed(address: Address) -> str:
    return str(address).replace(".", "-").replace(":", "-")


def _view(
    spec: ClusterSpec, name: str, label: str, family: int, socket: tuple[Address, int] | None, mark: int | None
) -> VirtualServerView:
    virtual = spec.virtual_servers[name]
    keeps = virtual.persistence
    prefix = (keeps.prefix if family == 4 else keeps.prefix6) if keeps else _ANY[family]
    quorum = virtual.quorum
    return VirtualServerView(
        name=label,
        source=name,
        group=group_of(spec, name) or "",
        address=socket[0] if socket else None,
        port=socket[1] if socket else None,
        mark=mark,
        family=family,
        protocol=virtual.protocol,
        forward=virtual.forward,
        tunnel=TunnelView(virtual.tunnel.kind, virtual.tunnel.port, virtual.tunnel.checksum),
        scheduler=virtual.scheduler.name,
        flags=tuple(f"{virtual.scheduler.name}-{flag}" for flag in sorted(set(virtual.scheduler.flags))),
        persistence_s=keeps.keeps // 1000 if keeps else None,
        persistence_prefix=None if prefix == _ANY[family] else prefix,
        one_packet=virtual.one_packet,
        servers=tuple(_servers(spec, name, label, family, socket[1] if socket else 0)),
        check=virtual.check,
        sorry=_sorry(spec, name, family, socket[1] if socket else 0),
        quorum=quorum.weight,
        hysteresis=quorum.hysteresis,
        quorum_hooks=tuple((state, hook) for state in ("gained", "lost") if (hook := getattr(quorum, state))),
        starts_down=virtual.starts == "down",
        weightless=virtual.failed == "weightless",
        hooks=tuple((state, hook) for state in ("up", "down") if (hook := getattr(virtual.hooks, state))),
        mail=spec.notify.email is not None and bool({"server_down", "server_up"} & set(spec.notify.on)),
    )


def _servers(spec: ClusterSpec, name: str, label: str, family: int, asked: int) -> Iterator[RealServerView]:
    """Those with an address of the family; the directors of the others' family know the others.

    `asked` is the port that clients ask for, and that a server without one of its own has too; 0 behind a mark.
    """
    virtual = spec.virtual_servers[name]
    first = virtual.on[0].first if virtual.on else 0
    near = near_networks(spec, name, family, virtual.forward)
    for server in virtual.servers:
        address = address_in(spec, server.host, family, near)
        if address is None:
            continue
        safe = server_name(server)
        yield RealServerView(
            name=safe,
            node=server.host if server.host in spec.nodes else None,
            address=address,
            port=_port(virtual, server, virtual.forward, asked),
            check_port=server.port or asked or first,
            weight=server.weight,
            upper=server.max_connections,
            lower=server.resume_below,
            weight_file=f"{WEIGHT_DIR}/{label}/{safe}",
        )


def server_name(server: Server) -> str:
    """A server as a file is named: `rs01-80`; an address keeps its dots, which no node's name has."""
    literal = as_address(server.host)
    host = literal.exploded.replace(":", ".") if literal else server.host
    return f"{host}-{server.port}" if server.port else host


def _port(virtual: VirtualServer, server: ServerAddress, forward: ForwardingMethod, asked: int) -> int:
    """Behind a mark the client's own port is kept (0), but where NAT is told another."""
    return server.port or asked if not virtual.marked or forward == "nat" else 0


def _sorry(spec: ClusterSpec, name: str, family: int, asked: int) -> SorryView | None:
    virtual = spec.virtual_servers[name]
    if virtual.sorry is None:
        return None
    forward = virtual.sorry.forward or virtual.forward
    address = real_server_address(spec, name, virtual.sorry.host, family, forward)
    port = _port(virtual, virtual.sorry, forward, asked)
    return SorryView(address, port, virtual.sorry.forward) if address else None


def _marks(spec: ClusterSpec, name: str, marks: dict[str, int]) -> Iterator[MarkView]:
    """What nftables marks; nothing where the operator's own rules do."""
    virtual = spec.virtual_servers[name]
    if not virtual.marked or virtual.mark is not None or name not in marks:
        return
    seen: dict[tuple[Address, int, int], Taken] = {(t.address, t.first, t.last): t for t in taken_by(spec, name)}
    for taken in seen.values():
        yield MarkView(marks[name], taken.address, virtual.protocol, taken.first, taken.last, name)


def _nat_interfaces(spec: ClusterSpec, name: str, node: str) -> Iterator[str]:
    """Where the director has the gateways of real servers behind NAT."""
    for server in spec.virtual_servers[name].servers if spec.virtual_servers[name].forward == "nat" else ():
        gateway = gateway_for(spec, name, server.host, 4)
        network = network_of(spec, gateway) if gateway else None
        for own in spec.nodes[node].addresses:
            if network and network_of(spec, own) == network and (interface := interface_of(spec, node, own)):
                yield interface


def _sync(spec: ClusterSpec, node: str, names: list[str], sync_id: int | None) -> SyncView | None:
    """Where this director tells the others of its connections: the interface or network named, else one inside."""
    wanted = spec.directors.sync
    if wanted is False or sync_id is None:
        return None
    network = wanted.network or _inside(spec, names)
    interface = wanted.interface or (_interface_in(spec, node, network) if network else None)
    group = group_of(spec, names[0])
    found = interface or (advert_interface(spec, spec.vrrp[group], node) if group else None)
    if found is None:
        return None
    own = spec.nodes[node].interfaces[found].addresses if found in spec.nodes[node].interfaces else ()
    return SyncView(found, sync_id, 6 if own and all(address.version == 6 for address in own) else 4)


def _inside(spec: ClusterSpec, names: list[str]) -> str | None:
    """The first network that all these directors are on and that no virtual address is in: clients need not hear."""
    shared = [set(shared_networks(spec, name)) for name in names]
    outside = {network_of(spec, address) for name in names for address in virtual_addresses(spec, name)}
    return next((net for net in spec.networks if net not in outside and all(net in each for each in shared)), None)


def _interface_in(spec: ClusterSpec, node: str, network: str) -> str | None:
    if network not in node_networks(spec, node):
        return None
    near = (address for address in spec.nodes[node].addresses if network_of(spec, address) == network)
    return next((interface for address in near if (interface := interface_of(spec, node, address))), None)
