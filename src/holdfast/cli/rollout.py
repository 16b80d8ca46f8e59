"""`holdfast rollout list|show|continue|stop`: what is on its way to the nodes."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from holdfast.client.controller import Cluster
from holdfast.errors import NotFound
from holdfast.protocol.api.rollouts import RolloutView, StopRequest

from .output import listing, print_json, stdout
from .overrides_tell import WhyOption
from .remote import ClusterOption, ControllerOption, connect
from .rollout_view import follow as follow_to_end
from .rollout_view import said, show_end
from .validate import AsJson

app = typer.Typer(help="Rollouts: listed, followed, continued after a pause, stopped.", no_args_is_help=True)

Number = Annotated[int | None, typer.Argument(metavar="[NUMBER]", min=1, help="Which; else the last one.")]


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, max=200, help="At most so many.")] = 20,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """The last rollouts, newest first.

    Example:  holdfast rollout list
    """
    found = connect(controller).cluster(cluster).rollouts(limit=limit)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    table = listing("", "revision", "begun", "who", "state", "why")
    for one in found.rollouts:
        when = one.created.astimezone().strftime("%Y-%m-%d %H:%M")
        table.add_row(str(one.id), str(one.revision), when, Text(one.author), one.phase, Text(one.reason))
    stdout().print(table)


@app.command("show")
def show(
    number: Number = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="To its end.")] = False,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """How far a rollout is, node by node: accepted, written, applied, verified.

    Example:  holdfast rollout show --follow
    """
    of = connect(controller).cluster(cluster)
    one = of.rollout(_number(of, number))
    if follow and not one.over:
        one = follow_to_end(of, one.id, quiet=as_json)
    _tell(one, as_json=as_json)
    if one.over and one.phase != "succeeded":
        raise typer.Exit(1)


@app.command("continue")
def continue_(
    number: Number = None,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """Let a rollout go on that waits after its first node.

    Example:  holdfast rollout continue
    """
    of = connect(controller).cluster(cluster)
    _tell(of.continue_rollout(_number(of, number)), as_json=as_json)


@app.command("stop")
def stop(
    number: Number = None,
    put_back: Annotated[
        bool, typer.Option("--put-back/--leave", help="Take back the nodes that are done, or leave them.")
    ] = True,
    why: WhyOption = None,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """End a rollout: nothing new is begun, and what is done goes back.

    Example:  holdfast rollout stop --why 'wrong pool'
    """
    of = connect(controller).cluster(cluster)
    _tell(of.stop_rollout(_number(of, number), StopRequest(put_back=put_back, why=why or "")), as_json=as_json)


def _number(cluster: Cluster, number: int | None) -> int:
    if number is not None:
        return number
    found = cluster.rollouts(limit=1).rollouts
    if not found:
        raise NotFound(f"there was no rollout of {cluster.name} yet", "holdfast apply cluster.yaml")
    return found[0].id


def _tell(one: RolloutView, *, as_json: bool) -> None:
    if as_json:
        print_json(one.model_dump(mode="json"))
        return
    table = listing("node", "state", "wave")
    for node in one.nodes:
        table.add_row(node.node, said(node), str(node.wave or ""))
    stdout().print(table)
    if one.over or one.phase == "paused":
        show_end(one)
    else:
        stdout().print(f"rollout {one.id}, revision {one.revision}: {one.phase}")
