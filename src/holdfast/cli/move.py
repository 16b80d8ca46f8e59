"""`holdfast move VIP NODE`: a planned switchover."""

from __future__ import annotations

import ipaddress
from typing import Annotated

import typer
from rich.text import Text

from holdfast.client.controller import Cluster
from holdfast.errors import NotFound, UsageError
from holdfast.protocol.api.nodes import MovedGroup, MoveRequest

from .output import print_json, stdout, went_well
from .remote import ClusterOption, ControllerOption, connect
from .validate import AsJson


def move(
    vip: Annotated[str, typer.Argument(metavar="VIP", help="A VRRP group, or one of its addresses.")],
    node: Annotated[
        str | None, typer.Argument(metavar="NODE", help="Who shall hold it; else the best other node.")
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="Every node may hold it again, and the best takes it.")] = False,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """Let another node hold a group: new connections wait until the last answer has left, then it moves.

    Refused where no other node could hold it; verified: the new holder carries the addresses when this returns.

    Example:  holdfast move 10.0.0.3 lb02
    """
    if back and node is not None:
        raise UsageError("with --back nobody is named", "leave one of the two out")
    of = connect(controller).cluster(cluster)
    done = of.move(_group(of, vip), MoveRequest(node=node, back=back))
    if as_json:
        print_json({"ok": True, **done.model_dump(mode="json")})
    else:
        stdout().print(told_move(done))


def _group(cluster: Cluster, vip: str) -> str:
    """An address is looked up among the groups: that of IPv6 has many spellings."""
    try:
        wanted = ipaddress.ip_address(vip)
    except ValueError:
        return vip
    for group in cluster.status().groups:
        if wanted in {ipaddress.ip_interface(address).ip for address in group.addresses}:
            return group.group
    raise NotFound(f"no group has the address {vip}", "see them: holdfast status")


def told_move(moved: MovedGroup) -> Text:
    """A sentence about a group that changed hands."""
    if moved.before == moved.after:
        return went_well(f"{moved.group} is with {moved.after}")
    cost = ""
    if moved.report is not None:
        held = moved.report.held_back_s * 1000
        cost = f"; new connections waited {held:.0f} ms"
        cost += f", {moved.report.cut} were cut" if moved.report.cut else ""
    return went_well(f"{moved.group} went from {moved.before or 'nobody'} to {moved.after}{cost}")
