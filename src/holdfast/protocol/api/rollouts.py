"""Rollouts as the API says them: how they may be done, how far they are, what happened."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from holdfast.bundle import SafeName

from ..desired import Progress
from .base import Asked, Count, HazardClass, Line, Number, Saying, Told

RolloutId = Number


class RolloutOptions(Asked):
    """How a rollout is done.

    `at_a_time` limits how many nodes of a wave change at the same time; those that have to change in one moment always
    do. `forbidden` are classes of hazards that refuse it before anything is touched. `without` names nodes that are
    away: they are not waited for, and find their state when they come.
    """

    put_back: bool = Field(default=True, description="After a failure, nodes that are done go back to what they ran.")
    at_a_time: Annotated[int, Field(ge=1, le=2000)] = 1
    pause_after_first: bool = False
    forbidden: Annotated[tuple[HazardClass, ...], Field(max_length=5)] = ()
    adopt: bool = Field(default=False, description="Files in the way that are not Holdfast's may be moved aside.")
    without: Annotated[tuple[SafeName, ...], Field(max_length=2000)] = ()


class RolloutNodeView(Told):
    """One node of a rollout. `progress` is how far its agent is: accepted, written, applied, verified, or an end.

    `program_line` is what the program that refused said, word for word.
    """

    node: SafeName
    phase: str = Field(examples=["waiting"])
    progress: Progress | None = None
    wave: int = Field(default=0, description="Among which nodes it is changed, from 1; 0: not decided yet.")
    old_revision: Count = 0
    started: AwareDatetime | None = None
    ended: AwareDatetime | None = None
    reloaded: tuple[str, ...] = ()
    detail: Saying = ""
    hint: Saying = ""
    program_line: str = ""


class RolloutView(Told):
    """A rollout. `phase`: proposed, running, paused, putting back; and at its end succeeded, put back, failed."""

    id: RolloutId
    cluster: SafeName
    revision: Number
    base: Count = Field(default=0, description="The revision that most nodes came from.")
    author: str = ""
    message: str = ""
    phase: str = Field(examples=["running"])
    created: AwareDatetime
    started: AwareDatetime | None = None
    ended: AwareDatetime | None = None
    nodes: tuple[RolloutNodeView, ...] = ()
    options: RolloutOptions = RolloutOptions()
    reason: Saying = Field(default="", description="The first thing that went wrong: which node, program and line.")
    hint: Saying = ""

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.ended is not None


class RolloutList(Told):
    """Newest first; `before` is what to ask for the next page, null at the end."""

    rollouts: tuple[RolloutView, ...]
    before: RolloutId | None = None


class StopRequest(Asked):
    """End a rollout; with `put_back`, nodes that were changed go back."""

    put_back: bool = True
    why: Line = ""
