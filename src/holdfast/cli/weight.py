"""`holdfast weight SERVER N`: another share of the new connections than the spec's."""

from __future__ import annotations

from typing import Annotated

import typer

from .overrides_edit import Wish, parse_until
from .overrides_place import LabOption, SpecOption, find
from .overrides_tell import FromOption, ServerName, UntilOption, WhyOption, finish, tell, who
from .validate import AsJson


def weight(
    server: ServerName,
    number: Annotated[int, typer.Argument(metavar="N", min=1, max=65535)],
    virtual_server: FromOption = None,
    spec: SpecOption = None,
    lab: LabOption = None,
    why: WhyOption = None,
    until: UntilOption = None,
    as_json: AsJson = False,
) -> None:
    """Give a server another weight for a while, without a reload; a weight of 0 is `holdfast drain`.

    Example:  holdfast weight web01:80 10 --spec cluster.yaml --until 2h
    """
    told = tell(
        find(spec, lab),
        server,
        virtual_server,
        lambda now: Wish("weight", number, who=who(), why=why, until=parse_until(until, now)),
        force=True,
    )
    finish(told, f"weight {number}", as_json)
