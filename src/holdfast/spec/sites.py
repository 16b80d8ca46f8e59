"""Sites: hosts and the routes that their requests take. First match wins; both engines mean the same by it."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator

from .values import Frozen, Name, ShortForm


def _as_tuple(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


HostName = Annotated[
    str,
    StringConstraints(
        to_lower=True,
        max_length=253,
        pattern=r"^(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
    ),
]
# Header names with "_" are dropped by nginx and by many applications (CGI makes "-" and "_" the same): refused.
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}$")]
CookieName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$")]
Method = Annotated[str, StringConstraints(pattern=r"^[A-Z]{1,20}$")]
PathPrefix = Annotated[str, StringConstraints(pattern=r"^/[^\x00-\x20\x7f?#%\"'\\{};]{0,500}$")]
Literally = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f\"'\\]*$")]


def _check_regex(value: str) -> str:
    """Both engines use PCRE2; Python's own `re` finds the syntax errors that they share."""
    if any(ord(c) < 0x20 or c in "\"'\x7f" for c in value):
        raise ValueError("a regular expression may not contain quotes or control characters")
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return value


Regex = Annotated[str, StringConstraints(min_length=1, max_length=500), BeforeValidator(lambda v: v)]


class ValueMatch(ShortForm):
    """What a header or cookie must hold; the short form is the exact value. Values are compared with case."""

    short_schema: ClassVar[dict[str, Any]] = {"type": "string"}

    equals: Literally | None = None
    contains: Literally | None = None
    regex: Regex | None = None
    present: bool | None = None

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """The exact value."""
        return {"equals": value}

    @field_validator("regex", mode="after")
    @classmethod
    def _regex(cls, value: str | None) -> str | None:
        return None if value is None else _check_regex(value)

    @model_validator(mode="after")
    def _exactly_one(self) -> ValueMatch:
        if sum(v is not None for v in (self.equals, self.contains, self.regex, self.present)) != 1:
            raise ValueError("exactly one of `equals`, `contains`, `regex` and `present` is needed")
        return self


class Sticky(ShortForm):
    """What keeps a client where it was: `source` (its address) or a cookie."""

    short_schema: ClassVar[dict[str, Any]] = {"const": "source"}

    source: Literal[True] | None = None
    cookie: CookieName | None = None
    keeps: tuple[Literal["variant", "server"], ...] = ("variant", "server")

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`source`."""
        if value != "source":
            raise ValueError("write `sticky: source` or `sticky: {cookie: NAME}`")
        return {"source": True}

    @model_validator(mode="after")
    def _exactly_one(self) -> Sticky:
        if (self.source is None) == (self.cookie is None):
            raise ValueError("sticky is either `source` or `{cookie: NAME}`")
        if not self.keeps or len(set(self.keeps)) != len(self.keeps):
            raise ValueError("`keeps` is [variant], or [variant, server]")
        return self


class Redirect(ShortForm):
    """Send the client elsewhere. `{host}` and `{uri}` (path and query as sent) may stand in `to`."""

    short_schema: ClassVar[dict[str, Any]] = {"type": "string", "examples": ["https://{host}{uri}"]}

    to: Annotated[str, StringConstraints(pattern=r"^(https?://|/)[A-Za-z0-9._~:/?&=+@{}%-]{0,500}$")]
    status: Literal[301, 302, 303, 307, 308] = 302

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """The target alone."""
        return {"to": value}

    @field_validator("to", mode="after")
    @classmethod
    def _placeholders(cls, value: str) -> str:
        if set(re.findall(r"\{[^}]*\}?|\}", value)) - {"{host}", "{uri}"}:
            raise ValueError("only {host} and {uri} may stand in braces")
        return value


class Respond(ShortForm):
    """Answer at once, without a server."""

    short_schema: ClassVar[dict[str, Any]] = {"type": "integer"}

    status: Annotated[int, Field(ge=200, le=599, strict=True)]
    body: Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00-\x1f\x7f\"'\\$%]*$")] = ""

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """The status alone."""
        return {"status": value}


class Match(Frozen):
    """Conditions of a route; all that are given must hold."""

    path: PathPrefix | None = Field(None, description="whole segments, after decoding and normalising")
    path_regex: Regex | None = Field(None, description="on the decoded, normalised path; anchor it with ^ and $")
    user_agent: Annotated[tuple[Literally, ...], BeforeValidator(_as_tuple)] = ()
    header: dict[HeaderName, ValueMatch] = {}
    cookie: dict[CookieName, ValueMatch] = {}
    method: Annotated[tuple[Method, ...], BeforeValidator(_as_tuple)] = ()
    source: Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_as_tuple)] = ()

    @field_validator("path", mode="after")
    @classmethod
    def _normal(cls, value: str | None) -> str | None:
        if value is not None and ("//" in value or any(part in (".", "..") for part in value.split("/"))):
            raise ValueError("a path is written as it is matched: without //, /./ and /../")
        return value

    @field_validator("path_regex", mode="after")
    @classmethod
    def _regex(cls, value: str | None) -> str | None:
        return None if value is None else _check_regex(value)

    @property
    def is_everything(self) -> bool:
        """Whether every request matches."""
        return self.path in (None, "/") and not (
            self.path_regex or self.user_agent or self.header or self.cookie or self.method or self.source
        )


Percent = Annotated[int, Field(ge=0, le=100, strict=True)]


class Route(Match):
    """Conditions, and one of `to` (a pool, or pools with percentages), `redirect` and `respond`."""

    to: Name | dict[Name, Percent] | None = None
    sticky: Sticky | None = None
    redirect: Redirect | None = None
    respond: Respond | None = None

    @model_validator(mode="after")
    def _one_action(self) -> Route:
        if sum(action is not None for action in (self.to, self.redirect, self.respond)) != 1:
            raise ValueError("a route says exactly one of `to`, `redirect` and `respond`")
        if isinstance(self.to, dict) and sum(self.to.values()) != 100:
            raise ValueError(f"the percentages add up to {sum(self.to.values())}, not to 100")
        if self.sticky and self.to is None:
            raise ValueError("`sticky` belongs to a route with `to`")
        if self.sticky and isinstance(self.to, dict) and "variant" not in self.sticky.keeps:
            raise ValueError("a server can't be kept where the variant is drawn anew: keep [variant, server]")
        return self

    @property
    def split(self) -> dict[str, int]:
        """Pools and their share in percent; empty for a redirect or an answer."""
        if self.to is None:
            return {}
        return {self.to: 100} if isinstance(self.to, str) else dict(self.to)


class Site(Frozen):
    """What is served under some host names. Without `hosts` it takes what no other site of the listener names."""

    hosts: Annotated[tuple[HostName, ...], Field(max_length=500)] = ()
    certificate: Name | None = Field(None, description="NAME.crt and NAME.key in the nodes' /etc/holdfast/tls")
    routes: Annotated[tuple[Route, ...], Field(min_length=1, max_length=1000)]

    @field_validator("hosts", mode="after")
    @classmethod
    def _once(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(hosts)) != len(hosts):
            raise ValueError("a host is named twice")
        return hosts
