"""`holdfast rehearsals list|begin|show|stop`: rehearsals on the controller's own machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from holdfast.client.controller import Cluster
from holdfast.errors import NotFound
from holdfast.protocol.api.rehearsals import RehearsalRequest, RehearsalView, RehearsedStep
from holdfast.spec.load import read_text

from .output import listing, print_json, stdout
from .remote import ClusterOption, ControllerOption, connect
from .validate import AsJson

app = typer.Typer(
    help="Rehearsals on the controller's own machine, where its operator allows them.", no_args_is_help=True
)

Number = Annotated[int | None, typer.Argument(metavar="[NUMBER]", min=1, help="Which; else the last one.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="To its end.")]
_STYLE = {"passed": "green", "pass": "green", "failed": "bold red", "fail": "bold red", "broken": "bold red"}
_AGAIN_S = 2.0


@app.command("list")
def list_(cluster: ClusterOption = None, controller: ControllerOption = None, as_json: AsJson = False) -> None:
    """Those of the controller's machine, newest first, and whether one can be begun there.

    Example:  holdfast rehearsals list
    """
    found = connect(controller).cluster(cluster).rehearsals()
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    table = listing("", "of", "begun", "who", "result", "why")
    for one in found.rehearsals:
        when = one.started.astimezone().strftime("%Y-%m-%d %H:%M")
        table.add_row(str(one.id), _of(one), when, Text(one.who), _result(one), Text(one.message))
    stdout().print(table)
    for missing in found.missing:
        stdout().print(Text(f"none can be begun at {found.controller}: {missing}", style="yellow"))
    if found.missing:
        stdout().print(Text(f"elsewhere: {found.elsewhere}", style="dim"))


@app.command("begin")
def begin(
    spec: Annotated[Path | None, typer.Argument(metavar="[SPEC]", help="A proposed spec; else a revision.")] = None,
    revision: Annotated[
        int | None, typer.Option("--revision", "-r", metavar="N", min=1, help="This one; else the newest.")
    ] = None,
    follow: Follow = False,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """Rehearse on the controller's machine: real programs under traffic, broken one by one. No node is touched.

    One at a time. Exit status 1 if it was followed to its end, and did not pass.

    Example:  holdfast rehearsals begin cluster.yaml --follow
    """
    of = connect(controller).cluster(cluster)
    begun = of.begin_rehearsal(RehearsalRequest(spec=read_text(spec) if spec else None, revision=revision))
    if follow:
        _end(_followed(of, begun.id, as_json), as_json)
    elif as_json:
        print_json(begun.model_dump(mode="json"))
    else:
        stdout().print(f"rehearsal {begun.id} has begun; holdfast rehearsals show {begun.id} --follow")


@app.command("show")
def show(
    number: Number = None,
    follow: Follow = False,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """How far a rehearsal is, step by step. Exit status 1 if it has ended, and did not pass.

    Example:  holdfast rehearsals show --follow
    """
    of = connect(controller).cluster(cluster)
    found = of.rehearsal(_which(of, number))
    if follow and not found.over:
        _end(_followed(of, found.id, as_json), as_json)
        return
    if not as_json:
        for step in found.steps:
            stdout().print(_step(step))
    _end(found, as_json)


@app.command("stop")
def stop(
    number: Number = None, cluster: ClusterOption = None, controller: ControllerOption = None, as_json: AsJson = False
) -> None:
    """Stop the one that runs; its lab is taken down.

    Example:  holdfast rehearsals stop
    """
    of = connect(controller).cluster(cluster)
    found = of.stop_rehearsal(_which(of, number))
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        stdout().print(f"rehearsal {found.id} is being stopped")


def _which(of: Cluster, number: int | None) -> int:
    if number is not None:
        return number
    found = of.rehearsals().rehearsals
    if not found:
        raise NotFound(f"{of.name} has not been rehearsed at this controller", "holdfast rehearsals begin")
    return found[0].id


def _followed(of: Cluster, number: int, as_json: bool) -> RehearsalView:
    """Each step as it ends, to the end; a controller ends them in bounded time."""
    told = 0
    while True:
        found = of.rehearsal(number)
        for step in found.steps[told:] if not as_json else ():
            stdout().print(_step(step))
        told = len(found.steps)
        if found.over:
            return found
        time.sleep(_AGAIN_S)


def _end(found: RehearsalView, as_json: bool) -> None:
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        why = f": {found.message}" if found.message else f": {found.doing}" if found.doing else ""
        stdout().print(Text.assemble(f"rehearsal {found.id} of {_of(found)}: ", _result(found), why))
        if found.hint:
            stdout().print(Text(f"  {found.hint}", style="dim"))
    if found.over and found.state != "passed":
        raise typer.Exit(1)


def _of(one: RehearsalView) -> str:
    return f"revision {one.revision}" if one.revision else "a proposed spec"


def _result(one: RehearsalView) -> Text:
    return Text(one.state, style=_STYLE.get(one.state, "yellow"))


def _step(step: RehearsedStep) -> Text:
    failover = "" if step.failover_s is None else f"  failover {step.failover_s:.2f} s"
    return Text.assemble(
        (f"{step.verdict:>4} ", _STYLE.get(step.verdict, "cyan")),
        f"{step.name}{failover}  {step.failed} of {step.sent} failed  longest gap {step.longest_gap_s:.2f} s",
    )
