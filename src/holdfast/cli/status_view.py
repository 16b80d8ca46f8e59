"""A cluster's state for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from holdfast.protocol.api.nodes import NodeSummary
from holdfast.protocol.api.status import ClusterStatus, ServerHealth

from .output import listing

_MOST_NAMED = 8


def show_status(found: ClusterStatus, console: Console) -> None:
    """What is wrong first; then nodes, addresses, servers, overrides."""
    console.print(_head(found))
    for said in found.trouble:
        console.print(Text(f"  ✗ {said}", style="bold red"))
    for lost in _servers_down(found):
        console.print(Text(f"  ! {lost}", style="yellow"))
    if found.rollout is not None and not found.rollout.over:
        one = found.rollout
        console.print(Text(f"  rollout {one.id} of revision {one.revision} is {one.phase}", style="yellow"))
    if found.nodes:
        console.print(_nodes(found.nodes, found.time))
    if found.groups:
        console.print(_groups(found))
    for service in found.services:
        line = Text(f"{service.kind.replace('_', ' ')} {service.name}: ", style="bold")
        for number, server in enumerate(service.servers):
            line.append(", " if number else "", style="default")
            line.append_text(_server(server))
        console.print(line)
    for override in found.overrides:
        why = f": {override.why}" if override.why else ""
        weight = f" {override.weight}" if override.weight is not None else ""
        until = f", until {_local(override.until)}" if override.until else ""
        target = f"{override.pool}/{override.target}" if override.pool else override.target
        text = f"{target} {override.kind}{weight} by {override.who} since {_local(override.since)}{until}{why}"
        console.print(Text(text, style="yellow"))
    if found.findings:
        count = len(found.findings)
        console.print(Text(f"{count} finding{'s' * (count != 1)} about the spec: holdfast show --json", style="dim"))


def _head(found: ClusterStatus) -> Text:
    mark = ("✓ ", "bold green") if found.ok else ("✗ ", "bold red")
    if found.ok and any(_servers_down(found)):
        mark = ("! ", "bold yellow")
    if found.revision is None:
        return Text.assemble(mark, (found.cluster, "bold"), ": no revision yet")
    one = found.revision
    what = f" ({one.message.splitlines()[0]})" if one.message else ""
    return Text.assemble(
        mark, (found.cluster, "bold"), f": revision {one.number} of {_local(one.time)} by {one.author}{what}"
    )


def _servers_down(found: ClusterStatus) -> Iterator[str]:
    """Services that have lost servers and not all of them, which would be trouble."""
    for service in found.services:
        down = [one.name for one in service.servers if one.up is False and one.override is None]
        if down and len(down) < len(service.servers):
            named = ", ".join(down[:_MOST_NAMED]) + (" …" if len(down) > _MOST_NAMED else "")
            which = f"{service.kind.replace('_', ' ')} {service.name}"
            yield f"{which}: {len(down)} of {len(service.servers)} down: {named}"


def _nodes(nodes: tuple[NodeSummary, ...], now: datetime) -> Table:
    table = listing("node", "agent", "revision", "holds", "")
    for node in nodes:
        if node.connected and node.seen is not None:
            agent = Text(f"{max(0, (now - node.seen).total_seconds()):.0f} s ago", style="green")
        else:
            agent = Text("silent" if node.seen else "never seen", style="bold red")
        running = str(node.running or "?")
        revision = Text(running if not node.behind else f"{running} → {node.wanted}")
        if node.behind:
            revision.stylize("yellow")
        notes = [word for word, so in (("paused", node.paused), ("maintenance", node.maintenance)) if so]
        notes += [f"{node.drift} drifted"] if node.drift else []
        table.add_row(Text(node.node), agent, revision, ", ".join(node.holds), ", ".join(notes))
    return table


def _groups(found: ClusterStatus) -> Table:
    table = listing("group", "addresses", "holder", "members")
    for group in found.groups:
        style = "green" if len(group.holders) == 1 else "bold red"
        members = [f"{node} (kept back)" if node in group.held_back else node for node in group.members]
        holder = Text(", ".join(group.holders) or "nobody", style=style)
        table.add_row(group.group, ", ".join(group.addresses), holder, ", ".join(members))
    return table


def _server(server: ServerHealth) -> Text:
    if server.override:
        return Text(f"{server.name} {server.override}", style="yellow")
    if server.up is None:
        return Text(f"{server.name} ?", style="dim")
    return Text(server.name, style="green") if server.up else Text(f"{server.name} down", style="bold red")


def _local(when: datetime) -> str:
    return when.astimezone().strftime("%Y-%m-%d %H:%M")
