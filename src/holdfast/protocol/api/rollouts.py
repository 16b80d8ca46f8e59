"""Rollouts as the API says them: how they may be done, how far they are, what happened."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from holdfast.bundle import SafeName

from ..desired import Progress
from ..reports import ApplyReport
from .base import Asked, Count, HazardClass, Line, Number, Told

RolloutId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,80}$")]


class RolloutOptions(Asked):
    """How a rollout is done.

    `nodes_per_step` limits how many nodes of a wave change at the same time; those that have to change in one moment
    always do. `forbid` are classes of hazards that end it before anything is touched.
    """

    put_back_on_failure: bool = True
    nodes_per_step: Annotated[int, Field(ge=1, le=1000)] = 1
    pause_after_first: bool = False
    forbid: Annotated[tuple[HazardClass, ...], Field(max_length=5)] = ()
    adopt: bool = Field(default=False, description="Files in the way that are not Holdfast's may be moved aside.")


class RolloutNodeView(Told):
    """One node of a rollout. `progress` is how far its agent is: accepted, written, applied, verified, or an end."""

    node: SafeName
    phase: str = Field(examples=["waiting"])
    progress: Progress | None = None
    wave: int = Field(default=0, description="In which step of the plan it is, from 1.")
    report: ApplyReport | None = None
    detail: str = ""


class RolloutView(Told):
    """A rollout. `phase` is one of waiting, running, paused, done, failed, put back, stopped."""

    id: RolloutId
    cluster: SafeName
    revision: Number
    base: Count = 0
    author: str = ""
    message: str = ""
    phase: str = Field(examples=["running"])
    started: AwareDatetime
    ended: AwareDatetime | None = None
    nodes: tuple[RolloutNodeView, ...] = ()
    options: RolloutOptions = RolloutOptions()
    reason: str = Field(default="", description="Why it stopped: which node, which program, which line.")
    hint: str = ""

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
