"""Overrides of pools' servers here: in nginx's lists, in HAProxy and its file of states, and as both have them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from holdfast.agent import haproxy_state
from holdfast.agent.files import create_folder, replace
from holdfast.agent.haproxy_state import Key, Runs, State
from holdfast.agent.host.port import Places
from holdfast.agent.pool_servers import Pooled, PoolServer, pooled, servers_of
from holdfast.agent.prober.marks import ListWriting
from holdfast.agent.prober.status_file import read_status
from holdfast.agent.realtime import haproxy
from holdfast.agent.server_lists import ListedServer, list_path, listed, overridden
from holdfast.agent.services.base import Node, children
from holdfast.bundle import HAPROXY_STATE, Bundle, Service
from holdfast.errors import ApplyError
from holdfast.protocol import Overrides, PooledServer
from holdfast.protocol.realtime import WebKind, WebRow
from holdfast.sentences import Sentence

_ORDERS_AT_ONCE = 50  # one line that HAProxy reads: 16 kB at most
_DOWN = "DOWN"

Wanted = tuple[Pooled, ...]
Changes = Mapping[str, Callable[[str], str]]


def wanted(bundle: Bundle, known: Overrides, now: datetime, engine: Service) -> Wanted:
    """The servers of one engine, and what becomes of them."""
    return tuple(one for one in pooled(bundle, known, now) if one.server.engine is engine)


def put_lists(bundle: Bundle, folder: Path, known: Overrides, now: datetime) -> None:
    """Write nginx's lists of a generation in `folder`: it reads them when it is told next. Raises OSError."""
    for upstream, change in list_changes(bundle, wanted(bundle, known, now, Service.NGINX)).items():
        path = folder / "nginx" / "servers" / Path(list_path(upstream)).name
        text = path.read_text(errors="replace")
        if change(text) != text:
            replace(path, change(text).encode())


def put_states(places: Places, bundle: Bundle, known: Overrides, now: datetime) -> None:
    """HAProxy's file of states, for its next start or reload. Raises OSError."""
    if Service.HAPROXY not in bundle.services:
        return
    path, text = places.at(HAPROXY_STATE), haproxy_state.written(wanted(bundle, known, now, Service.HAPROXY)).encode()
    if not path.is_file() or path.read_bytes() != text:
        create_folder(path.parent)
        replace(path, text)


def list_changes(bundle: Bundle, servers: Iterable[Pooled]) -> dict[str, Callable[[str], str]]:
    """What each upstream's list is to be made of."""
    wishes: dict[str, dict[str, ListedServer]] = defaultdict(dict)
    for one in servers:
        mine = wishes[one.server.backend]
        if one.override is not None:
            weight = one.wanted if one.wanted is not None else one.server.weight
            mine[one.server.endpoint] = ListedServer(one.server.endpoint, weight, out=one.wanted is None)
    return {
        upstream: partial(overridden, base=file.content, wanted=wish)
        for upstream, wish in wishes.items()
        if (file := bundle.file(list_path(upstream))) is not None
    }


def carry_out(node: Node, bundle: Bundle, folder: Path, known: Overrides, now: datetime) -> dict[Service, float]:
    """Have both engines do it: how many seconds each took of those that had to be told. Under the node's lock.

    Raises HoldfastError: what an engine does not take is as it was.
    """
    took: dict[Service, float] = {}
    began = node.host.monotonic()
    of_nginx = wanted(bundle, known, now, Service.NGINX)
    of_haproxy = wanted(bundle, known, now, Service.HAPROXY)
    if of_haproxy:
        put_states(node.places, bundle, known, now)
        if node.manager.status(Service.HAPROXY).running and _tell_haproxy(node.places, of_haproxy):
            took[Service.HAPROXY] = node.host.monotonic() - began
    began = node.host.monotonic()
    if of_nginx and ListWriting(node, bundle, folder).run(list_changes(bundle, of_nginx)):
        took[Service.NGINX] = node.host.monotonic() - began
    return took


def _tell_haproxy(places: Places, servers: Wanted) -> bool:
    """Whether it had to be told anything. Raises ApplyError."""
    socket = places.at(haproxy.SOCKET)
    orders = list(haproxy_state.orders(servers, _in_haproxy(places)))
    for start in range(0, len(orders), _ORDERS_AT_ONCE):
        said = haproxy.ask(socket, question="; ".join(orders[start : start + _ORDERS_AT_ONCE])).strip()
        if said:
            raise ApplyError(
                Sentence("HAProxy does not do what an override wants: %(said)s", said=said.splitlines()[0]),
                "look at its log",
            )
    return bool(orders)


def _in_haproxy(places: Places) -> dict[Key, Runs]:
    return haproxy_state.read(haproxy.ask(places.at(haproxy.SOCKET), question="show servers state"))


@dataclass(frozen=True)
class Seen:
    """A server as its engine has it in one backend; `weight` None: it gets no new requests."""

    weight: int | None
    as_wanted: bool
    up: bool | None = None
    open: int | None = None


def rows(
    node: Node, bundle: Bundle, folder: Path, known: Overrides, now: datetime, took: Mapping[Service, float]
) -> tuple[PooledServer, ...]:
    """Every server that is overridden, or not as it should be, or down. Raises ApplyError, OSError."""
    servers = pooled(bundle, known, now)
    by_engine = {
        engine: tuple(one for one in servers if one.server.engine is engine)
        for engine in (Service.NGINX, Service.HAPROXY)
    }
    seen: dict[PoolServer, Seen] = {}
    if by_engine[Service.NGINX]:
        seen |= _nginx_rows(node, folder, by_engine[Service.NGINX])
    if by_engine[Service.HAPROXY] and node.manager.status(Service.HAPROXY).running:
        seen |= _haproxy_rows(node.places, by_engine[Service.HAPROXY])
    groups: dict[tuple[Service, str, str], list[Pooled]] = defaultdict(list)
    for one in servers:
        groups[one.server.engine, one.server.pool, one.server.name].append(one)
    found = (_row(each, [seen.get(one.server) for one in each], took) for each in groups.values())
    return tuple(row for row in found if row.kind is not None or not row.as_wanted or row.up is False)


def _row(group: Sequence[Pooled], seen: Sequence[Seen | None], took: Mapping[Service, float]) -> PooledServer:
    """One row for all backends of a pool; where an engine does not run, its files are what counts."""
    one, there = group[0], [each for each in seen if each is not None]
    overridden_here = one.override is not None
    counts = [each.open for each in there if each.open is not None]
    ups = [each.up for each in there if each.up is not None]
    weights = [each.weight for each in there if each.weight is not None]
    return PooledServer(
        pool=one.server.pool,
        engine=one.server.engine,
        server=one.server.name,
        kind=one.override.kind if one.override else None,
        wanted=one.wanted,
        weight=weights[0] if weights else None,
        as_wanted=all(each.as_wanted for each in there),
        up=all(ups) if ups else None,
        open=sum(counts) if overridden_here and counts else None,
        seconds=round(took.get(one.server.engine, 0.0), 4) if overridden_here else 0.0,
    )


def _nginx_rows(node: Node, folder: Path, servers: Wanted) -> dict[PoolServer, Seen]:
    lists: dict[str, dict[str, ListedServer]] = {}
    for backend in {one.server.backend for one in servers}:
        path = folder / "nginx" / "servers" / Path(list_path(backend)).name
        lists[backend] = {one.endpoint: one for one in listed(path.read_text(errors="replace"))}
    status = read_status(node.places) if node.manager.status(Service.PROBER).running else None
    up = {(pool.pool, one.endpoint): one.up for pool in (status.pools if status else ()) for one in pool.servers}
    counts = _connections(node) if any(one.override for one in servers) else {}
    first: set[tuple[str, str]] = set()  # connections are of a server, in whatever backend
    found = {}
    for one in servers:
        there = lists[one.server.backend].get(one.server.endpoint)
        weight = there.weight if there and not there.out else None
        key = one.server.pool, one.server.endpoint
        count = counts.get(one.server.endpoint, 0) if key not in first else 0
        first.add(key)
        found[one.server] = Seen(weight, weight == one.wanted, up.get(key), count)
    return found


def _connections(node: Node) -> dict[str, int]:
    """Connections of nginx's workers, also of those that end with their last answer, by the other end."""
    status = node.manager.status(Service.NGINX)
    if status.pid is None:
        return {}
    ours = node.host.sockets_of([process.pid for process in children(node.host, status.pid)])
    local = frozenset(one.address.partition("/")[0] for one in node.host.addresses())
    counts: dict[str, int] = defaultdict(int)
    for each in node.host.connections(local):
        if each.inode in ours and not each.closed:
            remote = f"[{each.remote}]" if ":" in each.remote else each.remote
            counts[f"{remote}:{each.remote_port}"] += 1
    return counts


def _haproxy_rows(places: Places, servers: Wanted) -> dict[PoolServer, Seen]:
    there = _in_haproxy(places)
    stats = {(row.pool, row.name): row for row in haproxy.stat(places.at(haproxy.SOCKET)) if row.kind is WebKind.SERVER}
    found = {}
    for one in servers:
        key = one.server.backend, one.server.name
        runs = there.get(key)
        if runs is not None:
            found[one.server] = _of_haproxy(one, runs, stats.get(key))
    return found


def _of_haproxy(one: Pooled, runs: Runs, row: WebRow | None) -> Seen:
    right = runs.state is haproxy_state.state_of(one) and (
        runs.weight == haproxy_state.weight_of(one) or runs.state is not State.READY
    )
    checked = row is not None and runs.state is State.READY and bool(row.check)
    up = not (row.state or "").startswith(_DOWN) if row is not None and checked else None
    count = (row.active or 0) + (row.queue or 0) if row is not None else None
    return Seen(runs.weight if runs.state is State.READY else None, right, up, count)


def pool_names(bundle: Bundle) -> tuple[str, ...]:
    """Those whose servers can be overridden here."""
    return tuple(sorted({one.pool for one in servers_of(bundle)}))
