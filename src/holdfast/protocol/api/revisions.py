"""Revisions as the API says them: listed, shown, made, compared, gone back to."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from holdfast.bundle import Expectations, SafeName
from holdfast.findings import Finding

from .base import Asked, Count, Digest, FileName, Message, Number, SpecText, Told
from .damaged import DamagedPlace
from .plans import FileDiff, PlanView
from .rollouts import RolloutId, RolloutOptions


class RevisionView(Told):
    """A revision as lists show it. `base` is the one that it was made from, 0 for the first."""

    number: Number
    base: Count
    author: str
    message: str
    time: AwareDatetime
    digest: Digest
    rollback_of: Number | None = None
    errors: Count = 0
    warnings: Count = 0


class RevisionList(Told):
    """Newest first; `before` is what to ask for the next page, null at the end."""

    revisions: tuple[RevisionView, ...]
    newest: Count
    before: Number | None = None
    damaged: tuple[DamagedPlace, ...] = Field(default=(), description="Revisions in between that are not understood.")


class RevisionDetail(Told):
    """A revision with what it holds. `lock` is CLUSTER.lock as it was; it has no secrets."""

    revision: RevisionView
    spec: str
    lock: str = ""
    findings: tuple[Finding, ...] = ()


class FileView(Told):
    """A file of a node, as it is (or would be) written there; secrets are masked."""

    path: str
    content: str
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"


class NodeFiles(Told):
    """The exact files of one node in one revision, and what has to be true once they run."""

    cluster: SafeName
    revision: Number
    node: SafeName
    digest: Digest
    services: tuple[str, ...]
    files: tuple[FileView, ...]
    expected: Expectations = Expectations()


class RevisionRequest(Asked):
    """A new revision and its rollout. `base` is the revision that `spec` was made from; 0: there was none.

    A spec that was made on an old revision is refused with both diffs. With `rollout` false it is only kept.
    """

    spec: SpecText
    base: Count
    message: Message = ""
    options: RolloutOptions = RolloutOptions()
    rollout: bool = True
    file: FileName = "spec"


class RollbackRequest(Asked):
    """A new revision with the content of `revision`, through the same plan and rollout."""

    revision: Number
    base: Count
    message: Message = ""
    options: RolloutOptions = RolloutOptions()


class Applied(Told):
    """The revision that was made, and its rollout: null where nothing changes on any node."""

    revision: RevisionView
    rollout: RolloutId | None = None
    plan: PlanView
    findings: Annotated[tuple[Finding, ...], Field(max_length=10_000)] = ()


class NodeDiff(Told):
    """What differs on one node between two revisions."""

    node: SafeName
    files: tuple[FileDiff, ...]


class RevisionDiff(Told):
    """Two revisions compared: their text, each node's files, and what going from one to the other does to traffic."""

    old: Number
    new: Number
    spec_diff: str
    nodes: tuple[NodeDiff, ...] = ()
    plan: PlanView
