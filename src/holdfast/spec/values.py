"""The small values of a spec: durations, names, ports, addresses with a port, and models with a short form."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

_DURATION = re.compile(r"^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$")
_MILLISECONDS_PER = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


def parse_duration(value: object) -> int:
    """Milliseconds of a duration such as `100ms`, `2s`, `10m` or `1h`; ValueError says what is right."""
    if isinstance(value, str) and (found := _DURATION.match(value.strip())):
        milliseconds = float(found[1]) * _MILLISECONDS_PER[found[2]]
        if milliseconds == int(milliseconds):
            return int(milliseconds)
    raise ValueError("a duration is a number with a unit, such as 100ms, 2s, 10m or 1h")


def format_duration(milliseconds: int) -> str:
    """The shortest writing of a duration: 100 → `100ms`, 2000 → `2s`."""
    for unit in ("h", "m", "s"):
        if milliseconds and milliseconds % _MILLISECONDS_PER[unit] == 0:
            return f"{milliseconds // _MILLISECONDS_PER[unit]}{unit}"
    return f"{milliseconds}ms"


Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?(ms|s|m|h)$", "examples": ["100ms", "2s"]}),
]

NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
InterfaceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$")]
PolicyName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
Count = Annotated[int, Field(ge=1, le=1000, strict=True)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*$")]

Address = IPv4Address | IPv6Address


class Frozen(BaseModel):
    """Base of every model of a spec: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class ShortForm(Frozen):
    """A model that may also be written as one scalar or list; `from_short` turns that into the long form."""

    short_schema: ClassVar[dict[str, Any]] = {"type": "string"}

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """The long form of `value`, or `value` itself where it is none of the short forms."""
        raise NotImplementedError

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        return value if isinstance(value, dict | BaseModel) else cls.from_short(value)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [cls.short_schema, handler.resolve_ref_schema(handler(core))]}


def split_host_port(text: str) -> tuple[str, int]:
    """`web01:80`, `10.0.0.1:80` or `[fd00::1]:80` as (host, port); ValueError says what is right."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError(f"'{text}' needs a port at its end, such as web01:80 or [fd00::1]:80")
    if host.startswith("[") and host.endswith("]"):
        return str(IPv6Address(host[1:-1])), int(port)
    if ":" in host or not host:
        raise ValueError(f"'{text}': write an IPv6 address in brackets, such as [fd00::1]:80")
    return host, int(port)


def as_address(text: str) -> Address | None:
    """The IP address that `text` is, or None."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def join_host_port(host: str, port: int) -> str:
    """`host:port`, IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
