"""What is to be said of a cluster as the API says it: findings at the lines of revisions, and the rules behind them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from holdfast.bundle import SafeName
from holdfast.findings import Finding, Severity

from .base import Count, Saying, Told

MOST_FINDINGS = 10_000


class FoundView(Told):
    """A finding. Its line is one of `revision`; `node` is whose file or machine it is about, if it is of one alone."""

    finding: Finding
    title: str = Field(default="", description="What the rule is about, in few words.")
    revision: Count
    node: str = ""
    runs_on: tuple[SafeName, ...] = Field(default=(), description="The nodes on which it is so now, as far as known.")


class SilencedView(Told):
    """A finding that a comment in the spec silences, with the reason that stands there."""

    finding: Finding
    revision: Count
    reason: str
    line: Count = Field(description="Of the comment.")


class LookedView(Told):
    """A node that was looked at. `revision` is what it runs, null: nobody knows. `facts`: what it is was told, too."""

    node: SafeName
    revision: Count | None = None
    facts: bool = False


class FindingsView(Told):
    """Findings of a revision, and of what the nodes run, the worst first. `revision` is 0 while there is none."""

    cluster: SafeName
    revision: Count
    findings: Annotated[tuple[FoundView, ...], Field(max_length=MOST_FINDINGS)] = ()
    silenced: Annotated[tuple[SilencedView, ...], Field(max_length=MOST_FINDINGS)] = ()
    nodes: tuple[LookedView, ...] = ()
    left_out: Count = Field(default=0, description="So many more are not in the answer.")


class ExampleFile(Told):
    """A file of an example; `kind` facts: what the machine is, as JSON."""

    name: str
    text: str
    kind: Literal["file", "facts"] = "file"


class RuleView(Told):
    """A rule: what it finds, what would happen, what to do. Rules of specs alone have no examples."""

    id: str
    title: str
    topic: str = ""
    severity: Severity | None = None
    effect: str = ""
    hint: str = ""
    needs: str = Field(default="", examples=["host facts", "peers"])
    bad: tuple[ExampleFile, ...] = ()
    said: tuple[Saying, ...] = Field(default=(), description="What lint says of the bad example.")
    good: tuple[ExampleFile, ...] = ()
    references: tuple[str, ...] = ()
