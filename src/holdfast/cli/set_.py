"""`holdfast set PATH=VALUE`: one value of the spec, changed where it stands, planned and rolled out."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.errors import UsageError
from holdfast.protocol.api.plans import PlanRequest
from holdfast.protocol.api.revisions import RevisionRequest
from holdfast.spec.edit import edit

from . import apply as change
from .output import print_findings, stderr, stdout
from .proposal_view import print_diff, print_plan_view
from .remote import ClusterOption, ControllerOption, connect
from .validate import AsJson


def set_value(
    changes: Annotated[
        list[str], typer.Argument(metavar="PATH=VALUE…", help="Such as pools.web.servers[10.0.0.7].weight=2")
    ],
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
    """Change single values of the newest revision; comments and everything else stay as their author wrote them.

    Example:  holdfast set 'pool.web.servers[10.0.0.7].weight=2'
    """
    wanted = [_split(each) for each in changes]
    of = connect(controller).cluster(cluster)
    newest = of.view().newest
    if not newest:
        raise UsageError(f"{of.name} has no revision yet", "apply a spec first: holdfast apply cluster.yaml")
    text = edit(of.revision(newest).spec, wanted)
    proposal = of.plan(PlanRequest(spec=text, base=newest))
    options = change.options_of(forbid, put_back, at_a_time, pause_after_first, without)
    if not as_json:
        options = change.as_shown(options, proposal.plan)
        print_findings(proposal.findings, stderr())
        print_diff(proposal.spec_diff or "nothing is different", stdout())
        print_plan_view(proposal.plan, stdout())
    if not yes:
        change.confirm(f"make this revision {newest + 1} of {of.name}, and roll it out?")
    asked = RevisionRequest(
        spec=text,
        base=newest,
        message=message or f"set {' '.join(changes)}"[:500],
        options=options,
    )
    change.finish(of, change.told_outdated(lambda: of.apply(asked), quiet=as_json), wait=wait, as_json=as_json)


def _split(text: str) -> tuple[str, str]:
    path, sign, value = text.partition("=")
    if not sign or not path.strip():
        raise UsageError(f"'{text}' says no value", "write it as pools.web.servers[10.0.0.7].weight=2")
    return path.strip(), value
