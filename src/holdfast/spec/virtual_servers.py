"""Virtual servers: what the directors take at layer 4, and the real servers behind it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field

from .checks import Check
from .pools import Server
from .proxies import ListenOn
from .values import Frozen, InterfaceName, Name, PolicyName, Port, PositiveDuration, ShortForm, split_host_port

Protocol = Literal["tcp", "udp", "sctp"]
ForwardingMethod = Literal["nat", "dr", "tun"]
SchedulerName = Literal["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh"]
SchedulerFlag = Literal["port", "fallback"]
Mark = Annotated[int, Field(ge=1, le=0x7FFFFFFF, strict=True)]


class PortRange(Frozen):
    """`GROUP:8000-8100` or `GROUP.ADDRESS:8000-8100`: several ports of a floating address."""

    target: str
    first: Port
    last: Port


class Scheduler(ShortForm):
    """`wrr`, or `{name: mh, flags: [fallback, port]}`; `sh` and `mh` alone know flags."""

    short_schema: ClassVar[dict[str, Any]] = {"type": "string", "enum": list(get_args(SchedulerName))}

    name: SchedulerName = "wlc"
    flags: tuple[SchedulerFlag, ...] = ()

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`wrr`."""
        return {"name": value}


class Persistence(ShortForm):
    """`10m`, or `{keeps: 10m, prefix: 24, prefix6: 64}`: clients of one network stay with one real server."""

    keeps: PositiveDuration
    prefix: Annotated[int, Field(ge=1, le=32, strict=True)] = 32
    prefix6: Annotated[int, Field(ge=1, le=128, strict=True)] = 128

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`10m`."""
        return {"keeps": value}


class Tunnel(ShortForm):
    """How packets are wrapped on their way to a real server: `ipip`, `gre`, or `{kind: gue, port: 6080}`."""

    kind: Literal["ipip", "gre", "gue"] = "ipip"
    port: Port | None = Field(None, description="UDP port of gue")
    checksum: bool = False

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`ipip`."""
        return {"kind": value}


class Quorum(ShortForm):
    """`2`: the virtual server is in service while servers of this total weight are up."""

    weight: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = 1
    hysteresis: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] = 0
    gained: PolicyName | None = None
    lost: PolicyName | None = None

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`2`."""
        return {"weight": value}


class Sorry(ShortForm):
    """`web03:8080`: who answers when the quorum is lost."""

    host: str
    port: Port
    forward: ForwardingMethod | None = None

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`web03:8080`."""
        host, port = split_host_port(value)
        return {"host": host, "port": port}


class VirtualServer(Frozen):
    """One service at layer 4: what is taken, how it is forwarded, and to whom."""

    on: tuple[ListenOn | PortRange, ...] = Field((), description="GROUP:PORT, GROUP.ADDRESS:PORT, ranges of ports")
    mark: Mark | None = Field(None, description="instead of `on`: what the operator's own firewall rules have marked")
    group: Name | None = Field(None, description="with `mark`: the VRRP group whose members are the directors")
    protocol: Protocol = "tcp"
    forward: ForwardingMethod
    tunnel: Tunnel = Tunnel()
    scheduler: Scheduler = Scheduler()
    persistence: Persistence | None = None
    one_packet: bool = False
    servers: Annotated[tuple[Server, ...], Field(min_length=1, max_length=2000)]
    check: Check | None = None
    sorry: Sorry | None = None
    quorum: Quorum = Quorum()
    starts: Literal["up", "down"] = Field("up", description="`down`: no server gets traffic before its check succeeded")
    failed: Literal["removed", "weightless"] = Field(
        "removed", description="`weightless`: a failed server keeps its connections and gets no new ones"
    )
    hooks_up: PolicyName | None = None
    hooks_down: PolicyName | None = None


class ConnectionSync(Frozen):
    """What the directors tell each other of their connections, so that these survive a failover."""

    interface: InterfaceName | None = None
    network: Name | None = None
    id: Annotated[int, Field(ge=1, le=255, strict=True)] | None = None


class Directors(Frozen):
    """Settings of all directors of the cluster."""

    sync: ConnectionSync | Literal[False] = ConnectionSync()
    sessions_of_drained: Literal["end", "stay"] = Field(
        "end", description="persistent sessions of a drained server: sent elsewhere, or kept until they expire"
    )
