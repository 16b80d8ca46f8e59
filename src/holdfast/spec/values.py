"""The small values of a spec: durations, names, ports, addresses with a port, and models with a short form."""

from __future__ import annotations

import re
from abc import abstractmethod
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
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

from holdfast.sentences import Sentence

_DURATION = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,3}))?(ms|s|m|h)")
_MILLISECONDS_PER = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
LONGEST = 24 * 3_600_000  # the engines count in 31 bits of milliseconds (24 days); nobody means to wait that long


class WrongError(ValueError):
    """What a validator refuses: `hint` says what would be right, `at` which place below the model is meant."""

    def __init__(self, message: Sentence, hint: Sentence | Literal[""] = "", *, at: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.at = at


def parse_duration(value: object) -> int:
    """Milliseconds of a duration such as `100ms`, `2s`, `10m` or `1h`, at most 24h; WrongError says what is right."""
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        unit = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
        hint = (
            Sentence("add a unit: %(value)sms, or %(value)ss", value=value)
            if unit
            else Sentence("write a number with its unit, such as 100ms, 2s or 10m")
        )
        raise WrongError(Sentence("%(value)s is not a duration", value=shown(value)), hint)
    thousandths = int(found[1]) * 1000 + int((found[2] or "").ljust(3, "0"))
    milliseconds, rest = divmod(thousandths * _MILLISECONDS_PER[found[3]], 1000)
    if rest:
        raise WrongError(
            Sentence("%(value)s is finer than a millisecond", value=shown(value)),
            Sentence("write whole milliseconds, such as 100ms"),
        )
    if milliseconds > LONGEST:
        raise WrongError(Sentence("%(value)s is longer than a day", value=shown(value)), Sentence("write 24h or less"))
    return milliseconds


def _not_zero(milliseconds: int) -> int:
    if milliseconds == 0:
        raise WrongError(Sentence("this time cannot be zero"), Sentence("write 1ms or more"))
    return milliseconds


def shown(value: object) -> str:
    """A value as a message quotes it: short, on one line, without control characters."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) < 80 else f"{text[:76]}…"


def format_duration(milliseconds: int) -> str:
    """The shortest writing of a duration: 100 → `100ms`, 2000 → `2s`."""
    for unit in ("h", "m", "s"):
        if milliseconds and milliseconds % _MILLISECONDS_PER[unit] == 0:
            return f"{milliseconds // _MILLISECONDS_PER[unit]}{unit}"
    return f"{milliseconds}ms"


_DURATION_SCHEMA = WithJsonSchema(
    {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h)$", "examples": ["100ms", "2s"]}
)
Duration = Annotated[int, BeforeValidator(parse_duration), _DURATION_SCHEMA]
PositiveDuration = Annotated[int, AfterValidator(_not_zero), BeforeValidator(parse_duration), _DURATION_SCHEMA]

NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
InterfaceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$")]
PolicyName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
Count = Annotated[int, Field(ge=1, le=1000, strict=True)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*$")]

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def parse_address(value: object) -> Address:
    """An IP address without a prefix; a bare number, which `ipaddress` would take, is none."""
    if isinstance(value, IPv4Address | IPv6Address):
        return value
    address = as_address(value) if isinstance(value, str) else None
    if address is not None:
        return address
    bare = value.partition("/")[0] if isinstance(value, str) else ""
    raise WrongError(
        Sentence("%(value)s is not an IP address", value=shown(value)),
        Sentence("write it without the prefix: %(bare)s", bare=bare)
        if as_address(bare)
        else Sentence("write one such as 10.0.0.5 or fd00::5"),
    )


def parse_network(value: object) -> Network:
    """A network such as `10.0.0.0/24`, a single address included; WrongError says what is right."""
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str) or "%" in value:
        raise WrongError(
            Sentence("%(value)s is not a network", value=shown(value)),
            Sentence("write one such as 10.0.0.0/24 or fd00::/64"),
        )
    try:
        return ip_network(value)
    except ValueError:
        pass
    try:
        meant = ip_network(value, strict=False)
    except ValueError:
        hint = Sentence("write one such as 10.0.0.0/24 or fd00::/64")
        raise WrongError(Sentence("%(value)s is not a network", value=shown(value)), hint) from None
    raise WrongError(
        Sentence("%(value)s is an address inside a network", value=shown(value)),
        Sentence("did you mean %(meant)s?", meant=meant),
    )


AddressText = Annotated[
    Address, BeforeValidator(parse_address), WithJsonSchema({"type": "string", "examples": ["10.0.0.5", "fd00::5"]})
]
NetworkText = Annotated[
    Network, BeforeValidator(parse_network), WithJsonSchema({"type": "string", "examples": ["10.0.0.0/24"]})
]


class Frozen(BaseModel):
    """Base of every model of a spec: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class ShortForm(Frozen):
    """A model that may also be written as one scalar or list; `from_short` turns that into the long form."""

    short_schema: ClassVar[dict[str, Any]] = {"type": "string"}

    @classmethod
    @abstractmethod
    def from_short(cls, value: Any) -> Any:
        """The long form of `value`, or `value` itself where it is none of the short forms."""

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        return value if isinstance(value, dict | BaseModel) else cls.from_short(value)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [cls.short_schema, handler.resolve_ref_schema(handler(core))]}


def split_host_port(text: str, example: str = "web01:80") -> tuple[str, int]:
    """`web01:80`, `10.0.0.1:80` or `[fd00::1]:80` as (host, port); WrongError says what is right."""
    hint = Sentence("write it as %(example)s, or [fd00::1]:80 for IPv6", example=example)
    if as_address(text) is not None and ":" in text:
        raise WrongError(Sentence("'%(text)s' has no port, or an IPv6 address without its brackets", text=text), hint)
    host, colon, port = text.rpartition(":")
    if not colon or not host or text.endswith("]"):
        if colon and not host:
            raise WrongError(Sentence("'%(text)s' has no host", text=text), hint)
        raise WrongError(Sentence("'%(text)s' has no port", text=text), hint)
    if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise WrongError(
            Sentence("'%(port)s' is not a port", port=port), Sentence("a port is a number from 1 to 65535")
        )
    if host.startswith("[") and host.endswith("]"):
        address = as_address(host[1:-1])
        if not isinstance(address, IPv6Address):
            raise WrongError(Sentence("'%(host)s' is not an IPv6 address in brackets", host=host), hint)
        return str(address), int(port)
    if ":" in host:
        raise WrongError(
            Sentence("'%(text)s' has an IPv6 address without its brackets", text=text),
            Sentence("write it as [%(host)s]:%(port)s", host=host, port=port),
        )
    return host, int(port)


@lru_cache(maxsize=100_000)  # a spec of 4,000 virtual servers has 40,000 addresses, and each is asked for often
def as_address(text: str) -> Address | None:
    """The IP address that `text` is, or None. One with a zone (`fe80::1%eth0`) means nothing on another node."""
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


def join_host_port(host: str, port: int) -> str:
    """`host:port`, IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
