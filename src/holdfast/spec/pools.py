"""Pools: the servers behind a proxy."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from .checks import Check
from .values import (
    Count,
    Frozen,
    Port,
    PositiveDuration,
    ShortForm,
    Text,
    WrongError,
    join_host_port,
    shown,
    split_host_port,
)

RetryCondition = Literal[
    "error", "timeout", "http_403", "http_404", "http_429", "http_500", "http_502", "http_503", "http_504"
]
Balance = Literal["round_robin", "least_connections", "source"]


class Server(ShortForm):
    """One server of a pool or a virtual server: a node's name or an address, and a port."""

    short_schema: ClassVar[dict[str, Any]] = {"type": "string", "examples": ["web01:80", "[fd00::1]:80"]}

    host: Text
    port: Port
    weight: Annotated[int, Field(ge=1, le=256, strict=True)] = 1
    max_connections: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] | None = None
    backup: bool = Field(False, description="gets traffic only when no other server is up")

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`web01:80`."""
        return {"address": value}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        short, long = super().__get_pydantic_json_schema__(core, handler)["anyOf"]
        parts = {name: part for name, part in long["properties"].items() if name not in ("host", "port")}
        return {"anyOf": [short, {**long, "properties": {"address": short, **parts}, "required": ["address"]}]}

    @model_validator(mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        value = value if isinstance(value, dict | Server) else cls.from_short(value)
        if isinstance(value, dict) and "address" in value:
            rest = {key: item for key, item in value.items() if key != "address"}
            if not isinstance(value["address"], str):
                raise WrongError(
                    f"{shown(value['address'])} is not NODE:PORT or IP:PORT", "write it as web01:80", at=("address",)
                )
            host, port = _split_at_address(value["address"])
            return {"host": host, "port": port, **rest}
        if isinstance(value, dict) and not {"host", "port"} <= value.keys():
            raise WrongError("a server has no address", "add `address: NODE:PORT`, such as web01:80")
        return value


def _split_at_address(text: str) -> tuple[str, int]:
    try:
        return split_host_port(text)
    except WrongError as wrong:
        raise WrongError(str(wrong), wrong.hint, at=("address",)) from None


class Pool(Frozen):
    """Servers that answer the same requests, how they are chosen, checked and tried again.

    `retry_on` holds for idempotent methods only (RFC 9110, 9.2.2): POST, PATCH and LOCK are never sent twice.
    """

    servers: Annotated[tuple[Server, ...], Field(min_length=1, max_length=2000)]
    balance: Balance = "round_robin"
    check: Check | None = None
    retry_on: Annotated[tuple[RetryCondition, ...], Field(max_length=9)] = ("error", "timeout")
    tries: Count = Field(3, description="servers that one request is sent to, at most")
    min_servers: Count = Field(1, description="Holdfast never removes servers below this number")
    connect_timeout: PositiveDuration = 3000
    response_timeout: PositiveDuration = 60_000

    @field_validator("servers", mode="after")
    @classmethod
    def _no_server_twice(cls, servers: tuple[Server, ...]) -> tuple[Server, ...]:
        seen: set[tuple[str, int]] = set()
        for place, server in enumerate(servers):
            if (server.host, server.port) in seen:
                name = join_host_port(server.host, server.port)
                raise WrongError(f"{name} is in the pool twice", "remove one, or give it a `weight`", at=(place,))
            seen.add((server.host, server.port))
        if all(server.backup for server in servers):
            raise WrongError("every server is a backup", "at least one has to be without `backup: true`")
        return servers

    @model_validator(mode="after")
    def _enough(self) -> Pool:
        if self.min_servers > len(self.servers):
            message = f"`min_servers: {self.min_servers}` is more than the pool has servers ({len(self.servers)})"
            raise WrongError(message, f"write {len(self.servers)} or less", at=("min_servers",))
        return self
