"""`holdfast drain SERVER`: no new connections, those that it has may end."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from holdfast.errors import UsageError
from holdfast.spec.values import WrongError, parse_duration

from .output import stderr, stdout
from .overrides_edit import Wish, parse_until
from .overrides_place import LabOption, SpecOption, find
from .overrides_remote import at_controller, remote_place
from .overrides_tell import (
    ForceOption,
    FromOption,
    ServerName,
    Told,
    UntilOption,
    WhyOption,
    finish,
    tell,
    wait,
    who,
)
from .remote import ClusterOption, ControllerOption
from .validate import AsJson


def drain(
    server: ServerName,
    virtual_server: FromOption = None,
    spec: SpecOption = None,
    lab: LabOption = None,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    waits: Annotated[bool, typer.Option("--wait", help="Return when its last connection has ended.")] = False,
    deadline: Annotated[str, typer.Option("--deadline", metavar="TIME", help="Wait no longer.")] = "5m",
    why: WhyOption = None,
    until: UntilOption = None,
    force: ForceOption = False,
    as_json: AsJson = False,
) -> None:
    """Take a server out of service: it gets no new connections, and those that it has may end.

    Example:  holdfast drain web01:80 --spec cluster.yaml --wait --why 'new disk'
    """
    deadline_s = _seconds(deadline)
    place = remote_place(cluster, controller) if at_controller(spec, lab, controller) else find(spec, lab)
    told = tell(
        place,
        server,
        virtual_server,
        lambda now: Wish("drained", who=who(), why=why, until=parse_until(until, now)),
        force,
    )
    if not waits or not told.well:
        finish(told, "drained", as_json)
        return
    remaining, passed = _wait(told, deadline_s, quiet=as_json)
    finish(told, "drained", as_json, {"left": remaining, "waited_s": round(passed, 2)})
    if remaining:
        stderr().print(f"{remaining} connections are left after {passed:.0f} s; the server stays drained")
        raise typer.Exit(1)
    if not as_json:
        stdout().print(f"its last connection has ended, after {passed:.1f} s")


def _wait(told: Told, deadline_s: float, *, quiet: bool) -> tuple[int, float]:
    if quiet:
        return wait(told, deadline_s, lambda left: None)
    columns = (TextColumn("draining"), BarColumn(), TextColumn("{task.fields[left]} left"), TimeElapsedColumn())
    with Progress(*columns, console=stderr(), transient=True) as progress:
        most = max(1, told.left())
        task = progress.add_task("", total=most, left=most)

        def tell_left(left: int) -> None:
            nonlocal most
            most = max(most, left)
            progress.update(task, total=most, completed=most - left, left=left)

        return wait(told, deadline_s, tell_left)


def _seconds(text: str) -> float:
    try:
        return parse_duration(text) / 1000
    except WrongError as wrong:
        raise UsageError(f"--deadline: {wrong}", wrong.hint) from None
