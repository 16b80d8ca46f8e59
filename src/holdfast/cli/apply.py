"""`holdfast apply SPEC`: validated, linted, planned, confirmed, a revision, rolled out, seen to its end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar, get_args

import typer
from pydantic import SecretStr
from rich.text import Text

from holdfast.client.controller import Cluster
from holdfast.errors import HoldfastError, NotFound, Outdated, UsageError
from holdfast.protocol.api.base import HazardClass, worse_than
from holdfast.protocol.api.clusters import LockRequest
from holdfast.protocol.api.plans import PlanRequest, PlanView, ProposalView
from holdfast.protocol.api.revisions import Applied, RevisionRequest
from holdfast.protocol.api.rollouts import RolloutOptions, RolloutView
from holdfast.spec import LoadedSpec, load_spec

from .inputs import lock_path, secrets_path
from .output import print_findings, print_json, stderr, stdout, went_well
from .proposal_view import print_diff, print_plan_view
from .remote import ControllerOption, Remote, connect
from .rollout_view import follow, show_end
from .validate import AsJson, SpecPath

T = TypeVar("T")

CLASSES = get_args(HazardClass)
MessageOption = Annotated[str, typer.Option("--message", "-m", metavar="TEXT", help="What it is for, for the history.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the rollout to its end.")]
ForbidOption = Annotated[
    list[str], typer.Option("--forbid", metavar="CLASS", help=f"Refuse it if this occurs: {', '.join(CLASSES)}.")
]
PutBackOption = Annotated[
    bool, typer.Option("--put-back/--leave", help="After a failure, take back the nodes that are done, or leave them.")
]
AtATimeOption = Annotated[int, typer.Option("--at-a-time", metavar="N", min=1, help="Nodes that change at a time.")]
PauseOption = Annotated[
    bool, typer.Option("--pause-after-first", help="Stop after the first node, until told to go on.")
]
WithoutOption = Annotated[
    list[str], typer.Option("--without", metavar="NODE", help="Do not wait for this node: it is away. Repeatable.")
]


def apply(
    spec: SpecPath,
    message: MessageOption = "",
    base: Annotated[
        int | None, typer.Option(metavar="REVISION", help="What the spec was made from; else what this file was last.")
    ] = None,
    yes: YesOption = False,
    wait: WaitOption = True,
    forbid: ForbidOption = [],  # noqa: B006  (Typer reads it, nobody writes to it)
    put_back: PutBackOption = True,
    at_a_time: AtATimeOption = 1,
    pause_after_first: PauseOption = False,
    without: WithoutOption = [],  # noqa: B006
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Move files in the way aside that are not Holdfast's.")
    ] = False,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """Bring a spec to its nodes: checked, planned and confirmed, then one wave after the other, each node verified.

    A spec that was made from an old revision is refused with both diffs.

    Example:  holdfast apply cluster.yaml -m 'two more servers'
    """
    loaded = load_spec(spec)
    remote = connect(controller)
    cluster = remote.controller.cluster(loaded.spec.cluster)
    options = options_of(forbid, put_back, at_a_time, pause_after_first, without, adopt=adopt)
    proposal = _proposal(remote, cluster, spec, loaded, base, yes=yes, quiet=as_json)
    if not as_json:
        _show(proposal)
        options = as_shown(options, proposal.plan)
    if not yes:
        confirm(f"make this revision {proposal.newest + 1} of {cluster.name}, and roll it out?")
    asked = RevisionRequest(
        spec=loaded.text, base=proposal.newest, message=message, options=options, file=str(spec)[-300:]
    )
    finish(cluster, _applied(cluster, asked, remote, spec), wait=wait, as_json=as_json)


def options_of(
    forbid: list[str], put_back: bool, at_a_time: int, pause: bool, without: list[str], *, adopt: bool = False
) -> RolloutOptions:
    """How it shall be rolled out; UsageError for a class of hazard that there is not."""
    words = [word.strip().lower().replace(" ", "-").replace("_", "-") for each in forbid for word in each.split(",")]
    for word in words:
        if word not in CLASSES:
            raise UsageError(f"there is no class '{word}'", f"the classes are: {', '.join(CLASSES)}")
    return RolloutOptions.model_validate(
        {
            "forbidden": words,
            "put_back": put_back,
            "at_a_time": at_a_time,
            "pause_after_first": pause,
            "without": without,
            "adopt": adopt,
        }
    )


def as_shown(options: RolloutOptions, plan: PlanView) -> RolloutOptions:
    """The same, for whoever has seen a plan: what is worse is refused, should nodes run something else meanwhile."""
    forbidden = tuple(dict.fromkeys((*options.forbidden, *worse_than(plan.hazard))))
    return options.model_copy(update={"forbidden": forbidden})


def _proposal(
    remote: Remote, cluster: Cluster, path: Path, loaded: LoadedSpec, base: int | None, *, yes: bool, quiet: bool
) -> ProposalView:
    known = base if base is not None else remote.base(cluster.name, path)
    asked = PlanRequest(spec=loaded.text, base=known, file=str(path)[-300:])
    try:
        return told_outdated(lambda: cluster.plan(asked), quiet=quiet)
    except NotFound:
        if cluster.name in [one.name for one in remote.controller.clusters().clusters]:
            raise
    if not yes:
        confirm(f"the controller does not know a cluster {cluster.name}: make it known?")
    remote.controller.make_cluster(cluster.name)
    _carry_lock(cluster, path)
    return cluster.plan(asked)


def _carry_lock(cluster: Cluster, spec: Path) -> None:
    """What was chosen beside the spec stays chosen: nodes that run it already must not see another VRID."""
    lock, secrets = lock_path(spec, cluster.name), secrets_path(spec, cluster.name)
    if not lock.exists() and not secrets.exists():
        return
    text = lock.read_text(encoding="utf-8") if lock.exists() else f"holdfast_lock: 1\ncluster: '{cluster.name}'\n"
    hidden = SecretStr(secrets.read_text(encoding="utf-8")) if secrets.exists() else None
    cluster.write_lock(LockRequest(lock=text, secrets=hidden, version=cluster.lock().version))


def _applied(cluster: Cluster, asked: RevisionRequest, remote: Remote, path: Path) -> Applied:
    applied = told_outdated(lambda: cluster.apply(asked), quiet=False)
    try:
        remote.remember_base(cluster.name, path, applied.revision.number)
    except HoldfastError as error:  # it is done all the same
        stderr().print(Text(f"what {path} was made from cannot be kept: {error.message}", style="yellow"))
    return applied


def told_outdated(do: Callable[[], T], *, quiet: bool) -> T:
    """What `do` returns. Where somebody else was first, both diffs are shown before the error is raised."""
    try:
        return do()
    except Outdated as error:
        if not quiet:
            console = stderr()
            for title, text in (("what others changed since:", error.theirs), ("what you changed:", error.yours)):
                console.print(Text(title, style="bold"))
                print_diff(text or "  nothing", console)
        raise


def _show(proposal: ProposalView) -> None:
    print_findings(proposal.findings, stderr())
    if proposal.newest and proposal.spec_diff:
        print_diff(proposal.spec_diff, stdout())
    print_plan_view(proposal.plan, stdout())


def confirm(question: str) -> None:
    """Go on, or end with status 1; UsageError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to be asked", "say --yes if you mean it")
    if not typer.confirm(question, err=True):
        stderr().print("nothing was changed")
        raise typer.Exit(1)


def finish(cluster: Cluster, applied: Applied, *, wait: bool, as_json: bool) -> None:
    """See the rollout to its end, and say how it ended; exit with 1 if it did not go well."""
    ended: RolloutView | None = None
    if applied.rollout is not None and wait:
        ended = _followed(cluster, applied.rollout, quiet=as_json)
    well = ended is None or ended.phase in ("succeeded", "paused")
    if as_json:
        print_json(
            {
                "ok": well,
                "cluster": cluster.name,
                "revision": applied.revision.model_dump(mode="json"),
                "rollout": ended.model_dump(mode="json") if ended else applied.rollout,
                "plan": applied.plan.model_dump(mode="json"),
                "findings": [finding.model_dump(mode="json") for finding in applied.findings],
            }
        )
    elif applied.rollout is None:
        stdout().print(went_well(f"revision {applied.revision.number} of {cluster.name}; no node changes"))
    elif ended is None:
        hint = f"holdfast rollout show {applied.rollout} --follow"
        stdout().print(went_well(f"revision {applied.revision.number}; rollout {applied.rollout} has begun: {hint}"))
    else:
        show_end(ended)
    if not well:
        raise typer.Exit(1)


def _followed(cluster: Cluster, number: int, *, quiet: bool) -> RolloutView:
    try:
        return follow(cluster, number, quiet=quiet)
    except KeyboardInterrupt:
        stderr().print(f"the rollout goes on; to see it: holdfast rollout show {number} --follow")
        stderr().print(f"to end it: holdfast rollout stop {number}")
        raise
