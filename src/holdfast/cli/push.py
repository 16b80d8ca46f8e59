"""`holdfast push SPEC --ssh`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from holdfast.errors import UsageError
from holdfast.findings import Finding
from holdfast.plan import Hazard, Plan, make_plan
from holdfast.protocol import Overrides, PoolOverride, ServerOverride
from holdfast.spec.cluster import ClusterSpec

from .inputs import compile_input
from .output import print_findings, print_json, stderr, stdout, went_well
from .plan import hazard
from .plan_view import document, print_changes
from .push_nodes import due, left_without, look, overridden, refuse_managed, refuse_too_old, running
from .validate import AsJson, SpecPath

if TYPE_CHECKING:  # imported late: the other commands need not wait for an SSH client
    from holdfast.rollout import CommandTransport, RolloutEvent, RolloutResult
    from holdfast.rollout.ssh import Login

_GOOD = {"verified": "green", "put back": "yellow"}


Hosts = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="NODE=[USER@]HOST[:PORT]", help="Where a node is, if not at its own name."),
]
Sudo = Annotated[
    bool | None, typer.Option("--sudo/--no-sudo", help="Run the agent with sudo; by default unless you are root.")
]
KnownHosts = Annotated[
    Path | None,
    typer.Option(
        "--known-hosts", metavar="FILE", exists=True, dir_okay=False, help="The nodes' host keys; else your own file."
    ),
]
User = Annotated[str | None, typer.Option("--user", help="Log in as; else as your ssh configuration says.")]
Identity = Annotated[
    Path | None,
    typer.Option("--identity", metavar="FILE", exists=True, dir_okay=False, help="Your private key."),
]
Leaves = Annotated[
    list[str] | None, typer.Option("--leaves", metavar="NODE", help="It left the spec: take Holdfast off it.")
]
Forbid = Annotated[list[str] | None, typer.Option("--forbid", metavar="CLASS", help="As of holdfast plan.")]
AtATime = Annotated[
    int, typer.Option("--at-a-time", min=1, max=100, help="Nodes that change together, if the plan allows it.")
]
ProcessEvents = Annotated[bool, typer.Option(help="Whether keepalived sees processes die there; not in containers.")]
Despite = Annotated[
    bool, typer.Option("--despite-controller", help="Even to nodes whose agent follows a controller, which undoes it.")
]
ToPutBack = Annotated[
    bool, typer.Option("--put-back/--leave", help="After a failure, take back what is done, or leave it.")
]


@dataclass(frozen=True)
class _Wishes:
    """How it is to be done."""

    forbidden: frozenset[Hazard]
    at_a_time: int
    put_back: bool
    adopt: bool
    dry_run: bool
    yes: bool
    as_json: bool


@dataclass(frozen=True)
class _Todo:
    """What would change, what stays overridden, and who has to be told so before it directs anything."""

    plan: Plan
    kept: Overrides
    due: Mapping[str, Overrides]


def push(
    spec: SpecPath,
    ssh: Annotated[bool, typer.Option("--ssh", help="Reach the nodes over SSH.")] = False,
    hosts: Hosts = None,
    user: User = None,
    identity: Identity = None,
    known_hosts: KnownHosts = None,
    sudo: Sudo = None,
    agent: Annotated[str, typer.Option("--agent", metavar="COMMAND", help="On the nodes.")] = "holdfast-agent",
    leaves: Leaves = None,
    forbid: Forbid = None,
    at_a_time: AtATime = 1,
    put_back: ToPutBack = True,
    process_events: ProcessEvents = True,
    despite_controller: Despite = False,
    adopt: Annotated[bool, typer.Option("--adopt", help="Move files aside that are in the way.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the nodes to a spec over SSH, without a controller: the agent is run once on each, in the plan's order.

    Host keys are always checked. Standby nodes come first, each is verified before the next; the first failure stops
    it and puts back what is done. Exit status 1 if the nodes are not as the spec says in the end.

    Example:  holdfast push cluster.yaml --ssh --host lb01=root@10.0.0.5 --host lb02=root@10.0.0.6
    """
    from holdfast.compile.compiler import compile_cluster
    from holdfast.controller.operations.linting import linted
    from holdfast.rollout import CommandTransport
    from holdfast.rollout.ssh import SshNodes, SshOptions

    if not ssh:
        raise UsageError("how the nodes are reached is not said", "holdfast push SPEC --ssh")
    forbidden = frozenset(hazard(word) for words in forbid or () for word in words.split(","))
    wishes = _Wishes(forbidden, at_a_time, put_back, adopt, dry_run, yes, as_json)
    source = compile_input(spec, process_events=process_events)
    bundles = compile_cluster(source)
    findings = linted(bundles, source.loaded, str(spec))
    print_findings(findings, stderr())
    logins = _logins([*bundles, *(leaves or ())], hosts or ())
    with SshNodes(logins, SshOptions(user, identity, known_hosts, sudo)) as nodes:
        transport = CommandTransport(nodes.run, agent.split())
        seen = look(transport, tuple(logins), source.loaded.spec.cluster)
        if not despite_controller:
            refuse_managed(seen)
        refuse_too_old(seen, bundles)
        kept = overridden(seen, source.loaded.spec)
        todo = _Todo(make_plan(running(seen), bundles), kept, dict(due(seen, bundles, kept)))
        _say_kept(source.loaded.spec, todo, quiet=as_json)
        result = _rolled_out(todo, transport, wishes)
    _say(todo, findings, forbidden, result, as_json)
    if result is not None and not result.succeeded:
        raise typer.Exit(1)


def _say_kept(spec: ClusterSpec, todo: _Todo, *, quiet: bool) -> None:
    several: list[ServerOverride | PoolOverride] = [*todo.kept.servers, *todo.kept.pools]
    for each in () if quiet else several:
        what = f"weight {each.weight}" if each.weight is not None else str(each.kind)
        pool, place = (each.pool, None) if isinstance(each, PoolOverride) else (None, each.virtual_server)
        name, where = f"{pool}/{each.server}" if pool else each.server, f" in {place}" if place else ""
        why = ": ".join(word for word in (each.who, each.why) if word)
        until = f", until {each.until}" if each.until else ""
        stdout().print(Text(f"{name} stays {what}{where}{f' ({why})' if why else ''}{until}"))
    for sentence in left_without(spec, todo.kept):
        stderr().print(Text(sentence, style="yellow"))


def _rolled_out(todo: _Todo, transport: CommandTransport, wishes: _Wishes) -> RolloutResult | None:
    """The plan shown, confirmed and carried out; None where nothing was to be done."""
    from holdfast.rollout import roll_out
    from holdfast.rollout.waves import refuse_forbidden

    plan = todo.plan
    if not wishes.as_json:
        print_changes(plan, stdout())
    refuse_forbidden(plan, wishes.forbidden)
    if plan.is_empty or wishes.dry_run:
        return None
    _confirm(wishes.yes, wishes.as_json)
    for node, overrides in todo.due.items():
        transport.keep_overrides(node, overrides)
    return roll_out(
        plan,
        transport,
        forbidden=wishes.forbidden,
        adopt=wishes.adopt,
        put_back_on_failure=wishes.put_back,
        at_a_time=wishes.at_a_time,
        progress=_print_event,
    )


def _logins(nodes: Sequence[str], hosts: Sequence[str]) -> dict[str, Login]:
    from holdfast.rollout.ssh import Login

    found = {node: Login(node) for node in nodes}
    for said in hosts:
        node, equals, where = said.partition("=")
        if not equals:
            raise UsageError(f"--host {said} names no node", "write --host NODE=[USER@]HOST[:PORT]")
        if node not in found:
            raise UsageError(f"the spec configures no node '{node}'", f"its nodes are: {', '.join(sorted(found))}")
        found[node] = Login.parse(where)
    return found


def _confirm(yes: bool, as_json: bool) -> None:
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise UsageError("nobody is there to confirm the plan", "look at it with --dry-run, then say --yes")
    if not typer.confirm("Roll it out?"):
        raise typer.Exit(1)


def _print_event(event: RolloutEvent) -> None:
    style = _GOOD.get(event.what, "" if event.what in ("applying", "putting back") else "bold red")
    detail = f": {event.detail}" if event.detail else ""
    stderr().print(Text.assemble(f"{event.node}: ", (str(event.what), style), detail))


def _say(
    todo: _Todo,
    findings: Sequence[Finding],
    forbidden: frozenset[Hazard],
    result: RolloutResult | None,
    as_json: bool,
) -> None:
    if as_json:
        told = None
        if result is not None:
            told = {
                "succeeded": result.succeeded,
                "nodes": dict(result.phases),
                "reports": [report.model_dump(mode="json") for report in result.reports],
                "reason": result.reason or None,
                "hint": result.hint or None,
            }
        succeeded = result is None or result.succeeded
        print_json(
            {
                "ok": succeeded,
                "findings": [finding.model_dump(mode="json") for finding in findings],
                "overrides": [each.model_dump(mode="json") for each in (*todo.kept.servers, *todo.kept.pools)],
                "plan": document(todo.plan, forbidden),
                "rollout": told,
            }
        )
        return
    if result is None:
        return
    if result.succeeded:
        nodes = len(result.phases)
        stdout().print(went_well(f"{nodes} node{'s' * (nodes != 1)} as the spec says"))
        return
    stderr().print(Text.assemble(("error: ", "bold red"), f"the rollout stopped: {result.reason}"))
    if result.hint:
        stderr().print(Text(f"  → {result.hint}", style="green"))
