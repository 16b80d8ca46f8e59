"""`holdfast plan OLD NEW`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from holdfast.errors import UsageError
from holdfast.plan import Hazard, Plan, make_plan
from holdfast.protocol.api.plans import PlanView

from . import plan_remote
from .output import print_json, stderr, stdout
from .plan_remote import asked_of_controller, nodes_with, occurring
from .plan_view import document, print_changes
from .proposal_view import print_plan_view
from .remote import ClusterOption, ControllerOption
from .states import read_states
from .validate import AsJson

_CLASSES = ", ".join(hazard.slug for hazard in Hazard)


def plan(
    old: Annotated[
        str,
        typer.Argument(
            metavar="OLD",
            help="The spec as it is, a compiled folder, `none`: nothing runs yet; a revision's number, or `live`.",
        ),
    ],
    new: Annotated[
        str, typer.Argument(metavar="NEW", help="The spec as it shall be, a compiled folder, or a revision's number.")
    ],
    forbid: Annotated[
        list[str], typer.Option("--forbid", metavar="CLASS", help=f"End with 1 if this occurs: {_CLASSES}. Repeatable.")
    ] = [],  # noqa: B006  (Typer reads it, nobody writes to it)
    process_events: Annotated[
        bool,
        typer.Option(help="Whether keepalived sees processes die on the nodes; not so in containers and namespaces."),
    ] = True,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """Say what a change does to traffic before anything is touched: node by node, each change with its class.

    live (no reload), reload, simultaneous reload, moves a VIP, drops connections: with the reason, the order in which
    it will be done, and what would be safer. Two keepalived.conf files, or folders of them, are compared as well, and
    with a controller two revisions, or a spec with what the nodes are to run now (`live`).

    Example:  holdfast plan cluster.yaml new.yaml --forbid drops-connections
    """
    forbidden = [hazard(word) for words in forbid for word in words.split(",")]
    told = asked_of_controller(old, new, cluster, controller)
    if told is not None:
        _show_told(told, forbidden, as_json=as_json)
        return
    found = make_plan(*read_states(old, new, process_events=process_events))
    if as_json:
        print_json(document(found, forbidden))
    else:
        print_changes(found, stdout())
    if forbidden_here := sorted(set(forbidden) & found.hazards, key=lambda hazard: -hazard.rank):
        if not as_json:
            _say_forbidden(found, forbidden_here)
        raise typer.Exit(1)


def hazard(word: str) -> Hazard:
    """The class of that name; UsageError if there is none."""
    wanted = word.strip().lower().replace(" ", "-").replace("_", "-")
    for each in Hazard:
        if wanted == each.slug:
            return each
    raise UsageError(f"there is no class '{word}'", f"the classes are: {_CLASSES}")


def _show_told(told: PlanView, forbidden: list[Hazard], *, as_json: bool) -> None:
    """What a controller says, and 1 where something forbidden occurs."""
    if as_json:
        print_json(plan_remote.document(told, forbidden))
    else:
        print_plan_view(told, stdout())
    if found := occurring(told, forbidden):
        for each in found if not as_json else ():
            stderr().print(
                Text.assemble(("forbidden: ", "bold red"), f"{each.value}, on {', '.join(nodes_with(told, each))}")
            )
        raise typer.Exit(1)


def _say_forbidden(found: Plan, occurring: list[Hazard]) -> None:
    for hazard in occurring:
        nodes = [node.node for node in found.nodes if any(change.hazard is hazard for change in node.changes)]
        stderr().print(Text.assemble(("forbidden: ", "bold red"), f"{hazard.value}, on {', '.join(nodes)}"))
