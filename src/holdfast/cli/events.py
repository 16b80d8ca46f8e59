"""`holdfast events`: what happened in a cluster, and what is happening."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.text import Text

from holdfast.client.controller import Cluster
from holdfast.errors import ControllerUnreachable
from holdfast.protocol.api.events import EventView

from .output import print_damaged, stdout
from .remote import ClusterOption, ControllerOption, connect

_AGAIN_AFTER_S = 2.0
_PAGE = 1000


def events(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until stopped.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, max=10_000, help="The last so many.")] = 30,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each.")] = False,
) -> None:
    """Print what happened: revisions, rollouts, moves, overrides, drift, who joined.

    Example:  holdfast events --follow
    """
    of = connect(controller).cluster(cluster)
    found: list[EventView] = []
    after = 0
    while True:  # ends: with the log's end
        page = of.events(after, _PAGE)
        print_damaged("event", page.damaged)
        found = [*found, *page.events][-limit:]
        if page.after == after or len(page.events) < _PAGE:
            after = max(after, page.after)
            break
        after = page.after
    for one in found:
        _tell(one, as_json=as_json)
    if follow:
        _follow(of, after, as_json=as_json)


def _follow(cluster: Cluster, after: int, *, as_json: bool) -> None:
    """Until somebody presses Ctrl-C; a controller that goes away is waited for, and nothing is missed."""
    while True:
        try:
            for one in cluster.follow_events(after):
                after = one.number
                _tell(one, as_json=as_json)
        except ControllerUnreachable:
            time.sleep(_AGAIN_AFTER_S)


def _tell(one: EventView, *, as_json: bool) -> None:
    if as_json:
        stdout().out(one.model_dump_json(), highlight=False)
        return
    when = one.time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    bad = one.kind.endswith(("failed", "drift", "refused"))
    stdout().print(Text.assemble((when, "dim"), "  ", (f"{one.kind:20} ", "bold red" if bad else "cyan"), one.message))
