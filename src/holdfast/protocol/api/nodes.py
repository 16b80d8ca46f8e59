"""Nodes as the API says them: who they are, what runs there, maintenance, planned moves, invitations."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from holdfast.bundle import SafeName

from ..desired import AgentReport, Progress
from ..reports import MoveReport
from .base import Asked, Count, Digest, Line, Moment, Saying, Told
from .revisions import FileView


class NodeSummary(Told):
    """A node at a glance. `behind` counts the revisions between what it runs and what it should.

    `seen` is when its agent last said something; `connected` whether that is recent enough to be believed.
    """

    node: SafeName
    enrolled: AwareDatetime | None = None
    revoked: AwareDatetime | None = None
    agent_version: str = ""
    connected: bool = False
    seen: AwareDatetime | None = None
    wanted: Count = Field(default=0, description="The revision that it should run; 0: none yet.")
    running: Count = Field(default=0, description="The revision that it runs, verified; 0: none that is known.")
    behind: Count = 0
    progress: Progress | None = None
    paused: bool = False
    maintenance: bool = False
    drift: int = Field(default=0, description="How many things differ from what was applied.")
    holds: tuple[str, ...] = Field(default=(), description="VRRP groups whose addresses it carries.")
    trouble: tuple[Saying, ...] = Field(default=(), description="What is wrong there, a sentence each.")


class NodeList(Told):
    """All nodes of a cluster: of its spec, and those that were enrolled."""

    nodes: tuple[NodeSummary, ...]


class NodeDetail(Told):
    """A node with its agent's last report; `facts` is what it is and can do, as far as it told."""

    node: NodeSummary
    report: AgentReport | None = None
    facts: dict[str, Any] = {}


class NodeConfiguration(Told):
    """What is live on a node: the files of the bundle that its agent says runs there, and what differs from them."""

    cluster: SafeName
    node: SafeName
    revision: Count
    digest: Digest | None = None
    as_of: AwareDatetime | None = None
    files: tuple[FileView, ...] = ()
    drift: tuple[str, ...] = Field(default=(), description="A unified diff, or a sentence, for each difference.")


class MaintenanceRequest(Asked):
    """Take a node out: it gives its groups up first, without a lost answer, and holds none until that ends."""

    why: Line = ""
    until: Moment | None = None


class MovedGroup(Told):
    """A VRRP group that changed hands. `report` is what it cost, as the old holder says."""

    group: SafeName
    before: SafeName | None = None
    after: SafeName
    report: MoveReport | None = None


class MaintenanceResult(Told):
    """What a change of maintenance did. `on`: the node is in maintenance now."""

    node: SafeName
    on: bool
    moved: tuple[MovedGroup, ...] = ()


class MoveRequest(Asked):
    """Let `node` hold the group; without it, the best other node than the one that holds it now.

    With `back`, every node may hold the group again, and the best takes it.
    """

    node: SafeName | None = None
    back: bool = False


class InviteRequest(Asked):
    """A join token that lasts `lifetime_s` seconds, 15 minutes at most."""

    lifetime_s: Annotated[int, Field(ge=1, le=900)] = 900


class Invitation(Told):
    """A join token, shown this once; `command` is what to run on the node."""

    node: SafeName
    token: str = Field(repr=False)
    expires: AwareDatetime
    command: str
