"""`holdfast audit`: who changed what."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from .output import listing, print_damaged, print_json, stdout
from .remote import ClusterOption, ControllerOption, connect
from .validate import AsJson


def audit(
    everything: Annotated[
        bool, typer.Option("--all", help="Of the whole installation, users and logins included.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, max=1000, help="At most so many.")] = 30,
    before: Annotated[int | None, typer.Option(metavar="NUMBER", min=1, help="Only older ones.")] = None,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """Who changed what, when and from where, newest first; --json has what was before and after, without secrets.

    Example:  holdfast audit -n 100
    """
    remote = connect(controller)
    found = remote.controller.audit(before, limit) if everything else remote.cluster(cluster).audit(before, limit)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    print_damaged("record", found.damaged)
    table = listing("", "when", "who", "from", "what", "of", "")
    for one in found.records:
        when = one.time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        outcome = Text("" if one.outcome == "done" else one.outcome, style="bold red")
        table.add_row(str(one.number), when, Text(one.actor), one.source, one.action, Text(one.target), outcome)
    stdout().print(table)
    if found.before is not None:
        stdout().print(f"older ones: --before {found.before}", style="dim")
