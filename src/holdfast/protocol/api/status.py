"""The state of a cluster as the API says it, at one glance."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from holdfast.bundle import SafeName
from holdfast.findings import Finding

from .base import Count, Saying, Told
from .nodes import NodeSummary
from .overrides import OverrideView
from .revisions import RevisionView
from .rollouts import RolloutView


class AddressView(Told):
    """A VRRP group, its addresses and who carries them: two holders, or none, is trouble."""

    group: SafeName
    addresses: tuple[str, ...]
    members: tuple[SafeName, ...]
    holders: tuple[SafeName, ...]
    held_back: tuple[SafeName, ...] = Field(default=(), description="Members that gave it up on purpose.")


class ServerHealth(Told):
    """A server, as those see it who send to it. `up` is None where nobody has said."""

    name: str
    up: bool | None = None
    weight: int | None = None
    override: str | None = None
    open: int | None = None
    seen_by: tuple[SafeName, ...] = ()


class ServiceHealth(Told):
    """A virtual server or a pool with its servers."""

    name: str
    kind: str = Field(examples=["virtual_server", "pool"])
    servers: tuple[ServerHealth, ...] = ()


class ClusterStatus(Told):
    """All that matters now. `ok` is false if anything is in `trouble`."""

    cluster: SafeName
    time: AwareDatetime
    ok: bool
    trouble: tuple[Saying, ...] = ()
    revision: RevisionView | None = None
    rollout: RolloutView | None = Field(default=None, description="The one that runs, or the last.")
    nodes: tuple[NodeSummary, ...] = ()
    groups: tuple[AddressView, ...] = ()
    services: tuple[ServiceHealth, ...] = ()
    overrides: tuple[OverrideView, ...] = ()
    findings: tuple[Finding, ...] = ()
    newest: Count = 0
