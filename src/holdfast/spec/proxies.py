"""Proxies: which engine serves which sites on which addresses."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator

from holdfast.sentences import Sentence

from .checks import HttpTarget
from .values import (
    Frozen,
    Name,
    PositiveDuration,
    ShortForm,
    WrongError,
    as_address,
    join_host_port,
    shown,
    split_host_port,
)

Engine = Literal["nginx", "haproxy"]


class ListenOn(ShortForm):
    """Where a listener listens: `GROUP:80`, `GROUP.ADDRESS:80`, or an IP address of the nodes."""

    short_schema: ClassVar[dict[str, Any]] = {"type": "string", "examples": ["www:80", "gate.vip:80"]}

    target: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    port: Annotated[int, Field(ge=1, le=65535, strict=True)]

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """Split TARGET:PORT."""
        if not isinstance(value, str):
            raise WrongError(
                Sentence("%(value)s is not GROUP:PORT", value=shown(value)), Sentence("write it as 'www:80'")
            )
        target, port = split_host_port(value, "'www:80'")
        return {"target": target, "port": port}

    @property
    def group(self) -> str | None:
        """The VRRP group meant, or None for a literal address."""
        return None if as_address(self.target) else self.target.partition(".")[0]

    @property
    def address_name(self) -> str | None:
        """The name of one address of the group, or None for all of them."""
        return None if as_address(self.target) else self.target.partition(".")[2] or None


class Listener(Frozen):
    """A socket that clients reach, and the sites behind it."""

    on: ListenOn
    sites: Annotated[tuple[Name, ...], Field(min_length=1, max_length=500)]
    tls: bool = False


SIZE_PATTERN = r"^[1-9][0-9]{0,8}[km]?$"


def _bytes(value: object) -> object:
    """A bare number is a number of bytes."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Proxy(Frozen):
    """One tier of nginx or HAProxy on some nodes. Changing `engine` changes no meaning."""

    engine: Engine
    nodes: Annotated[tuple[Name, ...], Field(min_length=1, max_length=200)]
    listeners: Annotated[tuple[Listener, ...], Field(min_length=1, max_length=500)]
    forwarded: Literal["replace", "append", "keep"] = Field(
        "replace",
        description="X-Forwarded-For and X-Forwarded-Proto: `replace` trusts nobody, `append` trusts what is in front",
    )
    health: HttpTarget | Literal[False] = Field(
        HttpTarget(address="127.0.0.1", port=8080, path="/healthz"),
        description="where the proxy itself answers 200 while it runs, for `keeps_while: - http: …`; false for nowhere",
    )
    client_timeout: PositiveDuration = 60_000
    idle_timeout: PositiveDuration = 75_000
    max_body: Annotated[str, BeforeValidator(_bytes), StringConstraints(pattern=SIZE_PATTERN)] | None = Field(
        None, description="largest request body, such as 10m; no limit if left out"
    )

    @field_validator("nodes", mode="after")
    @classmethod
    def _nodes_once(cls, nodes: tuple[str, ...]) -> tuple[str, ...]:
        for place, node in enumerate(nodes):
            if node in nodes[:place]:
                raise WrongError(
                    Sentence("'%(node)s' is named twice", node=node), Sentence("remove one of the two"), at=(place,)
                )
        return nodes

    @model_validator(mode="after")
    def _listeners_once(self) -> Proxy:
        seen: set[tuple[str, int]] = set()
        for place, listener in enumerate(self.listeners):
            socket = (listener.on.target, listener.on.port)
            if socket in seen:
                hint = Sentence("name all its sites in one listener")
                raise WrongError(
                    Sentence("%(socket)s is listened on twice", socket=join_host_port(*socket)),
                    hint,
                    at=("listeners", place, "on"),
                )
            seen.add(socket)
        return self
