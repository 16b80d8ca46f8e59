"""What a node does at this moment, as a page shows it: sorted, filtered, bounded, beside what health checks say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from holdfast.agent.weights import file_name
from holdfast.protocol.realtime import Connections, FivePerS, Sample, TableServer, TableService, WebKind, WebRow
from holdfast.protocol.realtime_ring import Ring

from ...operations.situation import Situation
from ...operations.written import Written, as_written, servers_of
from ..words import N_
from .realtime_charts import Chart, chart_of, shown, spark
from .servers import STATES, rows_of

T = TypeVar("T")

MOST_SERVICES = 25  # on a page
MOST_SERVERS = 250  # of all virtual servers on a page together, so that each picture is small
FEWEST_SERVERS = 10  # of each virtual server all the same
MOST_WEB = 120  # rows on a page
_OLD_AFTER_S = 5.0


class Sort(StrEnum):
    """By what; names from below, everything else from above."""

    NAME = "name"
    CONNECTIONS = "connections"
    IN = "in"
    OUT = "out"
    ACTIVE = "active"


SORTS: Mapping[Sort, str] = {
    Sort.NAME: N_("Names"),
    Sort.CONNECTIONS: N_("New connections or requests"),
    Sort.IN: N_("Bytes in"),
    Sort.OUT: N_("Bytes out"),
    Sort.ACTIVE: N_("Open connections"),
}
INTERVALS = (1, 2, 5, 10)  # seconds


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to see; `search` None: no list of connections. `page` is of tables too long for one."""

    node: str
    every_s: int = 2
    sort: Sort = Sort.NAME
    find: str = ""
    search: str | None = None
    page: int = 1


@dataclass(frozen=True, slots=True)
class Health:
    """What checks say of a server: a mark, a word, and more of it where there is more."""

    state: str
    word: str
    more: str = ""


UNKNOWN = Health("unknown", N_("not known"))


@dataclass(frozen=True, slots=True)
class Judged:
    """What health checks say of a node's servers; `connected`: whether its agent can be heard at all."""

    connected: bool = False
    real: Mapping[tuple[str, str], Health] = field(default_factory=dict)  # by virtual server and server
    pools: Mapping[tuple[str, str], Health] = field(default_factory=dict)  # by pool and endpoint
    names: Written = field(default_factory=dict)  # of servers, by the names that a sample has


@dataclass(frozen=True, slots=True)
class Flow:
    """What goes through something in a second, as it is shown."""

    connections: str
    packets: str
    bytes_in: str
    bytes_out: str


@dataclass(frozen=True, slots=True)
class ServerRow:
    """A server in the table, or one that should be there."""

    key: str
    name: str
    endpoint: str
    method: str
    absent: bool
    weight: int
    active: int
    inactive: int
    flow: Flow
    health: Health


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """A virtual server in the table; `hidden` of its servers have no place."""

    key: str
    name: str
    source: str
    scheduler: str
    persistence_s: int | None
    active: int
    inactive: int
    flow: Flow
    spark: str
    servers: tuple[ServerRow, ...]
    hidden: int


@dataclass(frozen=True, slots=True)
class WebLine:
    """A listener, a pool, or a server of a pool."""

    key: str
    kind: str
    name: str
    pool: str
    per_s: str
    classes: tuple[tuple[str, str], ...]  # class and answers in a second, those that there are
    response: str
    active: int | None
    queue: int | None
    spark: str
    health: Health | None


@dataclass(frozen=True, slots=True)
class Leaf:
    """A page of something long: its rows are the ones from `first` to `last` of `count`."""

    number: int
    first: int
    last: int
    count: int

    def of(self, rows: Sequence[T]) -> Sequence[T]:
        """Its rows."""
        return rows[max(0, self.first - 1) : self.last]

    @property
    def is_last(self) -> bool:
        """Whether nothing comes after it."""
        return self.last >= self.count

    @property
    def is_whole(self) -> bool:
        """Whether there is no other page."""
        return self.number == 1 and self.is_last


def leaf(count: int, each: int, wanted: int) -> Leaf:
    """The wanted page, or the last one that there is."""
    number = min(wanted, max(1, -(-count // each)))
    first = (number - 1) * each
    return Leaf(number, min(first + 1, count), min(first + each, count), count)


@dataclass(frozen=True, slots=True)
class Engine:
    """nginx or HAProxy."""

    key: str
    name: str
    rows: tuple[WebLine, ...]
    leaf: Leaf
    asks: bool  # whether it tells of queues and open requests


@dataclass(frozen=True, slots=True)
class Realtime:
    """A node. `old`: nothing has come from it for longer than it should."""

    node: str
    taken: datetime | None
    old: bool
    connected: bool
    seconds: float
    every_s: float
    slower: bool
    directs: bool
    charts: tuple[Chart, ...]
    services: tuple[ServiceRow, ...]
    leaf: Leaf
    total: int
    left_out: int
    engines: tuple[Engine, ...]
    connections: Connections | None
    estimated: bool
    problems: tuple[str, ...]


def judged(seen: Situation, node: str) -> Judged:
    """What health checks say, by the names that a sample has, and those that the spec has."""
    names = dict(servers_of(seen.spec)) if seen.spec is not None else {}
    real: dict[tuple[str, str], Health] = {}
    for row in rows_of(seen):
        for one in row.servers:
            real[row.name, file_name(one.written)] = Health(one.state, one.word)
    pools: dict[tuple[str, str], Health] = {}
    heard = seen.heard.get(node)
    fresh = node in seen.connected
    for pool in heard.report.status.pools if heard is not None and heard.report.status is not None else ():
        for server in pool.servers:
            names[("pool", pool.pool), server.endpoint] = as_written(names, ("pool", pool.pool), server.name)
            asked = bool(server.last)
            word = (
                ("in service" if server.up else "down") if asked and fresh else "not checked" if fresh else "not known"
            )
            pools[pool.pool, server.endpoint] = Health(STATES[word], word, server.last if not server.up else "")
    return Judged(fresh, real, pools, names)


def is_old(taken: datetime | None, now: datetime, every_s: float) -> bool:
    """Whether more than two samples have failed to come."""
    return taken is None or (now - taken).total_seconds() > max(_OLD_AFTER_S, 2.5 * every_s)


def realtime_of(
    wanted: Wanted, sample: Sample | None, taken: datetime | None, ring: Ring, health: Judged, *, old: bool
) -> Realtime:
    """The whole picture; of a node that has not told anything, only that."""
    sample = sample or Sample(node=wanted.node, controller="-")
    words = wanted.find.lower().split()
    fitting = [one for one in sample.services if not words or _fits(words, _text(one, health.names))]
    fitting.sort(key=_order(wanted.sort))
    page = leaf(len(fitting), MOST_SERVICES, wanted.page)
    services = page.of(fitting)
    room = max(FEWEST_SERVERS, MOST_SERVERS // max(1, len(services)))
    last = max(0, sample.number - 1)
    return Realtime(
        node=wanted.node,
        taken=taken,
        old=old,
        connected=health.connected,
        seconds=sample.seconds,
        every_s=sample.every_s,
        slower=sample.every_s > wanted.every_s + 0.5,
        directs=sample.directs,
        charts=tuple(_charts(sample, ring, last)),
        services=tuple(_service(one, wanted.sort, room, ring, last, health) for one in services),
        leaf=page,
        total=len(sample.services),
        left_out=sample.left_out,
        engines=tuple(_engines(sample, wanted, words, ring, last, None if old else health, health.names)),
        connections=next((one for one in sample.connections if one.find == wanted.search), None),
        estimated=sample.estimated,
        problems=sample.problems,
    )


def _fits(words: Sequence[str], text: str) -> bool:
    return all(word in text for word in words)


def _text(one: TableService, names: Written) -> str:
    of = "virtual_server", one.source
    servers = (f"{each.name} {as_written(names, of, each.name)} {each.address}:{each.port}" for each in one.servers)
    return " ".join((one.name, one.source, *servers)).lower()


def _order(sort: Sort) -> Callable[[TableService], tuple[float, str, int]]:
    def order(one: TableService) -> tuple[float, str, int]:
        per_s = one.per_s or (0.0,) * 5
        figure = {
            Sort.NAME: 0.0,
            Sort.CONNECTIONS: -per_s[0],
            Sort.IN: -per_s[3],
            Sort.OUT: -per_s[4],
            Sort.ACTIVE: -float(sum(each.active for each in one.servers)),
        }[sort]
        return figure, one.source or one.name, one.port

    return order


def _server_order(sort: Sort) -> Callable[[TableServer], float]:
    def order(one: TableServer) -> float:
        per_s = one.per_s or (0.0,) * 5
        return {
            Sort.NAME: 0.0,
            Sort.CONNECTIONS: -per_s[0],
            Sort.IN: -per_s[3],
            Sort.OUT: -per_s[4],
            Sort.ACTIVE: -float(one.active),
        }[sort]

    return order


def _flow(per_s: FivePerS | None) -> Flow:
    if per_s is None:
        return Flow("–", "–", "–", "–")
    return Flow(shown(per_s[0], "/s"), shown(per_s[1], "/s"), shown(per_s[3], "B/s"), shown(per_s[4], "B/s"))


def _service(one: TableService, sort: Sort, room: int, ring: Ring, last: int, health: Judged) -> ServiceRow:
    servers = sorted(one.servers, key=_server_order(sort))
    points = ring.of(f"ipvs {one.name}"[:200], last)
    return ServiceRow(
        key=one.name,
        name=one.name,
        source=one.source,
        scheduler=one.scheduler,
        persistence_s=one.persistence_s,
        active=sum(each.active for each in one.servers),
        inactive=sum(each.inactive for each in one.servers),
        flow=_flow(one.per_s),
        spark=spark([point[0] for point in points]),
        servers=tuple(_server(one, each, health) for each in servers[:room]),
        hidden=max(0, len(servers) - room),
    )


def _server(service: TableService, one: TableServer, health: Judged) -> ServerRow:
    address = f"[{one.address}]" if ":" in one.address else one.address
    return ServerRow(
        key=f"{service.name} {one.address} {one.port}",
        name=as_written(health.names, ("virtual_server", service.source), one.name),
        endpoint=f"{address}:{one.port}",
        method=one.method,
        absent=one.absent,
        weight=one.weight,
        active=one.active,
        inactive=one.inactive,
        flow=_flow(one.per_s),
        health=_seen(one, health.real.get((service.source, one.name), UNKNOWN)),
    )


def _seen(one: TableServer, health: Health) -> Health:
    """What was said of its health is older than this look: a server that the kernel has not is no healthy one."""
    return UNKNOWN if one.absent and health.state == "ok" else health


def _charts(sample: Sample, ring: Ring, last: int) -> Iterable[Chart]:
    if sample.directs:
        points = ring.of("ipvs total", last)
        yield chart_of("connections", N_("New connections"), "/s", (N_("connections"), [one[0] for one in points]))
        both = ((N_("in"), [one[1] for one in points]), (N_("out"), [one[2] for one in points]))
        yield chart_of("bytes", N_("Bytes"), "B/s", *both)
        yield chart_of("open", N_("Open connections"), "", (N_("open"), [one[3] for one in points]))
    for engine in dict.fromkeys(row.engine for row in sample.web):
        points = ring.of(f"{engine} total", last)
        name = NAMES.get(engine, engine)
        both = ((N_("requests"), [one[0] for one in points]), ("5xx", [one[1] for one in points]))
        yield chart_of(f"{engine}-requests", name, "/s", *both)
        yield chart_of(f"{engine}-times", N_("Response time"), "ms", (name, [one[2] for one in points]))
        if engine != "nginx":
            yield chart_of(f"{engine}-queue", N_("Queue"), "", (N_("waiting"), [one[3] for one in points]))


NAMES: Mapping[str, str] = {"nginx": "nginx", "haproxy": "HAProxy"}
_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", N_("no answer"))
_KINDS = {WebKind.LISTENER: N_("Listener"), WebKind.POOL: N_("Pool"), WebKind.SERVER: N_("Server")}


def _engines(
    sample: Sample, wanted: Wanted, words: Sequence[str], ring: Ring, last: int, health: Judged | None, names: Written
) -> Iterable[Engine]:
    """`health` None: what is known of the node is old."""
    for engine in dict.fromkeys(row.engine for row in sample.web):
        rows = [one for one in sample.web if one.engine == engine]
        fitting = [one for one in rows if _fits(words, _web_text(one, names))]
        fitting = _arranged(fitting, wanted.sort)
        page = leaf(len(fitting), MOST_WEB, wanted.page)
        yield Engine(
            key=engine,
            name=NAMES.get(engine, engine),
            rows=tuple(_line(one, ring, last, health, names) for one in page.of(fitting)),
            leaf=page,
            asks=any(one.queue is not None or one.active is not None for one in rows),
        )


def _arranged(rows: Sequence[WebRow], sort: Sort) -> list[WebRow]:
    """Listeners, then each pool with its servers below it."""

    def order(one: WebRow) -> tuple[float, str]:
        figure = float(one.active or 0) if sort is Sort.ACTIVE else one.per_s or 0.0
        return (0.0 if sort is Sort.NAME else -figure), one.name

    found = sorted((one for one in rows if one.kind is WebKind.LISTENER), key=order)
    pools = sorted((one for one in rows if one.kind is WebKind.POOL), key=order)
    servers: dict[str, list[WebRow]] = {}
    for one in sorted((one for one in rows if one.kind is WebKind.SERVER), key=order):
        servers.setdefault(one.pool, []).append(one)
    for pool in pools:
        found += [pool, *servers.pop(pool.name, [])]
    return [*found, *(one for rest in servers.values() for one in rest)]


def _web_text(one: WebRow, names: Written) -> str:
    return f"{one.kind.value} {one.name} {_web_name(one, names)} {one.pool}".lower()


def _web_name(one: WebRow, names: Written) -> str:
    """A pool's servers as the spec writes them; a backend is named after its pool, and a dot."""
    return as_written(names, ("pool", one.pool.partition(".")[0]), one.name) if one.kind is WebKind.SERVER else one.name


def _line(one: WebRow, ring: Ring, last: int, health: Judged | None, names: Written) -> WebLine:
    each = one.statuses_per_s or ()
    classes = tuple((name, shown(figure, "/s")) for name, figure in zip(_CLASSES, each, strict=False) if figure > 0)
    figures = [point[0] for point in ring.of(f"{one.engine} {one.kind.value} {one.name}", last)]
    return WebLine(
        key=f"{one.engine} {one.kind.value} {one.pool} {one.name}",
        kind=_KINDS[one.kind],
        name=_web_name(one, names),
        pool=one.pool,
        per_s=shown(one.per_s, "/s"),
        classes=classes,
        response=f"{one.response_ms:,.0f} ms" if one.response_ms is not None else "–",
        active=one.active,
        queue=one.queue,
        spark=spark(figures) if one.kind is not WebKind.SERVER else "",
        health=_health(one, health) if one.kind is WebKind.SERVER else None,
    )


def _health(one: WebRow, health: Judged | None) -> Health:
    """HAProxy asks its servers itself; behind nginx the node's prober does."""
    if health is None:
        return UNKNOWN
    if one.engine == "nginx":
        return health.pools.get((one.pool.partition(".")[0], one.name), Health("unknown", "not checked"))
    if one.state == "no check":
        return Health("unknown", "not checked")
    first = one.state.split(" ")[0]
    word = {"UP": "in service", "DOWN": "down", "MAINT": "suspended", "DRAIN": "drained", "NOLB": "drained"}.get(first)
    return Health(STATES[word], word, one.check if word == "down" else "") if word else UNKNOWN
