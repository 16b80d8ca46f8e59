"""Overrides as the API says them: what differs from the spec for a while, and what the directors make of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from holdfast.bundle import SafeName

from ..overrides import OverrideReport
from .base import Asked, Line, Moment, Saying, Told


class OverrideWord(StrEnum):
    """What an operator overrides; `any` ends whatever was decided about a server."""

    DRAINED = "drained"
    SUSPENDED = "suspended"
    WEIGHT = "weight"
    MAINTENANCE = "maintenance"
    ANY = "any"


class OverrideRequest(Asked):
    """What becomes of a server: of a pool, in one virtual server or in all. `weight` is for that kind alone.

    `force`: even if too few are left to answer. The answer comes once every director's kernel, or every proxy, shows
    it, or after `wait_s` seconds.
    """

    virtual_server: SafeName | None = None
    pool: SafeName | None = Field(default=None, description="The pool that it is a server of.")
    weight: Annotated[int, Field(ge=1, le=65535)] | None = None
    why: Line = ""
    until: Moment | None = None
    force: bool = False
    wait_s: Annotated[float, Field(ge=0, le=60)] = 10.0


class OverrideView(Told):
    """An override: `target` is a server as the spec writes it (`web01:80`) or, for maintenance, a node."""

    kind: OverrideWord
    target: str
    virtual_server: SafeName | None = None
    pool: SafeName | None = None
    weight: int | None = None
    who: str
    why: str = ""
    since: AwareDatetime
    until: AwareDatetime | None = None
    over: bool = Field(default=False, description="Its time is over; it does nothing any more.")


class OverrideList(Told):
    """All that is overridden in a cluster, and what each director last said of it."""

    overrides: tuple[OverrideView, ...]
    directors: dict[SafeName, OverrideReport] = {}
    silent: tuple[SafeName, ...] = Field(default=(), description="Directors that have not said anything.")
    old: dict[SafeName, AwareDatetime] = Field(
        default={},
        description="When it said so, for each director whose agent is silent by now: that may have changed.",
    )
    damaged: tuple[str, ...] = Field(default=(), description="Records that are not understood, by name.")


class OverrideResult(Told):
    """What became of a change of overrides.

    `failed` has a sentence for each director that has not shown it in time; `warnings` were said before it was done.
    """

    ok: bool
    servers: tuple[str, ...]
    virtual_server: SafeName | None = None
    pool: SafeName | None = None
    directors: dict[SafeName, OverrideReport] = {}
    failed: dict[SafeName, Saying] = {}
    warnings: tuple[Saying, ...] = ()
    open: int = Field(default=0, description="Connections that have not ended.")
