"""Servers: a node or an address with a port, behind a proxy or behind a director."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from holdfast.sentences import Sentence

from .values import ShortForm, Text, WrongError, as_address, join_host_port, shown, split_host_port


class ServerAddress(ShortForm):
    """`web01:80`, or `{address: 'web01:80', …}`: a node's name or an address, and a port."""

    short_schema: ClassVar[dict[str, Any]] = {"type": "string", "examples": ["web01:80", "[fd00::1]:80"]}

    host: Text
    port: Annotated[int, Field(ge=0, le=65535, strict=True)] = 0  # 0: none was written

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
        value = value if isinstance(value, dict | BaseModel) else cls.from_short(value)
        if isinstance(value, dict) and "address" in value:
            rest = {key: item for key, item in value.items() if key != "address"}
            if not isinstance(value["address"], str):
                raise WrongError(
                    Sentence("%(value)s is not NODE:PORT or IP:PORT", value=shown(value["address"])),
                    Sentence("write it as web01:80"),
                    at=("address",),
                )
            host, port = _split_at_address(value["address"])
            return {"host": host, "port": port, **rest}
        if isinstance(value, dict) and "host" not in value:
            raise WrongError(
                Sentence("a server has no address"), Sentence("add `address: NODE:PORT`, such as web01:80")
            )
        return value

    @property
    def written(self) -> str:
        """The server as a spec names it: `web01:80`, without a port where it has none."""
        return join_host_port(self.host, self.port) if self.port else self.host


class Server(ServerAddress):
    """One server of a pool or a virtual server, and what it can bear."""

    weight: Annotated[int, Field(ge=1, le=65535, strict=True)] = 1
    max_connections: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] | None = None
    resume_below: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] | None = Field(
        None, description="after `max_connections`: new connections again only below this number (virtual servers)"
    )
    backup: bool = Field(False, description="gets traffic only when no other server is up (pools)")


def _split_at_address(text: str) -> tuple[str, int]:
    """Host and port, 0 without one: the servers of a virtual server may keep the port that the client asked for."""
    if text.startswith("[") and text.endswith("]") and isinstance(address := as_address(text[1:-1]), IPv6Address):
        return str(address), 0
    if ":" not in text:
        return text, 0
    try:
        return split_host_port(text)
    except WrongError as wrong:
        raise WrongError(wrong.message, wrong.hint, at=("address",)) from None


def need_port(server: ServerAddress, at: tuple[str | int, ...]) -> None:
    """Raise WrongError for a server that was written without its port; `at` is its place below the model."""
    if not server.port:
        name = f"'[{server.host}]'" if ":" in server.host else f"'{server.host}'"
        raise WrongError(
            Sentence("%(name)s has no port", name=name),
            Sentence("write it as web01:80, or [fd00::1]:80 for IPv6"),
            at=(*at, "address"),
        )
