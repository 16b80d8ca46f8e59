"""Rehearsals on a controller's machine as the API says them: begun, watched, stopped, read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field, JsonValue, model_validator

from holdfast.bundle import SafeName

from .base import Asked, Count, Line, Number, Saying, SpecText, Told

MOST_STEPS = 500
_SAID: dict[str, Any] = Field(default={}, description="The same as a template and its values, for other languages.")
State = Literal["running", "stopping", "passed", "failed", "stopped", "broken"]


_NOT_BOTH: dict[str, JsonValue] = {
    "not": {
        "required": ["spec", "revision"],
        "properties": {"spec": {"type": "string"}, "revision": {"type": "integer"}},
    }
}


class RehearsalRequest(Asked):
    """What is to be rehearsed: a proposed `spec`, or a `revision`; the newest one if neither is given."""

    model_config = ConfigDict(json_schema_extra=_NOT_BOTH)

    spec: SpecText | None = None
    revision: Number | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> RehearsalRequest:
        if self.spec is not None and self.revision is not None:
            raise ValueError("give a spec or a revision, not both")
        return self


class RehearsedStep(Told):
    """A step that is over. Times in seconds; `failover_s` null: nothing had to move, or something never did."""

    name: Line
    name_said: dict[str, Any] = _SAID
    kind: Line = ""
    verdict: Literal["pass", "fail", "info"]
    failover_s: float | None = None
    sent: Count = 0
    failed: Count = 0
    longest_gap_s: float = 0.0
    double_holder_s: float = 0.0
    before: dict[str, tuple[str, ...]] = {}
    after: dict[str, tuple[str, ...]] = {}
    reasons: tuple[Line, ...] = ()
    reasons_zh: tuple[Line, ...] = Field(default=(), description="The same in Chinese.")


class RehearsalView(Told):
    """A rehearsal. `revision` null: of a proposed spec. `doing`, `holders` and counts are of now, while it runs."""

    id: Number
    cluster: SafeName
    revision: Count | None = None
    state: State
    who: Line
    started: AwareDatetime
    ended: AwareDatetime | None = None
    doing: Line = ""
    doing_said: dict[str, Any] = _SAID
    number: Count = 0
    total: Count = 0
    holders: dict[str, tuple[str, ...]] = {}
    sent: Count = 0
    failed: Count = 0
    steps: Annotated[tuple[RehearsedStep, ...], Field(max_length=MOST_STEPS)] = ()
    message: Line = Field(default="", description="Why it could not be done, or why it was stopped.")
    message_said: dict[str, Any] = _SAID
    hint: Line = ""
    hint_said: dict[str, Any] = _SAID
    report: bool = Field(default=False, description="Whether there is a report to read.")

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state not in ("running", "stopping")


class RehearsalList(Told):
    """Newest first, those of this controller's machine. `missing` is why none can be begun here; empty: one can."""

    controller: Line
    missing: tuple[Saying, ...] = ()
    elsewhere: Line = Field(default="", description="The command that rehearses on another machine.")
    rehearsals: tuple[RehearsalView, ...] = ()
