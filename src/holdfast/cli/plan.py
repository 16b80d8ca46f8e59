"""`holdfast plan OLD NEW`."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.errors import UsageError
from holdfast.plan import Hazard, Plan, make_plan

from .output import print_json, stderr, stdout
from .plan_view import document, print_changes
from .states import read_states
from .validate import AsJson

_CLASSES = ", ".join(hazard.slug for hazard in Hazard)


def plan(
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="The spec as it is, a compiled folder, or `none`: nothing runs yet.")
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The spec as it shall be, or a compiled folder.")],
    forbid: Annotated[
        list[str], typer.Option("--forbid", metavar="CLASS", help=f"End with 1 if this occurs: {_CLASSES}. Repeatable.")
    ] = [],  # noqa: B006  (Typer reads it, nobody writes to it)
    process_events: Annotated[
        bool,
        typer.Option(help="Whether keepalived sees processes die on the nodes; not so in containers and namespaces."),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Say what a change does to traffic before anything is touched: node by node, each change with its class.

    live (no reload), reload, simultaneous reload, moves a VIP, drops connections: with the reason, the order in which
    it will be done, and what would be safer. Two keepalived.conf files, or folders of them, are compared as well.

    Example:  holdfast plan cluster.yaml new.yaml --forbid drops-connections
    """
    forbidden = [_hazard(word) for words in forbid for word in words.split(",")]
    found = make_plan(*read_states(old, new, process_events=process_events))
    if as_json:
        print_json(document(found, forbidden))
    else:
        print_changes(found, stdout())
    if occurring := sorted(set(forbidden) & found.hazards, key=lambda hazard: -hazard.rank):
        if not as_json:
            _say_forbidden(found, occurring)
        raise typer.Exit(1)


def _hazard(word: str) -> Hazard:
    wanted = word.strip().lower().replace(" ", "-").replace("_", "-")
    for hazard in Hazard:
        if wanted == hazard.slug:
            return hazard
    raise UsageError(f"there is no class '{word}'", f"the classes are: {_CLASSES}")


def _say_forbidden(found: Plan, occurring: list[Hazard]) -> None:
    for hazard in occurring:
        nodes = [node.node for node in found.nodes if any(change.hazard is hazard for change in node.changes)]
        stderr().print(f"[bold red]forbidden:[/] {hazard.value}, on {', '.join(nodes)}")
