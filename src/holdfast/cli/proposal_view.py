"""A plan as a controller tells it: for people, as tables."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from holdfast.protocol.api.plans import NodeChangeView, PlanView

from .diff_lines import line_style
from .plan_why import why_text

STYLE = {
    "live": "green",
    "reload": "cyan",
    "simultaneous-reload": "bold red",
    "moves-a-vip": "bold yellow",
    "drops-connections": "bold red",
}
_NARROWEST = 100


def print_plan_view(plan: PlanView, console: Console) -> None:
    """Each node with its changes, the worst first; the order; and a line that sums it up."""
    if not plan.changed:
        console.print("no node changes")
        return
    wide = Console(file=console.file, width=max(console.width, _NARROWEST), highlight=False, markup=False, emoji=False)
    for alike in _alike(plan.nodes):
        _print_nodes(alike, wide)
    console.print(Text("in this order:", style="bold"))
    for number, step in enumerate(plan.steps, 1):
        names = " + ".join(step.nodes)
        console.print(Text.assemble(f"  {number}. ", (names, "bold red" if step.at_once else "bold"), f"  {step.why}"))
    if plan.too_old:
        names = ", ".join(plan.too_old)
        console.print(
            Text.assemble((f"the agent of {names} is too old for this: ", "bold red"), "the rollout would be refused")
        )
        console.print(Text(f"  install this controller's version of Holdfast on {names} first", style="dim"))
    parts = [Text(f"{_words(name)} {count}", style=STYLE[name]) for name, count in plan.counts.items()]
    nodes, changes = len(plan.nodes), sum(plan.counts.values())
    head = f"{nodes} node{'s' * (nodes != 1)}, {changes} change{'s' * (changes != 1)}: "
    console.print(Text.assemble(head, Text(", ").join(parts)))


def _words(name: str) -> str:
    return name.replace("-a-vip", " a VIP").replace("-", " ")


def _alike(nodes: tuple[NodeChangeView, ...]) -> list[list[NodeChangeView]]:
    """Nodes of which the same is to be said, together."""
    found: dict[tuple[object, ...], list[NodeChangeView]] = {}
    for node in nodes:
        found.setdefault((node.kind, node.changes), []).append(node)
    return list(found.values())


def _print_nodes(nodes: list[NodeChangeView], wide: Console) -> None:
    first = nodes[0]
    kind = {"changes": "", "new": " (new)", "leaves": " (leaves the cluster)"}[first.kind]
    names = ", ".join(node.node for node in nodes)
    title = Text.assemble(f"{names}{kind}: ", (_words(first.hazard), STYLE[first.hazard]))
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("class", no_wrap=True)
    table.add_column("change", ratio=2, overflow="fold")
    table.add_column("why, and what would be safer", ratio=3, overflow="fold")
    worst_first = sorted(first.changes, key=lambda change: -list(STYLE).index(change.hazard))
    said: set[str] = set()
    for change in worst_first:
        what = f"{change.where}: {change.what}" if change.what else change.where
        reason = why_text(change.why, change.safer, said)
        table.add_row(Text(_words(change.hazard), style=STYLE[change.hazard]), Text(what), reason)
    wide.print(table)


def print_diff(text: str, console: Console) -> None:
    """A unified diff, coloured."""
    for line in text.splitlines():
        console.print(Text(line, style=line_style(line)))
