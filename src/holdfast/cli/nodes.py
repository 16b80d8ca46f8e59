"""`holdfast nodes list|invite|revoke`: who belongs to a cluster."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from .apply import confirm
from .output import listing, print_json, stderr, stdout, went_well
from .remote import ClusterOption, ControllerOption, connect
from .validate import AsJson

app = typer.Typer(help="Nodes of a cluster: listed, let in, shut out.", no_args_is_help=True)

_SOMEWHERE = "https://CONTROLLER:PORT"  # a controller does not know by which address nodes reach it
NodeName = Annotated[str, typer.Argument(metavar="NODE")]


@app.command("list")
def list_(cluster: ClusterOption = None, controller: ControllerOption = None, as_json: AsJson = False) -> None:
    """Every node of the spec, and those that joined.

    Example:  holdfast nodes list
    """
    found = connect(controller).cluster(cluster).nodes()
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    table = listing("node", "joined", "agent", "last heard of", "")
    for one in found.nodes:
        joined = one.enrolled.astimezone().strftime("%Y-%m-%d") if one.enrolled else "never"
        seen = one.seen.astimezone().strftime("%Y-%m-%d %H:%M:%S") if one.seen else "never"
        table.add_row(one.node, joined, one.agent_version, seen, Text("; ".join(one.trouble), style="red"))
    stdout().print(table)


@app.command("invite")
def invite(
    node: NodeName,
    minutes: Annotated[int, typer.Option(metavar="N", min=1, max=15, help="How long the token is good for.")] = 15,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """A join token for one node: good once, for 15 minutes at most.

    Example:  holdfast nodes invite lb01
    """
    remote = connect(controller)
    found = remote.cluster(cluster).invite(node, minutes * 60)
    command = found.command.replace(_SOMEWHERE, remote.profile.controllers[0].rstrip("/"))
    if as_json:
        print_json({**found.model_dump(mode="json"), "command": command})
        return
    # The token goes in by standard input: what stands in a command line, everybody on the node can see.
    stderr().print(f"run this on {node} before {found.expires.astimezone():%H:%M}, and give it the token:")
    stdout().out(command, highlight=False)
    stdout().out(found.token, highlight=False)


@app.command("revoke")
def revoke(
    node: NodeName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """A node's certificate counts no more, at once; what runs there goes on. A new token lets it in again.

    Example:  holdfast nodes revoke lb01
    """
    of = connect(controller).cluster(cluster)
    if not yes:
        confirm(f"shut {node} out of {of.name}?")
    of.revoke(node)
    if as_json:
        print_json({"ok": True})
    else:
        stdout().print(went_well(f"the certificate of {node} counts no more"))
