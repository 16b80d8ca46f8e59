"""Health checks: one dialect for what a VRRP group needs and for what a pool's servers are asked."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator

from .values import (
    Count,
    Frozen,
    InterfaceName,
    PolicyName,
    Port,
    PositiveDuration,
    ShortForm,
    Text,
    WrongError,
    as_address,
    shown,
    split_host_port,
)

# Without "$", "!" and quotes, which mean something of their own in the engines' files; %24, %21, %27 say the same.
UrlPath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._~&()*+,;=:@%/?-]{0,500}$")]
StatusCode = Annotated[int, Field(ge=100, le=599, strict=True)]
OnLoss = Literal["release", "yield"]


class Timing(Frozen):
    """How often and how stubbornly something is asked."""

    every: PositiveDuration = 1000
    timeout: PositiveDuration = 1000
    fall: Count = 2
    rise: Count = 2


class Check(Timing):
    """A check of a pool's servers: exactly one of `http` (a path) and `tcp: true`."""

    every: PositiveDuration = 2000
    fall: Count = 3
    http: UrlPath | None = None
    tcp: Literal[True] | None = None
    port: Port | None = Field(None, description="asked on this port instead of the server's own")
    host: Text | None = Field(None, description="Host header of the question; the server's address if left out")
    expect: Annotated[tuple[StatusCode, ...], Field(max_length=20)] = Field(
        (), description="status codes that count as good; 200 to 399 if left out"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Check:
        if (self.http is None) == (self.tcp is None):
            given = "both" if self.tcp else "none"
            raise WrongError(f"a check is either `http` or `tcp`, here {given}", "write `http: /path`, or `tcp: true`")
        if self.tcp and (self.host or self.expect):
            field = "expect" if self.expect else "host"
            raise WrongError(
                f"`{field}` belongs to an http check", f"remove `{field}`, or ask `http: /path`", at=(field,)
            )
        return self


class HttpTarget(ShortForm):
    """`127.0.0.1:8080/healthz`: an address of the node itself, a port and a path."""

    short_schema: ClassVar[dict[str, Any]] = {"type": "string", "examples": ["127.0.0.1:8080/healthz"]}

    address: Text
    port: Port
    path: UrlPath = "/"

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """Split ADDRESS:PORT/PATH."""
        if not isinstance(value, str):
            raise WrongError(f"{shown(value)} is not ADDRESS:PORT/PATH", "write it as 127.0.0.1:8080/healthz")
        authority, slash, path = re.sub(r"^http://", "", value).partition("/")
        host, port = split_host_port(authority, "127.0.0.1:8080/healthz")
        return {"address": host, "port": port, "path": slash + path or "/"}

    @model_validator(mode="after")
    def _an_address(self) -> HttpTarget:
        if as_address(self.address) is None:
            hint = "write the address, such as 127.0.0.1: name resolution may not decide a failover"
            raise WrongError(f"'{self.address}' is not an IP address", hint, at=("address",))
        return self


TRACKED = ("process", "http", "script", "file", "interface")


class Tracker(Timing):
    """What a holder must have, and what losing it means.

    Exactly one of `process` (the name of a running program), `http`, `script` (a name out of the node's policy), `file`
    (a keepalived track file of the node's, fed by the operator) and `interface`.

    `on_loss: release` gives the addresses up; `yield` ranks the node below any healthy peer, but it
    holds on if there is none. `weight` states a number instead; it is proved to fail over, or refused.
    """

    process: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$")] | None = None
    http: HttpTarget | None = None
    script: PolicyName | None = None
    file: PolicyName | None = None
    interface: InterfaceName | None = None
    on_loss: OnLoss = "release"
    weight: Annotated[int, Field(ge=-253, le=253, strict=True)] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Tracker:
        given = [kind for kind in TRACKED if getattr(self, kind) is not None]
        if len(given) != 1:
            hint = f"write exactly one of {', '.join(TRACKED)}; for a second, begin a new entry with '- '"
            raise WrongError(f"{' and '.join(given) or 'nothing'} to watch in one entry", hint)
        if self.weight is not None and "on_loss" in self.model_fields_set:
            raise WrongError("`on_loss` and `weight` say the same in two ways", "remove `weight`", at=("weight",))
        if self.weight == 0:
            raise WrongError(
                "`weight: 0` would change nothing", "say `on_loss: release` or `on_loss: yield`", at=("weight",)
            )
        if self.kind in ("http", "script") and self.every % 1000:
            hint = "write whole seconds, such as 1s"
            raise WrongError("keepalived asks once in so many whole seconds", hint, at=("every",))
        if self.kind in ("process", "file", "interface"):
            for field in [name for name in ("every", "timeout", "fall", "rise") if name in self.model_fields_set]:
                hint = f"remove `{field}`, or watch with `http` or `script`"
                raise WrongError(f"a {self.kind} is watched, not asked: `{field}` does not apply", hint, at=(field,))
        return self

    @property
    def kind(self) -> str:
        """Which of the five it is."""
        return next(kind for kind in TRACKED if getattr(self, kind) is not None)
