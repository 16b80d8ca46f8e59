"""`holdfast realtime`: the kernel's table of virtual servers, live."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from holdfast.agent.table_watch import interval_seconds
from holdfast.errors import UsageError
from holdfast.ipvs.document import to_document
from holdfast.ipvs.select import wanted

from .in_vm import forward
from .output import stdout
from .realtime_remote import by_controller
from .realtime_sources import Seen, Watch, here, in_lab
from .realtime_view import SortBy, Watched, grid
from .remote import ClusterOption, ControllerOption, connect
from .validate import AsJson

_LEAST_ROWS = 5


def realtime(
    node: Annotated[
        list[str] | None,
        typer.Option("--node", "-n", metavar="NODE", help="Of a lab (repeat), or one by the controller."),
    ] = None,
    lab: Annotated[str, typer.Option("--lab", "-l", metavar="NAME", help="A lab's directors, not this machine.")] = "",
    vip: Annotated[str, typer.Option("--vip", metavar="ADDRESS[:PORT]", help="Only these; mark:7 is a mark.")] = "",
    interval: Annotated[str, typer.Option("--interval", "-i", metavar="TIME", help="Between two looks.")] = "1s",
    sort: Annotated[SortBy, typer.Option("--sort", "-s", help="By what, the most first.")] = SortBy.NAME,
    connections: Annotated[bool, typer.Option("--connections", "-c", help="Connections by state, too.")] = False,
    count: Annotated[int, typer.Option("--count", min=0, max=10**9, help="End after so many looks; 0: never.")] = 0,
    once: Annotated[bool, typer.Option("--once", help="Look once; short for --count 1.")] = False,
    find: Annotated[
        str | None, typer.Option("--find", metavar="WORDS", help="By the controller: list connections with these.")
    ] = None,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """Show what the directors do: connections, packets and bytes per second, for each virtual and each real server.

    With --node and no lab, that node by the controller: its table, nginx and HAProxy. With --json one line for each
    look, with counters as ipvsadm --stats has them. Ctrl-C ends it.

    Example:  holdfast realtime --lab demo --node lb01 --vip 10.0.0.3 --sort in-bytes
    """
    watch = _watch(interval, 1 if once else count, connections, vip)
    if node and not lab:
        asked = find if find is not None else "" if connections else None
        by_controller(connect(controller).cluster(cluster), _one(node), watch, sort, asked, as_json=as_json)
        return
    if find is not None:
        raise UsageError("--find is answered by a controller", "name the node, too: --node lb01, and no --lab")
    if lab:
        forward(lab)
    seen = in_lab(lab, node or (), watch) if lab else here(watch)
    try:
        with contextlib.closing(seen):  # agents that were started for this end with it
            if as_json:
                _as_lines(seen)
            else:
                _as_tables(seen, sort, stdout())
    except KeyboardInterrupt:
        return


def _one(nodes: list[str]) -> str:
    if len(nodes) > 1:
        raise UsageError("a controller shows one node at a time", "name one, or --lab for all nodes of a lab")
    return nodes[0]


def _watch(interval: str, count: int, connections: bool, vip: str) -> Watch:
    if vip:
        wanted(vip)  # a mistake is said before anything is asked
    try:
        return Watch(interval_seconds(interval), count, connections, vip)
    except ValueError as error:
        raise UsageError(str(error), "write --interval 1s, or 500ms") from None


def _as_lines(seen: Iterator[Seen]) -> None:
    """One line for each look; what went wrong on one node is a line, too, and raised when it is all there was."""
    nodes: dict[str, Watched] = {}
    failed: Seen | None = None
    out = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    for one in seen:
        if one.look is None:
            failed = one
            assert one.error is not None  # there is a look, or a reason
            error = {"message": one.error.message, "hint": one.error.hint}
            out.out(json.dumps({"node": one.node, "error": error}, ensure_ascii=False), highlight=False)
            continue
        watched = nodes.setdefault(one.node, Watched(one.node))
        watched.add(one.look)
        document = {"node": one.node, **to_document(one.look, watched.rates)}
        out.out(json.dumps(document, ensure_ascii=False, separators=(",", ":")), highlight=False)
        out.file.flush()
    if failed is not None:
        raise typer.Exit(1)


def _as_tables(seen: Iterator[Seen], sort: SortBy, console: Console) -> None:
    nodes: dict[str, Watched] = {}
    failures: dict[str, Text] = {}

    def picture() -> Group:
        room = max(_LEAST_ROWS, console.height // max(1, len(nodes)) - 4) if console.is_terminal else 10**6
        tables = [grid(one, sort, width=console.width, rows=room) for _, one in sorted(nodes.items())]
        return Group(*tables, *failures.values())

    with Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else _Plain() as live:
        for one in seen:
            if one.look is not None:
                nodes.setdefault(one.node, Watched(one.node)).add(one.look)
            elif one.error is not None:
                failures[one.node] = Text(f"{one.error.message}\n  → {one.error.hint}", style="red")
            if isinstance(live, Live):
                live.update(picture(), refresh=True)
            elif one.look is not None:
                console.print(grid(nodes[one.node], sort, width=console.width, rows=10**6))
            else:
                console.print(failures[one.node])
    if failures:
        raise typer.Exit(1)


class _Plain:
    """In a pipe one picture follows the other."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None
