"""`holdfast maintenance NODE on|off`: one command before a reboot, and one after."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from holdfast.protocol.api.nodes import MaintenanceRequest

from .move import told_move
from .output import print_json, stdout, went_well
from .overrides_edit import parse_until
from .overrides_tell import UntilOption, WhyOption
from .remote import ClusterOption, ControllerOption, connect
from .validate import AsJson


class Turned(StrEnum):
    """Whether a node is in maintenance."""

    ON = "on"
    OFF = "off"


def maintenance(
    node: Annotated[str, typer.Argument(metavar="NODE")],
    turned: Annotated[Turned, typer.Argument(metavar="on|off")],
    why: WhyOption = None,
    until: UntilOption = None,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """Let a node give up its addresses without a lost answer, and hold none until `off`.

    Refused for the last node that could hold one of them.

    Example:  holdfast maintenance lb01 on --why 'new kernel'
    """
    of = connect(controller).cluster(cluster)
    if turned is Turned.ON:
        asked = MaintenanceRequest(why=why or "", until=parse_until(until, datetime.now(UTC)))
        done = of.begin_maintenance(node, asked)
    else:
        done = of.end_maintenance(node)
    if as_json:
        print_json({"ok": True, **done.model_dump(mode="json")})
        return
    for moved in done.moved:
        stdout().print(told_move(moved))
    state = "in maintenance: it holds nothing, and will not" if done.on else "in service again"
    stdout().print(went_well(f"{node} is {state}"))
