"""`holdfast findings`: what is to be said of a cluster's newest revision, and of what its nodes run."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from holdfast.findings import Severity
from holdfast.protocol.api.findings import FindingsView, FoundView

from .output import print_json, stdout
from .remote import ClusterOption, ControllerOption, connect
from .validate import AsJson

_STYLE = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


def findings(
    revision: Annotated[
        int | None, typer.Option("--revision", "-r", metavar="N", min=1, help="Of this one, not of what runs.")
    ] = None,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """What will go wrong: lint of the newest revision and of what the nodes run, with what they told of themselves.

    Exit status 1 if there is an error among it. A rule is explained by `holdfast lint --explain ID`.

    Example:  holdfast findings
    """
    found = connect(controller).cluster(cluster).findings(revision)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _show(found)
    if any(one.finding.severity is Severity.ERROR for one in found.findings):
        raise typer.Exit(1)


def _show(found: FindingsView) -> None:
    out = stdout()
    if not found.revision:
        out.print("no revision yet")
        return
    for one in found.findings:
        out.print(_line(one, found.revision))
        if one.finding.hint:
            out.print(Text(f"      {one.finding.hint}", style="dim"))
    count, silenced = len(found.findings) + found.left_out, len(found.silenced)
    out.print(
        Text(
            f"revision {found.revision}: {count or 'no'} finding{'s' * (count != 1)}"
            + (f", {silenced} silenced in the spec" if silenced else ""),
            style="bold" if count else "green",
        )
    )
    unknown = [one.node for one in found.nodes if one.revision is None]
    if unknown:
        out.print(Text(f"nobody knows what runs on {', '.join(unknown[:20])}", style="yellow"))


def _line(one: FoundView, newest: int) -> Text:
    where = one.finding.location
    place = f"{where.line}:{where.column} " if where else ""
    old = f"revision {one.revision} " if one.revision != newest else ""
    return Text.assemble(
        (f"{one.finding.severity.value:7} ", _STYLE[one.finding.severity]),
        (f"{one.finding.code} ", "bold"),
        (f"{old}{place}", "dim"),
        one.finding.message,
        (f"  (runs on {', '.join(one.runs_on[:5])})" if one.runs_on else "", "dim"),
    )
