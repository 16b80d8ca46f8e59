"""What an operator overrides for a while, and what became of it on a director."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from holdfast.bundle import SafeName
from holdfast.sentences import heard

from .message import PROTOCOL_VERSION, Message


class OverrideKind(StrEnum):
    """What an operator decided about one server for a while."""

    DRAINED = "drained"  # no new connections, those that it has may end
    SUSPENDED = "suspended"  # out of the table at once
    WEIGHT = "weight"  # another weight than the spec's


class ServerOverride(Message):
    """An override of a real server, in one virtual server (the spec's entry) or, without one, in all.

    `server` is NODE:PORT or ADDRESS:PORT as the spec writes it. `since` and `until` are RFC 3339 times in UTC.
    """

    server: Annotated[str, Field(max_length=300)]
    virtual_server: SafeName | None = None
    kind: OverrideKind
    weight: Annotated[int, Field(ge=0, le=65535)] | None = None
    who: Annotated[str, Field(max_length=100)] = ""
    why: Annotated[str, Field(max_length=500)] = ""
    since: Annotated[str, Field(max_length=40)] = ""
    until: Annotated[str, Field(max_length=40)] | None = None


MOST_POOL_WEIGHT = 256  # HAProxy's largest


class PoolOverride(Message):
    """An override of one server of one pool, behind whatever proxies use it. The rest is as for a real server."""

    pool: SafeName
    server: Annotated[str, Field(max_length=300)]
    kind: OverrideKind
    weight: Annotated[int, Field(ge=1, le=MOST_POOL_WEIGHT)] | None = None
    who: Annotated[str, Field(max_length=100)] = ""
    why: Annotated[str, Field(max_length=500)] = ""
    since: Annotated[str, Field(max_length=40)] = ""
    until: Annotated[str, Field(max_length=40)] | None = None


class Overrides(Message):
    """All that is overridden on a node: it replaces what the node knew, and survives reloads and rollbacks.

    Those of pools stand apart: an agent that does not know them must not take them for real servers'.
    """

    version: Literal[1] = PROTOCOL_VERSION
    servers: Annotated[tuple[ServerOverride, ...], Field(max_length=10_000)] = ()
    pools: Annotated[tuple[PoolOverride, ...], Field(max_length=10_000)] = ()


_Words = Annotated[str, StringConstraints(max_length=300)]


class WhyDown(Message):
    """Why a real server is out of the table though nobody took it out; what is not known is left out.

    `since` is when keepalived took it out, and `said` its last words before, both out of its log. `question` is what it
    asks; `answer` is what became of the same question when the agent asked it by itself, at `asked`; `answer_said` is
    the same for other languages, as `holdfast.sentences` has it.
    """

    since: AwareDatetime | None = None
    said: _Words = ""
    question: _Words = ""
    answer: _Words = ""
    asked: AwareDatetime | None = None
    answer_said: dict[str, Any] = {}

    @property
    def told(self) -> str:
        """The answer as the sentence that it is, where its agent says so."""
        return heard(self.answer_said, self.answer)


class WeighedServer(Message):
    """A real server of a virtual server: what overrides make of it, and what the kernel's table shows.

    `holds`: this node holds the virtual server's addresses, so its count of connections is the one that counts.
    `wanted` and `weight` are None where it is not in the table: suspended, or taken out by its check. `open` counts
    connections that have not ended (None: not counted, as nothing is overridden); `persistent` the clients bound to it.
    `seconds` is how long after the write the table showed it. `active`, `inactive` and `per_s` (new connections in a
    second, the kernel's own average) are its counts of the moment; None where it is not in the table, or nobody asked.
    `why` is there while its check has taken it out.
    """

    virtual_server: str
    source: SafeName
    server: str
    kind: OverrideKind | None = None
    wanted: int | None = None
    weight: int | None = None
    as_wanted: bool = True
    holds: bool = True
    open: int | None = None
    persistent: int = 0
    active: int | None = None
    inactive: int | None = None
    per_s: int | None = None
    seconds: float = 0.0
    why: WhyDown | None = None

    @property
    def where(self) -> str:
        """What it is a server of, for people."""
        return self.virtual_server


class PooledServer(Message):
    """A server of a pool that is overridden, or that its proxy's checks took out, as nginx or HAProxy has it.

    `weight` is None while it gets no new requests. `open` counts what is not over: sessions (HAProxy), connections
    (nginx); None where nothing is overridden. `seconds` is how long the engine took to have it so.
    """

    pool: SafeName
    engine: str
    server: str
    kind: OverrideKind | None = None
    wanted: int | None = None
    weight: int | None = None
    as_wanted: bool = True
    up: bool | None = None
    open: int | None = None
    seconds: float = 0.0

    @property
    def where(self) -> str:
        """What it is a server of, for people."""
        return f"pool {self.pool} ({self.engine})"


class OverrideReport(Message):
    """What overrides do on one director or proxy. `sessions_end`: clients bound to a drained server go elsewhere.

    `knows_pools`: this agent carries overrides of pools out; `pool_names` are those that its proxies use. `said` is
    `detail` for other languages, as `holdfast.sentences` has it; older agents send none.
    """

    version: Literal[1] = PROTOCOL_VERSION
    node: SafeName
    done: bool
    servers: tuple[WeighedServer, ...] = ()
    expired: tuple[ServerOverride, ...] = ()
    unknown: tuple[str, ...] = ()  # overridden servers that this node does not direct
    reloaded: bool = False
    sessions_end: bool = True
    detail: str = ""
    said: dict[str, Any] = {}
    knows_pools: bool = False
    pool_names: tuple[SafeName, ...] = ()
    pools: tuple[PooledServer, ...] = ()
    expired_pools: tuple[PoolOverride, ...] = ()

    @property
    def told(self) -> str:
        """The detail as the sentence that it is, where its agent says so."""
        return heard(self.said, self.detail)
