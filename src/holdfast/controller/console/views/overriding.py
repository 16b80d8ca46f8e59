"""What overrides of servers have in common, whoever sends to them: what is asked, and what is said of the outcome."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from holdfast.errors import PlanRefused
from holdfast.protocol.api.base import Asked, Line
from holdfast.protocol.api.overrides import OverrideRequest, OverrideResult, OverrideWord

from ...operations import overrides
from ...operations.desk import Desk
from ..pages import Page

WAIT_S = 4.0  # what nodes say later is seen in the table
CHANGED = ("status", "overrides")

Kind = Literal["drained", "suspended", "weight"]
Server = Annotated[str, Query(max_length=300)]
Began = Annotated[int, Query(ge=0, le=10**9)]


class OverrideForm(Asked):
    """What becomes of a server: `scope` says whether in this virtual server alone; `minutes` None: until resumed."""

    kind: Kind
    server: Annotated[str, Field(max_length=300)]
    scope: Literal["here", "everywhere"] = "everywhere"
    weight: Annotated[int, Field(ge=1, le=65535)] | None = None
    why: Line = ""
    minutes: Annotated[int, Field(ge=1, le=60 * 24 * 366)] | None = None
    force: bool = False


class ResumeForm(Asked):
    """Which server is to be as the spec says again."""

    server: Annotated[str, Field(max_length=300)]


async def overridden(
    desk: Desk, cluster: str, asked: OverrideForm, virtual_server: str | None = None, pool: str | None = None
) -> OverrideResult | PlanRefused:
    """The same operation as the API's. A refusal that can be overruled comes back, to be asked once more."""
    request = OverrideRequest(
        virtual_server=virtual_server,
        pool=pool,
        weight=asked.weight,
        why=asked.why,
        until=desk.now() + timedelta(minutes=asked.minutes) if asked.minutes else None,
        force=asked.force,
        wait_s=WAIT_S,
    )
    try:
        return await overrides.set_override(desk, cluster, OverrideWord(asked.kind), asked.server, request)
    except PlanRefused as error:
        if asked.force:
            raise
        return error


def done(page: Page, server: str, result: OverrideResult, asked: OverrideForm | None = None) -> Response:
    """A line that says so, where every node shows it. `asked` None: whatever was decided has ended."""
    names: dict[str, object] = {"server": server, "nodes": ", ".join(result.directors)}
    if asked is None:
        said = page.words.say("%(server)s is as the spec says: %(nodes)s show it", **names)
    elif asked.kind == "suspended":
        said = page.words.say("%(server)s is suspended: %(nodes)s show it", **names)
    else:
        said = page.words.say("%(server)s has weight %(weight)s: %(nodes)s show it", weight=asked.weight, **names)
    return page.done(said, refresh=CHANGED)
