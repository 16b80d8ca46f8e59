"""A plan for people, as tables, and for machines, as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from holdfast.plan import Change, Folded, Hazard, NodePlan, Plan, Wave, alike, evidence, folded

from .plan_why import why_text

STYLE = {
    Hazard.LIVE: "green",
    Hazard.RELOAD: "cyan",
    Hazard.SIMULTANEOUS: "bold red",
    Hazard.MOVES_VIP: "bold yellow",
    Hazard.DROPS_CONNECTIONS: "bold red",
}
_NARROWEST = 100
_MOST_PLACES = 4


def print_changes(plan: Plan, console: Console) -> None:
    """Each node with its changes, the worst first; then the order, and a line that sums it up."""
    if plan.is_empty:
        console.print("no node changes")
        return
    wide = Console(file=console.file, width=max(console.width, _NARROWEST), highlight=False, markup=False, emoji=False)
    for nodes in alike(plan.nodes):
        _print_nodes(nodes, wide)
    console.print(Text("in this order:", style="bold"))
    for number, wave in enumerate(plan.waves, 1):
        _print_wave(number, wave, console)
    if Hazard.SIMULTANEOUS in plan.hazards:
        told = "   a rollout tells these nodes in one moment, but each takes its own time: see what would be safer"
        console.print(Text(told, style="yellow"))
    _print_summary(plan, console)


def _print_nodes(nodes: tuple[NodePlan, ...], console: Console) -> None:
    node, names = nodes[0], ", ".join(each.node for each in nodes)
    kind = "" if node.old and node.new else " (new)" if node.new else " (leaves the cluster)"
    title = Text.assemble(f"{names}{kind}: ", (node.hazard.value, STYLE[node.hazard]))
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_lines=False)
    table.add_column("class", no_wrap=True)
    table.add_column("change", ratio=2, overflow="fold")
    table.add_column("why, and what would be safer", ratio=3, overflow="fold")
    said: set[str] = set()
    for each in folded(node.changes):
        reason = why_text(each.why, each.safer, said)
        table.add_row(Text(each.hazard.value, style=STYLE[each.hazard]), _what(each), reason)
    console.print(table)


def _what(each: Folded) -> Text:
    more = len(each.places) - _MOST_PLACES
    places = list(each.places[:_MOST_PLACES]) + ([f"and {more} more"] if more > 0 else [])
    return Text("; ".join(places) + (f": {each.what}" if each.what else ""))


def _print_wave(number: int, wave: Wave, console: Console) -> None:
    together = wave.at_once
    names = (" + " if together else ", ").join(wave.nodes)
    why = wave.why
    if together and together.within_s:
        why += f": no more than {int(together.within_s * 100) / 100:g} s apart"  # rounded down: a promise to keep
    console.print(Text.assemble(f"  {number}. ", (names, "bold red" if together else "bold"), f"  {why}"))
    if together and together.missing:
        told = f"     {', '.join(together.missing)} would have to, too, and is not in this plan: two will hold it"
        console.print(Text(told, style="bold red"))


def _print_summary(plan: Plan, console: Console) -> None:
    counted = count(plan)
    parts = [Text(f"{hazard.value} {number}", style=STYLE[hazard]) for hazard, number in counted.items()]
    nodes, changes = len(plan.nodes), sum(counted.values())
    head = f"{nodes} node{'s' * (nodes != 1)}, {changes} change{'s' * (changes != 1)}: "
    console.print(Text.assemble(head, Text(", ").join(parts)))


def count(plan: Plan) -> dict[Hazard, int]:
    """How many changes of each class, the worst first."""
    found = [change.hazard for node in plan.nodes for change in node.changes]
    worst_first = sorted(set(found), key=lambda hazard: -hazard.rank)
    return {hazard: found.count(hazard) for hazard in worst_first}


def document(plan: Plan, forbidden: Iterable[Hazard] = ()) -> dict[str, Any]:
    """A plan for machines."""
    found = sorted(set(forbidden) & plan.hazards, key=lambda hazard: -hazard.rank)
    return {
        "ok": not found,
        "changed": not plan.is_empty,
        "class": plan.hazard if plan.nodes else None,
        "classes": {hazard.value: number for hazard, number in count(plan).items()},
        "forbidden": [hazard.value for hazard in found],
        "waves": [_wave_document(wave) for wave in plan.waves],
        "nodes": {node.node: _node_document(node) for node in plan.nodes},
    }


def _wave_document(wave: Wave) -> dict[str, Any]:
    together = wave.at_once
    return {
        "nodes": list(wave.nodes),
        "at_once": together is not None,
        "why": wave.why,
        "groups": list(together.groups) if together else [],
        "within_seconds": together.within_s if together else None,
        "missing": list(together.missing) if together else [],
    }


def _node_document(node: NodePlan) -> dict[str, Any]:
    return {
        "kind": "changes" if node.old and node.new else "new" if node.new else "leaves",
        "class": node.hazard,
        "changes": [_change_document(change) for change in node.changes],
    }


def _change_document(change: Change) -> dict[str, Any]:
    return {
        "change": change.sentence,
        "where": change.where,
        "what": change.what,
        "how": change.how,
        "class": change.hazard,
        "why": change.why,
        "safer": change.safer or None,
        "rule": change.row,
        "evidence": evidence(change),
        "service": change.service,
        "at_once": list(change.groups),
    }
