"""`holdfast diff OLD NEW`: files, or revisions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from holdfast.plan import Hazard, NodePlan, Plan, make_plan, unified_diff

from .diff_lines import line_style
from .inputs import compile_file
from .output import print_json, stdout
from .remote import ClusterOption, ControllerOption
from .revision_diff import compared, document, numbers, show
from .validate import AsJson

_HAZARD_STYLE = {
    Hazard.LIVE: "green",
    Hazard.RELOAD: "cyan",
    Hazard.SIMULTANEOUS: "bold red",
    Hazard.MOVES_VIP: "bold yellow",
    Hazard.DROPS_CONNECTIONS: "bold red",
}


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The spec as it is, or the number of a revision.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The spec as it shall be, or the number of a revision.")],
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """Show what a change of the spec does to every node: files as a unified diff, and what may happen to traffic.

    Two numbers are revisions that a controller keeps.

    Example:  holdfast diff cluster.yaml cluster.new.yaml
    """
    if (both := numbers(old, new)) is not None:
        found = compared(*both, cluster, controller)
        if as_json:
            print_json(document(found))
        else:
            show(found, stdout())
        return
    plan = make_plan(compile_file(Path(old), choose=True), compile_file(Path(new), choose=True))
    if as_json:
        print_json(plan_document(plan))
    else:
        print_plan(plan, stdout())


def plan_document(plan: Plan) -> dict[str, object]:
    """A plan for machines."""
    return {
        "changed": not plan.is_empty,
        "nodes": {
            node.node: {
                "hazards": [{"hazard": note.hazard, "reason": note.reason} for note in node.hazards],
                "files": [
                    {"path": change.path, "kind": change.kind, "diff": unified_diff(change, node.node)}
                    for change in node.files
                ],
            }
            for node in plan.nodes
        },
    }


def print_plan(plan: Plan, console: Console) -> None:
    """A plan for people."""
    if plan.is_empty:
        console.print("no node changes")
    for node in plan.nodes:
        _print_node(node, console)


def _print_node(node: NodePlan, console: Console) -> None:
    kind = "" if node.old and node.new else " (new)" if node.new else " (leaves the cluster)"
    console.print(Text(f"━━ {node.node}{kind}", style="bold"))
    for note in node.hazards:
        console.print(
            Text.assemble(("  ▲ ", _HAZARD_STYLE[note.hazard]), (note.hazard, _HAZARD_STYLE[note.hazard])), end=""
        )
        console.print(Text(f": {note.reason}"))
    for change in node.files:
        for line in unified_diff(change, node.node).splitlines():
            console.print(Text(line, style=line_style(line)))
    if not node.files:
        console.print(Text("  no file changes: only what is expected of the node does", style="dim"))
