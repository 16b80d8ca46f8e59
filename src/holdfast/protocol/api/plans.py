"""A plan as the API says it: what would change on each node, what that may do to traffic, in which order."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from holdfast.bundle import SafeName
from holdfast.findings import Finding

from .base import Asked, Count, Digest, FileName, HazardClass, Saying, SpecText, Told


class PlanRequest(Asked):
    """A spec to be planned; nothing is written. `base` is the revision that it was made from, 0: there was none.

    Without `base`, it is compared with what the nodes are to run now, whatever it was made from.
    """

    spec: SpecText
    base: Count | None = None
    file: FileName = "spec"


class ChangeView(Told):
    """One change of one node, in words of the spec, with its class, the reason, and what would be safer."""

    where: str
    what: str
    how: str
    hazard: HazardClass
    why: str
    safer: str = ""
    rule: str = Field(default="", description="The row of the table of hazards that classes it.")
    service: str | None = None
    file: str = ""
    groups: tuple[str, ...] = Field(default=(), description="VRRP groups whose members change in one moment.")


class FileDiff(Told):
    """A file of a node that differs, as a unified diff; secrets are masked."""

    path: str
    kind: Literal["added", "changed", "removed"]
    diff: str


class NodeChangeView(Told):
    """What a node's change consists of."""

    node: SafeName
    kind: Literal["changes", "new", "leaves"]
    hazard: HazardClass
    changes: tuple[ChangeView, ...] = ()
    files: tuple[FileDiff, ...] = ()
    digest: Digest | None = Field(default=None, description="Of the bundle that it would run; null where it leaves.")


class StepView(Told):
    """Nodes that change together (`at_once`: in one moment), and why now."""

    nodes: tuple[SafeName, ...]
    at_once: bool = False
    why: Saying = ""


class PlanView(Told):
    """What would change; `nodes` has only those that do."""

    changed: bool
    hazard: HazardClass | None = Field(default=None, description="The worst class that occurs.")
    counts: dict[HazardClass, int] = Field(default={}, description="How many changes there are of each class.")
    steps: tuple[StepView, ...] = ()
    nodes: tuple[NodeChangeView, ...] = ()
    too_old: tuple[SafeName, ...] = Field(
        default=(), description="Nodes whose agents say that they are too old for this: the rollout would be refused."
    )


class ProposalView(Told):
    """What becomes of a spec: findings, the plan, and the difference of its text to the newest revision."""

    cluster: SafeName
    newest: Count = Field(description="The newest revision now; what to give as `base` when it is applied.")
    digest: Digest = Field(description="SHA-256 of the spec's text.")
    findings: Annotated[tuple[Finding, ...], Field(max_length=10_000)] = ()
    plan: PlanView
    spec_diff: str = ""
