"""`holdfast history`: the revisions of a cluster, newest first."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from .output import listing, print_damaged, print_json, stdout
from .remote import ClusterOption, ControllerOption, connect
from .validate import AsJson


def history(
    cluster: ClusterOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, max=1000, help="At most so many.")] = 20,
    before: Annotated[int | None, typer.Option(metavar="REVISION", min=1, help="Only older ones.")] = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """Who changed what when: the revisions of a cluster, newest first.

    Example:  holdfast history -n 50
    """
    found = connect(controller).cluster(cluster).revisions(before, limit)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    print_damaged("revision", found.damaged)
    if not found.revisions and not found.damaged:
        stdout().print("no revision yet" if not found.newest else "no older revision")
        return
    table = listing("", "when", "who", "what for", "findings")
    for one in found.revisions:
        what = Text(one.message.splitlines()[0] if one.message else "")
        if one.rollback_of:
            what.append(f"  (as revision {one.rollback_of})", style="dim")
        findings = f"{one.warnings} warning{'s' * (one.warnings != 1)}" if one.warnings else ""
        when = one.time.astimezone().strftime("%Y-%m-%d %H:%M")
        table.add_row(str(one.number), when, Text(one.author), what, findings)
    stdout().print(table)
    if found.before is not None:
        stdout().print(f"older ones: holdfast history --before {found.before}", style="dim")
