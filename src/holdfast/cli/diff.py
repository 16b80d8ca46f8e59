"""`holdfast diff OLD NEW`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from holdfast.plan import Hazard, NodePlan, Plan, make_plan, unified_diff

from .inputs import compile_file
from .output import print_json, stdout
from .validate import AsJson

_HAZARD_STYLE = {
    Hazard.LIVE: "green",
    Hazard.RELOAD: "cyan",
    Hazard.SIMULTANEOUS: "bold red",
    Hazard.MOVES_VIP: "bold yellow",
    Hazard.DROPS_CONNECTIONS: "bold red",
}


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The spec as it is.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The spec as it shall be.")],
    as_json: AsJson = False,
) -> None:
    """Show what a change of the spec does to every node: files as a unified diff, and what may happen to traffic.

    Example:  holdfast diff cluster.yaml cluster.new.yaml
    """
    plan = make_plan(compile_file(old, choose=True), compile_file(new, choose=True))
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
            console.print(Text(line, style=_line_style(line)))
    if not node.files:
        console.print(Text("  no file changes: only what is expected of the node does", style="dim"))


def _line_style(line: str) -> str:
    if line.startswith(("+++", "---")):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan", "#": "yellow"}.get(line[:1], "")
