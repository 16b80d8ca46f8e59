"""`holdfast weight SERVER N`: another share of the new connections than the spec's."""

from __future__ import annotations

from typing import Annotated

import typer

from .overrides_edit import Wish, parse_until
from .overrides_place import LabOption, SpecOption, find
from .overrides_remote import at_controller, remote_place
from .overrides_tell import FromOption, ServerName, UntilOption, WhyOption, finish, tell, who
from .remote import ClusterOption, ControllerOption
from .validate import AsJson


def weight(
    server: ServerName,
    number: Annotated[int, typer.Argument(metavar="N", min=1, max=65535)],
    virtual_server: FromOption = None,
    spec: SpecOption = None,
    lab: LabOption = None,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    why: WhyOption = None,
    until: UntilOption = None,
    as_json: AsJson = False,
) -> None:
    """Give a server another weight for a while, without a reload; a weight of 0 is `holdfast drain`.

    Example:  holdfast weight web01:80 10 --spec cluster.yaml --until 2h
    """
    place = remote_place(cluster, controller) if at_controller(spec, lab, controller) else find(spec, lab)
    told = tell(
        place,
        server,
        virtual_server,
        lambda now: Wish("weight", number, who=who(), why=why, until=parse_until(until, now)),
        force=True,
    )
    finish(told, f"weight {number}", as_json)
