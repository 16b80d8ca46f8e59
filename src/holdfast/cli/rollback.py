"""`holdfast rollback REVISION`: a new revision with the content of an old one."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.protocol.api.revisions import RollbackRequest

from . import apply as change
from .output import stdout
from .proposal_view import print_diff, print_plan_view
from .remote import ClusterOption, ControllerOption, connect
from .validate import AsJson


def rollback(
    revision: Annotated[int, typer.Argument(metavar="REVISION", min=1, help="The revision to go back to.")],
    message: change.MessageOption = "",
    yes: change.YesOption = False,
    wait: change.WaitOption = True,
    forbid: change.ForbidOption = [],  # noqa: B006  (Typer reads it, nobody writes to it)
    put_back: change.PutBackOption = True,
    at_a_time: change.AtATimeOption = 1,
    pause_after_first: change.PauseOption = False,
    without: change.WithoutOption = [],  # noqa: B006
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """Make a new revision with the content of an old one, and roll it out as any other: planned, in waves, verified.

    Example:  holdfast rollback 7 -m 'the new pool answers nonsense'
    """
    of = connect(controller).cluster(cluster)
    found = of.plan_rollback(revision)
    options = change.options_of(forbid, put_back, at_a_time, pause_after_first, without)
    if not as_json:
        options = change.as_shown(options, found.plan)
        print_diff(found.spec_diff, stdout())
        print_plan_view(found.plan, stdout())
    if not yes:
        change.confirm(f"bring revision {revision} of {of.name} back, as revision {found.newest + 1}?")
    asked = RollbackRequest(revision=revision, base=found.newest, message=message, options=options)
    change.finish(of, change.told_outdated(lambda: of.rollback(asked), quiet=as_json), wait=wait, as_json=as_json)
