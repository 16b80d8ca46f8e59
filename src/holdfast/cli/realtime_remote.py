"""`holdfast realtime --node NODE`: what a node does, told by its agent to the controller and by that to us."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table as Grid
from rich.text import Text

from holdfast.client.controller import Cluster
from holdfast.errors import ControllerUnreachable, TableUnreadable
from holdfast.ipvs.document import Look
from holdfast.ipvs.model import (
    METHODS,
    NO_KERNEL_RATES,
    Counters,
    Destination,
    DestinationKey,
    Family,
    ForwardingMethod,
    KernelInfo,
    Service,
    ServiceFlag,
    ServiceKey,
    Table,
    Timeouts,
    Transport,
)
from holdfast.ipvs.select import wanted
from holdfast.protocol.api.realtime import RealtimeView
from holdfast.protocol.realtime import FASTEST_S, SLOWEST_S, Connections, Sample, TableServer, TableService, WebRow

from .output import stdout
from .realtime_sources import Watch
from .realtime_view import SortBy, Watched, grid, short

_AGAIN_AFTER_S = 2.0
_METHODS = {one.value: one for one in METHODS}
_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")


def by_controller(cluster: Cluster, node: str, watch: Watch, sort: SortBy, find: str | None, *, as_json: bool) -> None:
    """Show a node until `watch.count` looks were shown, or somebody presses Ctrl-C; errors as of the client."""
    every_s = min(max(watch.every_s, FASTEST_S), SLOWEST_S)
    only = wanted(watch.vip) if watch.vip else None
    views = _views(cluster, node, every_s, watch.count, find)
    console = stdout()
    try:
        if as_json:
            for view in views:
                console.out(view.model_dump_json(), highlight=False)
                console.file.flush()
            return
        _shown(views, Watched(node), sort, console, only)
    except KeyboardInterrupt:
        return


def _views(cluster: Cluster, node: str, every_s: float, count: int, find: str | None) -> Iterator[RealtimeView]:
    """One after the other; of a stream that ends there is another. TableUnreadable where one look brings nothing."""
    if count == 1:
        view = cluster.realtime(node, find)
        if view.sample is None:
            raise TableUnreadable(
                f"{node} has told nothing", "is its agent connected, and of this version? holdfast nodes"
            )
        yield view
        return
    done = 0
    while True:  # ends: with the count, or with Ctrl-C
        try:
            for view in cluster.follow_realtime(node, every_s, find):
                yield view
                done += view.sample is not None
                if count and done >= count:
                    return
        except ControllerUnreachable:
            time.sleep(_AGAIN_AFTER_S)


def _shown(
    views: Iterator[RealtimeView],
    watched: Watched,
    sort: SortBy,
    console: Console,
    only: Callable[[ServiceKey], bool] | None,
) -> None:
    rows = max(5, console.height - 8) if console.is_terminal else 10**6
    if not console.is_terminal:
        for view in views:
            console.print(picture(view, watched, sort, console.width, rows, only))
        return
    with Live(console=console, auto_refresh=False) as live:
        for view in views:
            live.update(picture(view, watched, sort, console.width, rows, only), refresh=True)


def picture(
    view: RealtimeView,
    watched: Watched,
    sort: SortBy,
    width: int,
    rows: int = 10**6,
    only: Callable[[ServiceKey], bool] | None = None,
) -> Group:
    """A node as a terminal shows it."""
    sample = view.sample
    if sample is None:
        return Group(Text(f"{view.node} has told nothing yet: is its agent connected?", style="yellow"))
    parts: list[RenderableType] = [Text(problem, style="yellow") for problem in sample.problems]
    if view.taken is not None and (view.time - view.taken).total_seconds() > max(5.0, 3 * sample.every_s):
        parts.append(Text(f"silent for {(view.time - view.taken).total_seconds():.0f} s", style="bold yellow"))
    if sample.directs:
        watched.add(look_of(sample, view, only))
        parts.append(grid(watched, sort, width=width, rows=rows))
    if sample.web:
        parts.append(web_grid(sample.web, estimated=sample.estimated))
    parts += [connections_grid(one) for one in sample.connections]
    return Group(*parts) if parts else Group(Text(f"{view.node} directs nothing, and runs no proxy"))


def look_of(sample: Sample, view: RealtimeView, only: Callable[[ServiceKey], bool] | None = None) -> Look:
    """A sample as a look at a table, without what is not told."""
    at = (view.taken or view.time).timestamp()
    services = tuple(one for one in map(_service, sample.services) if only is None or only(one.key))
    return Look(at, Table(at, services), (), Timeouts(0, 0, 0), KernelInfo("", 0))


def _service(one: TableService) -> Service:
    persistent = one.persistence_s is not None
    return Service(
        Family.IPV6 if one.family == "ipv6" else Family.IPV4,
        Transport(one.transport) if one.transport in set(Transport) else None,
        one.address,
        one.port,
        one.mark,
        one.scheduler,
        frozenset({ServiceFlag.PERSISTENT} if persistent else ()),
        one.persistence_s or 0,
        0,
        "",
        Counters(*one.counters),
        NO_KERNEL_RATES,
        tuple(_destination(each) for each in one.servers if not each.absent),
    )


def _destination(one: TableServer) -> Destination:
    return Destination.of(
        DestinationKey(one.address, one.port),
        _METHODS.get(one.method, ForwardingMethod.LOCAL),
        one.weight,
        active=one.active,
        inactive=one.inactive,
        persistent=one.persistent,
        counters=Counters(*one.counters),
    )


def web_grid(rows: tuple[WebRow, ...], *, estimated: bool = False) -> Grid:
    """nginx and HAProxy: what was asked, answered, and how long that took."""
    shown = Grid(
        title="nginx and HAProxy" + (" (nginx estimated)" if estimated else ""), title_justify="left", box=None
    )
    for name in ("engine", "what", "state"):
        shown.add_column(name, no_wrap=True, overflow="ellipsis")
    for name in ("req/s", "answers/s", "ms", "open", "queue"):
        shown.add_column(name, justify="right", no_wrap=True)
    for one in rows:
        each = zip(_CLASSES, one.statuses_per_s or (), strict=False)
        answers = " ".join(f"{name}:{short(figure)}" for name, figure in each if figure > 0)
        what = f"  → {one.name}" if one.pool else f"{one.kind.value} {one.name}"
        figures = (one.response_ms, one.active, one.queue)
        per_s = short(one.per_s) if one.per_s is not None else "-"
        shown.add_row(
            one.engine, what, one.state, per_s, answers, *("-" if each is None else f"{each:g}" for each in figures)
        )
    return shown


def connections_grid(one: Connections) -> Grid:
    """The list of connections."""
    shown = Grid(title=f"connections: {one.matching} of {one.counted}", title_justify="left", box=None)
    for name in ("protocol", "client", "virtual", "server", "state"):
        shown.add_column(name, no_wrap=True)
    shown.add_column("expires", justify="right")
    for each in one.listed:
        shown.add_row(each.protocol, each.client, each.virtual, each.server, each.state, f"{each.expires_s} s")
    return shown
