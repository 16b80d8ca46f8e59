"""Sites: hosts and the routes that their requests take. First match wins; both engines mean the same by it."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, field_validator, model_validator

from holdfast.sentences import Sentence

from .patterns import Literally, Regex
from .values import Frozen, Name, NetworkText, ShortForm, WrongError, shown


def _as_tuple(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


def _one_or_more(item: Any) -> BeforeValidator:
    """For a tuple that may be written as a single value."""
    return BeforeValidator(_as_tuple, json_schema_input_type=item | tuple[item, ...])


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

    @model_validator(mode="after")
    def _exactly_one(self) -> ValueMatch:
        if sum(v is not None for v in (self.equals, self.contains, self.regex, self.present)) != 1:
            raise WrongError(
                Sentence("not exactly one condition"),
                Sentence("write one of `equals`, `contains`, `regex` and `present`"),
            )
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
            raise WrongError(
                Sentence("%(value)s keeps no client anywhere", value=shown(value)),
                Sentence("write `sticky: source` or `sticky: {cookie: NAME}`"),
            )
        return {"source": True}

    @model_validator(mode="after")
    def _exactly_one(self) -> Sticky:
        if (self.source is None) == (self.cookie is None):
            given = "both" if self.source else "none"
            hint = Sentence("write `sticky: source` or `sticky: {cookie: NAME}`")
            raise WrongError(
                Sentence("a client is kept by its address or by a cookie, here by %(given)s", given=given), hint
            )
        if not self.keeps or len(set(self.keeps)) != len(self.keeps):
            raise WrongError(
                Sentence("`keeps` names each thing once"),
                Sentence("write [variant], [server] or [variant, server]"),
                at=("keeps",),
            )
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
            raise WrongError(
                Sentence("%(value)s has something else than {host} and {uri} in braces", value=shown(value)),
                Sentence("write {host} or {uri}"),
            )
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

    @model_validator(mode="after")
    def _a_plain_answer(self) -> Respond:
        if self.status in (301, 302, 303, 307, 308):
            raise WrongError(
                Sentence("%(status)s sends the client elsewhere", status=self.status),
                Sentence("write `redirect: URL`"),
                at=("status",),
            )
        if self.body and self.status in (204, 205, 304):
            raise WrongError(
                Sentence("an answer with status %(status)s has no body", status=self.status),
                Sentence("leave `body` out"),
                at=("body",),
            )
        return self


def _by_name(values: dict[str, ValueMatch]) -> dict[str, ValueMatch]:
    """All have to hold, so their order means nothing, and must not change what is compiled."""
    return dict(sorted(values.items()))


class Match(Frozen):
    """Conditions of a route; all that are given must hold."""

    path: PathPrefix | None = Field(None, description="whole segments, after decoding and normalising")
    path_regex: Regex | None = Field(None, description="on the decoded, normalised path; anchor it with ^ and $")
    user_agent: Annotated[Annotated[tuple[Literally, ...], Field(max_length=100)], _one_or_more(Literally)] = ()
    header: Annotated[dict[HeaderName, ValueMatch], AfterValidator(_by_name), Field(max_length=50)] = {}
    cookie: Annotated[dict[CookieName, ValueMatch], AfterValidator(_by_name), Field(max_length=50)] = {}
    method: Annotated[Annotated[tuple[Method, ...], Field(max_length=20)], _one_or_more(Method)] = ()
    source: Annotated[Annotated[tuple[NetworkText, ...], Field(max_length=500)], _one_or_more(NetworkText)] = ()

    @field_validator("path", mode="after")
    @classmethod
    def _normal(cls, value: str | None) -> str | None:
        if value is not None and ("//" in value or any(part in (".", "..") for part in value.split("/"))):
            hint = Sentence("write it as it is matched, without //, /./ and /../")
            raise WrongError(
                Sentence("%(value)s can never match: requests are normalised first", value=shown(value)), hint
            )
        return value

    @property
    def is_everything(self) -> bool:
        """Whether every request matches."""
        return self.path in (None, "/") and not (
            self.path_regex or self.user_agent or self.header or self.cookie or self.method or self.source
        )

    def covers(self, later: Match) -> bool:
        """Whether this route surely takes every request that `later` matches: it asks for a path at most."""
        if self.is_everything:
            return True
        if self.path is None or self.path_regex or self.user_agent or self.header or self.cookie:
            return False
        if self.method or self.source or later.path is None:
            return False
        return (later.path.rstrip("/") + "/").startswith(self.path.rstrip("/") + "/")


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
            given = [name for name in ("to", "redirect", "respond") if getattr(self, name) is not None]
            message = (
                Sentence("this route says %(given)s", given=" and ".join(given))
                if given
                else Sentence("this route does not say what happens")
            )
            raise WrongError(
                message, Sentence("write exactly one of `to: POOL`, `redirect: URL` and `respond: STATUS`")
            )
        if isinstance(self.to, dict) and sum(self.to.values()) != 100:
            hint = Sentence("change them so that the sum is 100")
            raise WrongError(
                Sentence("the percentages add up to %(sum)s, not to 100", sum=sum(self.to.values())), hint, at=("to",)
            )
        if self.sticky and self.to is None:
            hint = Sentence("remove `sticky`: nothing is chosen here")
            raise WrongError(Sentence("`sticky` belongs to a route with `to`"), hint, at=("sticky",))
        if self.sticky and isinstance(self.to, dict) and "variant" not in self.sticky.keeps:
            message = Sentence("a server can't be kept where the pool is drawn anew each time")
            raise WrongError(message, Sentence("write `keeps: [variant, server]`"), at=("sticky", "keeps"))
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
        for place, host in enumerate(hosts):
            if host in hosts[:place]:
                raise WrongError(
                    Sentence("the host %(host)s is named twice", host=host),
                    Sentence("remove one of the two"),
                    at=(place,),
                )
        return hosts
