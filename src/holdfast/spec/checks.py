"""Health checks: one dialect for what a VRRP group needs and for what the servers behind an address are asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator

from holdfast.sentences import Sentence

from .patterns import Literally, Regex
from .values import (
    Count,
    Duration,
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
DNS_PATTERN = r"^(\.|([A-Za-z0-9_-]{1,63}\.){0,20}[A-Za-z0-9_-]{1,63}\.?)$"
DnsName = Annotated[str, StringConstraints(pattern=DNS_PATTERN, max_length=253)]
HostText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?$")]
HEX_PATTERN = r"^([0-9A-Fa-f]{2}){1,255}$"
HEX_MASK_PATTERN = r"^([0-9A-FXa-fx]{2}){1,255}$"
OnLoss = Literal["release", "yield"]


class Timing(Frozen):
    """How often and how stubbornly something is asked."""

    every: PositiveDuration = 1000
    timeout: PositiveDuration = 1000
    fall: Count = 2
    rise: Count = 2


class StatusRange(ShortForm):
    """A status code, `404`, or several in a row, `200-299`."""

    short_schema: ClassVar[dict[str, Any]] = {
        "anyOf": [
            {"type": "integer", "minimum": 100, "maximum": 599},
            {"type": "string", "pattern": "^[1-5][0-9]{2}-[1-5][0-9]{2}$"},
        ]
    }

    first: StatusCode
    last: StatusCode

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """`404` or `200-299`."""
        if isinstance(value, int) and not isinstance(value, bool):
            if not 100 <= value <= 599:
                raise WrongError(
                    Sentence("%(value)s is not a status code", value=shown(value)),
                    Sentence("write a number from 100 to 599"),
                )
            return {"first": value, "last": value}
        found = re.fullmatch("([1-5][0-9]{2})-([1-5][0-9]{2})", value) if isinstance(value, str) else None
        if found is None:
            hint = Sentence("write a number such as 200, or a range such as 200-299")
            raise WrongError(Sentence("%(value)s is not a status code", value=shown(value)), hint)
        if found[1] > found[2]:
            raise WrongError(
                Sentence("%(value)s ends before it begins", value=shown(value)),
                Sentence("write %(found)s-%(found_2)s", found=found[2], found_2=found[1]),
            )
        return {"first": int(found[1]), "last": int(found[2])}

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    @property
    def codes(self) -> range:
        """Every status code of the range."""
        return range(self.first, self.last + 1)


class BodyMatch(ShortForm):
    """What an answer's body must hold: a text, a regular expression, or an MD5 digest of the whole of it."""

    short_schema: ClassVar[dict[str, Any]] = {"type": "string"}

    contains: Literally | None = None
    matches: Regex | None = None
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = None

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """A text that it contains."""
        return {"contains": value}

    @model_validator(mode="after")
    def _exactly_one(self) -> BodyMatch:
        if sum(value is not None for value in (self.contains, self.matches, self.digest)) != 1:
            raise WrongError(
                Sentence("not exactly one condition"), Sentence("write one of `contains`, `matches` and `digest`")
            )
        return self


ASKED = ("http", "https", "tcp", "smtp", "dns", "udp", "ping", "script")
# Which questions a field says something about; what is in none of the lists holds for all.
_FIELDS_OF: Mapping[str, tuple[str, ...]] = {
    "host": ("http", "https"),
    "expect": ("http", "https"),
    "body": ("http", "https"),
    "type": ("dns",),
    "helo": ("smtp",),
    "payload": ("udp",),
    "answer": ("udp",),
    "port": ("http", "https", "tcp", "smtp", "dns", "udp"),
}


_SUCH_AS: Mapping[str, str] = {"http": "http: /path", "dns": "dns: example.com"}


def _misplaced(field: str, kinds: tuple[str, ...], kind: str) -> WrongError:
    """A field that says something about another question than the one that is asked."""
    if field == "port":
        return WrongError(
            Sentence("a %(kind)s check knows no port", kind=kind),
            Sentence("remove `port`, or ask `tcp: true`"),
            at=(field,),
        )
    such_as = _SUCH_AS.get(kinds[0], f"{kinds[0]}: true")
    article = "an" if kinds[0] in ("http", "smtp") else "a"
    message = Sentence(
        "`%(field)s` belongs to %(article)s %(kinds)s check", field=field, article=article, kinds=" or ".join(kinds)
    )
    return WrongError(
        message, Sentence("remove `%(field)s`, or ask `%(such_as)s`", field=field, such_as=such_as), at=(field,)
    )


class Check(Timing):
    """What a server is asked: exactly one of `http` and `https` (a path), `tcp`, `smtp`, `dns` (a name), `udp`, `ping`
    and `script` (a name out of the policy of the node that asks).

    `fall` bad answers in a row take a server out, `rise` good ones bring it back.
    """

    every: PositiveDuration = 2000
    fall: Count = 3
    retry_every: PositiveDuration | None = Field(
        None, description="after a bad answer: asked again this soon; like `every` if left out"
    )
    delay: Duration | None = Field(None, description="the first question comes within this time, at random")
    http: UrlPath | None = None
    https: UrlPath | None = None
    tcp: Literal[True] | None = None
    smtp: Literal[True] | None = None
    dns: DnsName | None = Field(None, description="the name that is asked for; `.` is the root")
    udp: Literal[True] | None = None
    ping: Literal[True] | None = None
    script: PolicyName | None = None
    port: Port | None = Field(None, description="asked on this port instead of the server's own")
    host: Text | None = Field(None, description="Host header of the question; the server's address if left out")
    expect: Annotated[tuple[StatusRange, ...], Field(max_length=20)] = Field(
        (), description="status codes that count as good, such as 200 or 200-299; 200 to 399 if left out"
    )
    body: BodyMatch | None = Field(None, description="what the answer's body must hold")
    type: Literal["A", "AAAA", "CNAME", "MX", "NS", "SOA", "TXT"] = Field("SOA", description="of a dns question")
    helo: HostText | None = Field(None, description="the name that an smtp check calls itself")
    payload: Annotated[str, StringConstraints(pattern=HEX_PATTERN)] | None = Field(
        None, description="what a udp check sends, in hexadecimal digits"
    )
    answer: Literal["any"] | Annotated[str, StringConstraints(pattern=HEX_MASK_PATTERN)] | None = Field(
        None, description="what it must receive: `any`, or hexadecimal digits, x for any; nothing if left out"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Check:
        given = [kind for kind in ASKED if getattr(self, kind) is not None]
        if len(given) != 1:
            said = " and ".join(f"`{kind}`" for kind in given) or "none"
            hint = Sentence(
                "write exactly one of %(asked)s, such as `http: /path` or `tcp: true`", asked=", ".join(ASKED)
            )
            raise WrongError(Sentence("a check asks exactly one question, here %(said)s", said=said), hint)
        for field, kinds in _FIELDS_OF.items():
            if field in self.model_fields_set and self.kind not in kinds:
                raise _misplaced(field, kinds, self.kind)
        return self

    @property
    def kind(self) -> str:
        """Which of the eight it is."""
        return next(kind for kind in ASKED if getattr(self, kind) is not None)

    @property
    def path(self) -> str | None:
        """The path of an http or https check."""
        return self.http or self.https

    @property
    def codes(self) -> tuple[int, ...]:
        """Every status code that counts as good; empty where the usual ones do, 200 to 399."""
        return tuple(sorted({code for expected in self.expect for code in expected.codes}))


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
            raise WrongError(
                Sentence("%(value)s is not ADDRESS:PORT/PATH", value=shown(value)),
                Sentence("write it as 127.0.0.1:8080/healthz"),
            )
        authority, slash, path = re.sub(r"^http://", "", value).partition("/")
        host, port = split_host_port(authority, "127.0.0.1:8080/healthz")
        return {"address": host, "port": port, "path": slash + path or "/"}

    @model_validator(mode="after")
    def _an_address(self) -> HttpTarget:
        if as_address(self.address) is None:
            hint = Sentence("write the address, such as 127.0.0.1: name resolution may not decide a failover")
            raise WrongError(
                Sentence("'%(address)s' is not an IP address", address=self.address), hint, at=("address",)
            )
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
            hint = Sentence(
                "write exactly one of %(tracked)s; for a second, begin a new entry with '- '",
                tracked=", ".join(TRACKED),
            )
            if not given:
                raise WrongError(Sentence("nothing to watch in one entry"), hint)
            raise WrongError(Sentence("%(given)s to watch in one entry", given=" and ".join(given)), hint)
        if self.weight is not None and "on_loss" in self.model_fields_set:
            raise WrongError(
                Sentence("`on_loss` and `weight` say the same in two ways"), Sentence("remove `weight`"), at=("weight",)
            )
        if self.weight == 0:
            raise WrongError(
                Sentence("`weight: 0` would change nothing"),
                Sentence("say `on_loss: release` or `on_loss: yield`"),
                at=("weight",),
            )
        if self.kind in ("http", "script") and self.every % 1000:
            hint = Sentence("write whole seconds, such as 1s")
            raise WrongError(Sentence("keepalived asks once in so many whole seconds"), hint, at=("every",))
        if self.kind in ("process", "file", "interface"):
            for field in [name for name in ("every", "timeout", "fall", "rise") if name in self.model_fields_set]:
                hint = Sentence("remove `%(field)s`, or watch with `http` or `script`", field=field)
                raise WrongError(
                    Sentence(
                        "a %(kind)s is watched, not asked: `%(field)s` does not apply", kind=self.kind, field=field
                    ),
                    hint,
                    at=(field,),
                )
        return self

    @property
    def kind(self) -> str:
        """Which of the five it is."""
        return next(kind for kind in TRACKED if getattr(self, kind) is not None)
