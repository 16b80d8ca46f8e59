"""Health checks: one dialect for what a VRRP group needs and for what a pool's servers are asked."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator

from .values import (
    Count,
    Duration,
    Frozen,
    InterfaceName,
    PolicyName,
    Port,
    ShortForm,
    Text,
    as_address,
    split_host_port,
)

UrlPath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,500}$")]
OnLoss = Literal["release", "yield"]


class Timing(Frozen):
    """How often and how stubbornly something is asked."""

    every: Duration = 1000
    timeout: Duration = 1000
    fall: Count = 2
    rise: Count = 2


class Check(Timing):
    """A check of a pool's servers: exactly one of `http` (a path) and `tcp: true`."""

    every: Duration = 2000
    fall: Count = 3
    http: UrlPath | None = None
    tcp: Literal[True] | None = None
    port: Port | None = Field(None, description="asked on this port instead of the server's own")
    host: Text | None = Field(None, description="Host header of the question; the server's address if left out")
    expect: Annotated[tuple[int, ...], Field(max_length=20)] = Field(
        (), description="status codes that count as good; 200 to 399 if left out"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Check:
        if (self.http is None) == (self.tcp is None):
            raise ValueError("a check is one of `http: /path` or `tcp: true`")
        if self.tcp and (self.host or self.expect):
            raise ValueError("`host` and `expect` belong to an http check")
        if any(not 100 <= code <= 599 for code in self.expect):
            raise ValueError("`expect` lists HTTP status codes, 100 to 599")
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
            raise ValueError("write it as ADDRESS:PORT/PATH, such as 127.0.0.1:8080/healthz")
        authority, slash, path = re.sub(r"^http://", "", value).partition("/")
        host, port = split_host_port(authority)
        return {"address": host, "port": port, "path": slash + path or "/"}

    @model_validator(mode="after")
    def _an_address(self) -> HttpTarget:
        if as_address(self.address) is None:
            raise ValueError(f"'{self.address}' is not an IP address: name resolution may not decide a failover")
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
            raise ValueError(f"exactly one of {', '.join(TRACKED)} is needed, here {' and '.join(given) or 'none'}")
        if self.weight is not None and "on_loss" in self.model_fields_set:
            raise ValueError("say either `on_loss` or `weight`, not both")
        if self.weight == 0:
            raise ValueError("`weight: 0` would change nothing; say `on_loss: release` or `on_loss: yield`")
        if self.kind in ("http", "script") and self.every % 1000:
            raise ValueError("`every` takes whole seconds here: keepalived refuses fractions for scripts")
        if self.kind in ("process", "file", "interface") and self.model_fields_set & {"timeout", "fall", "rise"}:
            raise ValueError(f"a {self.kind} is watched, not asked: `timeout`, `fall` and `rise` do not apply")
        return self

    @property
    def kind(self) -> str:
        """Which of the five it is."""
        return next(kind for kind in TRACKED if getattr(self, kind) is not None)
