"""The whole spec: one cluster, as its operator wants it."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_validator

from .nodes import Network, Node
from .origin import Origin
from .pools import Pool
from .proxies import Proxy
from .sites import Site
from .values import Duration, Frozen, Name, split_host_port
from .virtual_servers import Directors, VirtualServer
from .vrrp import VrrpGroup

EmailAddress = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,190}$")]
NotifiedEvent = Literal["vip_moved", "server_down", "server_up"]


class Email(Frozen):
    """Where mail goes. Who finds something out sends it: keepalived, HAProxy, and the prober beside nginx."""

    smtp: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:\[\]-]{1,255}:\d{1,5}$")] = "127.0.0.1:25"
    from_: Annotated[EmailAddress, Field(alias="from")]
    to: Annotated[tuple[EmailAddress, ...], Field(min_length=1, max_length=50)]

    @field_validator("smtp", mode="after")
    @classmethod
    def _host_and_port(cls, smtp: str) -> str:
        split_host_port(smtp, "127.0.0.1:25")
        return smtp

    @property
    def server(self) -> tuple[str, int]:
        """Host and port of the mail server."""
        return split_host_port(self.smtp)


class Notify(Frozen):
    """Who is told of what."""

    email: Email | None = None
    on: tuple[NotifiedEvent, ...] = ("vip_moved",)


class Objective(Frozen):
    """What a rehearsal holds the cluster to for one kind of fault; what is left out is only reported."""

    failover_within: Duration | None = None
    longest_gap: Duration | None = None
    lost_requests: Annotated[int, Field(ge=0, strict=True)] | None = None
    lost_connections: Annotated[int, Field(ge=0, strict=True)] | None = Field(
        None, description="live connections to virtual servers that end before their time"
    )
    double_holder: Duration | None = None


class Objectives(Frozen):
    """Objectives by kind of fault."""

    node_lost: Objective = Objective()
    node_frozen: Objective = Objective()
    service_lost: Objective = Objective()
    link_lost: Objective = Objective()
    partition: Objective = Objective()
    backend_lost: Objective = Objective()
    planned: Objective = Objective(lost_requests=0, lost_connections=0)
    refused: Objective = Objective(lost_requests=0, lost_connections=0)


class ClusterSpec(Frozen):
    """The root of a spec file."""

    holdfast: Literal[1] = Field(description="version of the spec's language")
    cluster: Name
    networks: dict[Name, Network] = {}
    nodes: Annotated[dict[Name, Node], Field(min_length=1, max_length=1000)]
    vrrp: dict[Name, VrrpGroup] = {}
    pools: dict[Name, Pool] = {}
    sites: dict[Name, Site] = {}
    proxies: dict[Name, Proxy] = {}
    virtual_servers: dict[Name, VirtualServer] = {}
    directors: Directors = Directors()
    notify: Notify = Notify()
    objectives: Objectives = Objectives()
    origin: Origin | None = Field(None, description="the shape that imported nodes keep until it is written as intent")

    @cached_property
    def found_out(self) -> dict[Hashable, Any]:
        """What `once` has found out of it; no part of what it says."""
        return {}

    def __copy__(self) -> Self:
        """A copy is made to become another spec: nothing is known of it."""
        copied = super().__copy__()
        copied.__dict__.pop("found_out", None)
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """The same."""
        copied = super().__deepcopy__(memo)
        copied.__dict__.pop("found_out", None)
        return copied
