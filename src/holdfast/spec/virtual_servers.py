"""Virtual servers: what the directors take at layer 4, and the real servers behind it."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator

from holdfast.sentences import Sentence

from .checks import Check
from .servers import Server, ServerAddress
from .values import (
    Frozen,
    InterfaceName,
    Name,
    PolicyName,
    Port,
    PositiveDuration,
    ShortForm,
    WrongError,
    as_address,
    shown,
    split_host_port,
)

Protocol = Literal["tcp", "udp", "sctp"]
ForwardingMethod = Literal["nat", "dr", "tun"]
SchedulerName = Literal["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh"]
SchedulerFlag = Literal["port", "fallback"]
Mark = Annotated[int, Field(ge=1, le=0x7FFFFFFF, strict=True)]


class TakenPorts(ShortForm):
    """What a virtual server takes: `GROUP:80`, `GROUP.ADDRESS:80`, `GROUP:8000-8100`, or a floating address itself."""

    short_schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "pattern": "^.{1,100}:[0-9]{1,5}(-[0-9]{1,5})?$",
        "examples": ["www:80", "gate.vip:80", "www:8000-8100"],
    }

    target: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    first: Port
    last: Port

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """Split TARGET:PORT and TARGET:FIRST-LAST."""
        if not isinstance(value, str):
            raise WrongError(
                Sentence("%(value)s is not GROUP:PORT", value=shown(value)),
                Sentence("write it as 'www:80' or 'www:8000-8100'"),
            )
        several = re.fullmatch(r"(.*:[0-9]{1,5})-([0-9]{1,5})", value)
        target, first = split_host_port(several[1] if several else value, "'www:80'")
        last = int(several[2]) if several else first
        if not 1 <= last <= 65535:
            raise WrongError(
                Sentence("'%(last)s' is not a port", last=last), Sentence("a port is a number from 1 to 65535")
            )
        if last < first:
            raise WrongError(
                Sentence("%(value)s ends before it begins", value=shown(value)),
                Sentence("write %(last)s-%(first)s", last=last, first=first),
            )
        return {"target": target, "first": first, "last": last}

    @property
    def group(self) -> str | None:
        """The VRRP group meant, or None for a literal address."""
        return None if as_address(self.target) else self.target.partition(".")[0]

    @property
    def address_name(self) -> str | None:
        """The name of one address of the group, or None for all of them."""
        return None if as_address(self.target) else self.target.partition(".")[2] or None

    @property
    def is_range(self) -> bool:
        """Whether it takes more than one port."""
        return self.first != self.last


class Scheduler(ShortForm):
    """`wrr`, or `{name: mh, flags: [fallback, port]}`; `sh` and `mh` alone know flags."""

    short_schema: ClassVar[dict[str, Any]] = {"type": "string", "enum": list(get_args(SchedulerName))}

    name: SchedulerName = "wlc"
    flags: Annotated[tuple[SchedulerFlag, ...], Field(max_length=2)] = ()

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

    @model_validator(mode="after")
    def _whole_seconds(self) -> Persistence:
        if self.keeps % 1000:
            raise WrongError(
                Sentence("the kernel counts persistence in whole seconds"), Sentence("write 1s or more"), at=("keeps",)
            )
        return self


class Tunnel(ShortForm):
    """How packets are wrapped on their way to a real server: `ipip`, `gre`, or `{kind: gue, port: 6080}`."""

    short_schema: ClassVar[dict[str, Any]] = {"type": "string", "enum": ["ipip", "gre"]}

    kind: Literal["ipip", "gre", "gue"] = "ipip"
    port: Port | None = Field(None, description="UDP port of gue")
    checksum: bool = False

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`ipip`."""
        return {"kind": value}

    @model_validator(mode="after")
    def _sound(self) -> Tunnel:
        if self.kind == "gue" and self.port is None:
            raise WrongError(
                Sentence("gue wraps packets into UDP, and needs a port"),
                Sentence("write `tunnel: {kind: gue, port: 6080}`"),
            )
        if self.kind != "gue" and self.port is not None:
            raise WrongError(
                Sentence("%(kind)s knows no port", kind=self.kind),
                Sentence("remove `port`, or write `kind: gue`"),
                at=("port",),
            )
        if self.kind == "ipip" and self.checksum:
            raise WrongError(
                Sentence("ipip knows no checksum"), Sentence("remove `checksum`, or take gre or gue"), at=("checksum",)
            )
        return self


class Quorum(ShortForm):
    """`2`: the virtual server is in service while servers of this total weight are up."""

    short_schema: ClassVar[dict[str, Any]] = {"type": "integer", "minimum": 1, "maximum": 1_000_000}

    weight: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = 1
    hysteresis: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] = 0
    gained: PolicyName | None = None
    lost: PolicyName | None = None

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`2`."""
        return {"weight": value}


class Sorry(ServerAddress):
    """`web03:8080`: who answers when the quorum is lost; forwarded like the others unless `forward` says otherwise."""

    forward: ForwardingMethod | None = None


class ServerHooks(Frozen):
    """What the directors run when a server's check changes its mind: names out of their own policy."""

    up: PolicyName | None = None
    down: PolicyName | None = None


def _one_or_more(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


class VirtualServer(Frozen):
    """One service at layer 4: what is taken, how it is forwarded, and to whom.

    Its directors are the members of the VRRP group that `on` names. A server without a port gets what the client asked.
    """

    on: Annotated[
        Annotated[tuple[TakenPorts, ...], Field(max_length=500)],
        BeforeValidator(_one_or_more, json_schema_input_type=TakenPorts | list[TakenPorts]),
    ] = Field((), description="GROUP:PORT, GROUP.ADDRESS:PORT, ranges of ports; one or a list")
    mark: Mark | None = Field(None, description="instead of `on`: what the operator's own firewall rules have marked")
    group: Name | None = Field(None, description="with `mark`: the VRRP group whose members are the directors")
    protocol: Protocol = "tcp"
    forward: ForwardingMethod
    tunnel: Tunnel = Tunnel()
    scheduler: Scheduler = Scheduler()
    persistence: Persistence | None = None
    one_packet: bool = Field(False, description="every packet is scheduled by itself; for udp")
    servers: Annotated[tuple[Server, ...], Field(min_length=1, max_length=2000)]
    check: Check | None = None
    sorry: Sorry | None = None
    quorum: Quorum = Quorum()
    starts: Literal["up", "down"] = Field("up", description="`down`: no server gets traffic before its check succeeded")
    failed: Literal["removed", "weightless"] = Field(
        "removed", description="`weightless`: a failed server keeps its connections and gets no new ones"
    )
    hooks: ServerHooks = ServerHooks()

    @field_validator("servers", mode="after")
    @classmethod
    def _servers_once(cls, servers: tuple[Server, ...]) -> tuple[Server, ...]:
        seen: set[tuple[str, int]] = set()
        for place, server in enumerate(servers):
            if (server.host, server.port) in seen:
                hint = Sentence("remove one, or give it a `weight`")
                raise WrongError(
                    Sentence("%(written)s is in the virtual server twice", written=server.written), hint, at=(place,)
                )
            seen.add((server.host, server.port))
        return servers

    @field_validator("check", mode="after")
    @classmethod
    def _keepalived_asks(cls, check: Check | None) -> Check | None:
        """What keepalived cannot do as it is asked, it would do otherwise, silently."""
        if check is None:
            return None
        if "rise" in check.model_fields_set and check.rise != 1:
            hint = Sentence("write `rise: 1`, or leave it out; a longer `every` asks for patience, too")
            raise WrongError(Sentence("the first good answer brings a server back"), hint, at=("rise",))
        if check.kind == "script" and check.timeout % 1000:
            raise WrongError(
                Sentence("a script's time is counted in whole seconds"), Sentence("write 1s or more"), at=("timeout",)
            )
        return check

    @model_validator(mode="after")
    def _on_or_mark(self) -> VirtualServer:
        if bool(self.on) == (self.mark is not None):
            given = "both" if self.on else "none"
            hint = Sentence("write `on: 'GROUP:80'`, or `mark:` for what your own firewall rules have marked")
            raise WrongError(Sentence("a virtual server has either `on` or `mark`, here %(given)s", given=given), hint)
        if self.group is not None and self.mark is None:
            raise WrongError(Sentence("`on` names the group already"), Sentence("remove `group`"), at=("group",))
        return self

    @property
    def marked(self) -> bool:
        """Whether one mark stands for all that it takes: for ranges, and where clients stay across several entries."""
        several = len(self.on) > 1 and self.persistence is not None
        return self.mark is not None or several or any(taken.is_range for taken in self.on)


# How often a director tells the others again of a connection that goes on (sync_refresh_period).
SYNC_ROUND_MS = 10_000


class ConnectionSync(Frozen):
    """What the directors tell each other of their connections, so that these survive a failover."""

    interface: InterfaceName | None = None
    network: Name | None = None
    id: Annotated[int, Field(ge=1, le=255, strict=True)] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> ConnectionSync:
        if self.interface and self.network:
            raise WrongError(
                Sentence("`interface` and `network` say the same in two ways"),
                Sentence("remove one of the two"),
                at=("interface",),
            )
        return self


class Directors(Frozen):
    """Settings of all directors of the cluster."""

    sync: ConnectionSync | Literal[False] = Field(
        ConnectionSync(), description="connections survive a failover; false: they end with their director"
    )
    sessions_of_drained: Literal["end", "stay"] = Field(
        "end", description="persistent sessions of a drained server: sent elsewhere, or kept until they expire"
    )
