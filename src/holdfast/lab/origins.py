"""Which ports the applications of a lab's servers listen on, and what they speak there (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from holdfast.lab.topology import OriginService, Speaks
from holdfast.spec.checks import Check
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.resolve_lvs import Taken, serving, taken_by
from holdfast.spec.virtual_servers import VirtualServer

HTTPS_PORT = 443
_Spoken = tuple[Speaks | None, int]  # None: HTTP over TCP


@dataclass(frozen=True)
class OriginPorts:
    """Where one server listens."""

    http: tuple[int, ...]
    others: tuple[OriginService, ...]


def origin_ports(specs: Sequence[ClusterSpec], hosts: set[str], busy: Iterable[int]) -> OriginPorts:
    """The ports of the server that the specs call one of `hosts`, but for TCP ports that its own proxy has."""
    wanted = {found for spec in specs for found in (*_of_pools(spec, hosts), *_of_virtual_servers(spec, hosts))}
    taken = set(busy)
    http = {port for speaks, port in wanted if speaks is None}
    others = {(speaks, port) for speaks, port in wanted if speaks is not None}
    # One port speaks one thing over TCP: what is named as TLS or SMTP is not HTTP as well.
    http -= {port for speaks, port in others if speaks in (Speaks.HTTPS, Speaks.SMTP)}
    kept = [(s, p) for s, p in others if p not in taken or s in (Speaks.UDP, Speaks.SCTP)]
    services = tuple(OriginService(speaks=speaks, port=port) for speaks, port in sorted(kept))
    return OriginPorts(tuple(sorted(http - taken)), services)


def asked_ports(taken: Taken) -> tuple[int, ...]:
    """The ports of a range that a rehearsal asks: both ends and the middle, each once."""
    return tuple(dict.fromkeys((taken.first, (taken.first + taken.last) // 2, taken.last)))


def spoken(virtual: VirtualServer, port: int) -> Speaks | None:
    """What the real servers of a virtual server speak on a port of theirs; None is HTTP over TCP."""
    if virtual.protocol != "tcp":
        return Speaks(virtual.protocol)
    asked = _asked_by(virtual.check, port)
    if asked and asked[1] == port and asked[0] in (Speaks.HTTPS, Speaks.SMTP):
        return asked[0]
    plain = asked is not None and asked == (None, port) and virtual.check is not None and virtual.check.http is not None
    return Speaks.HTTPS if port == HTTPS_PORT and not plain else None


def _of_pools(spec: ClusterSpec, hosts: set[str]) -> Iterator[_Spoken]:
    for pool in spec.pools.values():
        for server in pool.servers:
            if server.host in hosts:
                yield None, server.port
                if pool.check is not None and pool.check.port is not None:
                    yield None, pool.check.port


def _of_virtual_servers(spec: ClusterSpec, hosts: set[str]) -> Iterator[_Spoken]:
    for name, virtual in spec.virtual_servers.items():
        for server, _ in serving(virtual):
            if server.host not in hosts:
                continue
            ports: tuple[int, ...] = (server.port,) if server.port else ()
            if virtual.marked or not server.port:
                ports += tuple(port for taken in taken_by(spec, name) for port in asked_ports(taken))
            for port in dict.fromkeys(ports):
                yield spoken(virtual, port), port
                asked = _asked_by(virtual.check, port)
                if asked is not None and (asked[1] != port or virtual.protocol != "tcp"):
                    yield asked


def _asked_by(check: Check | None, port: int) -> _Spoken | None:
    """What a check asks a server for, and where."""
    if check is None or check.kind in ("ping", "script"):
        return None
    speaks = {"https": Speaks.HTTPS, "smtp": Speaks.SMTP, "dns": Speaks.UDP, "udp": Speaks.UDP}.get(check.kind)
    return speaks, check.port or port
