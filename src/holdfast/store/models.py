"""What is stored: frozen records, each with bounds; times are in UTC.

A field that nobody may be shown is left out of its record's repr (`repr=False`). That is the mark by which audit,
logs and answers know it.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_serializer,
    model_validator,
)

from holdfast.bundle import SafeName
from holdfast.findings import Finding
from holdfast.sentences import Sentence, as_data, from_data

LONGEST_SPEC = 8_000_000  # characters
_LONGEST_KEPT = 20_000  # characters of one side of an audit record


class Record(BaseModel):
    """Base of everything that is stored."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Who = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Line = Annotated[str, StringConstraints(max_length=1000)]
Text = Annotated[str, StringConstraints(max_length=10_000)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Number = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]


def _clipped(value: object) -> object:
    """An audit record must never be refused because of its length, nor may it be the way to fill a disk."""
    if isinstance(value, str) and len(value) > _LONGEST_KEPT:
        return f"{value[: _LONGEST_KEPT - 40]}… ({len(value)} characters)"
    return value


Kept = Annotated[str, BeforeValidator(_clipped), StringConstraints(max_length=_LONGEST_KEPT)]


def _said(value: object, usual: ValidatorFunctionWrapHandler) -> str:
    """A sentence stays one; what is kept of it was written by this version, or is text, as older ones kept it."""
    sentence = value if isinstance(value, Sentence) else from_data(value)
    told: str = usual(value if sentence is None else str(sentence))
    return told if sentence is None else sentence


def _to_keep(text: str) -> Any:
    return as_data(text) if isinstance(text, Sentence) else text


# Texts that can be said in another language later: JSON holds the template and the values of a sentence.
_Said = (WrapValidator(_said), PlainSerializer(_to_keep, when_used="json"))
SaidLine = Annotated[Line, *_Said]
SaidBrief = Annotated[str, StringConstraints(max_length=600), *_Said]  # of what an agent says at length


def _finding_said(value: object, usual: ValidatorFunctionWrapHandler) -> Finding:
    """A finding with the sentences that were kept of it."""
    if not isinstance(value, dict):
        told: Finding = usual(value)
        return told
    sentences = {name: said for name in ("message", "hint") if (said := from_data(value.get(name))) is not None}
    found: Finding = usual({**value, **{name: str(said) for name, said in sentences.items()}})
    return found.model_copy(update=sentences) if sentences else found


def _finding_to_keep(finding: Finding) -> dict[str, Any]:
    said = {"message": _to_keep(finding.message), "hint": _to_keep(finding.hint)}
    return {**finding.model_dump(mode="json"), **said}


KeptFinding = Annotated[Finding, WrapValidator(_finding_said), PlainSerializer(_finding_to_keep, when_used="json")]


class StoreIdentity(Record):
    """Which store this is, and the how manyth life of it: a restored one begins a new epoch, greater than all before.

    Agents compare (epoch, revision) of one store id, and refuse what is lower than what they have.
    """

    store_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    epoch: Number
    created: AwareDatetime
    loading: bool = False  # a restoration began and has not ended


class ClusterRecord(Record):
    """A cluster that the store knows."""

    name: SafeName
    created: AwareDatetime
    description: Line = ""


class Revision(Record):
    """One state of a cluster's spec, as lists show it. `base` is the revision that it was made from, 0 the first."""

    number: Number
    base: Count
    author: Who
    message: Text
    time: AwareDatetime
    digest: Digest  # SHA-256 of the spec's text
    rollback_of: Number | None = None  # the revision whose content came back
    errors: Count = 0
    warnings: Count = 0


class RevisionContent(Record):
    """What a revision holds: with `lock` (CLUSTER.lock as it was) it compiles to the same bytes at any time."""

    spec: Annotated[str, Field(max_length=LONGEST_SPEC)]
    lock: Annotated[str, Field(max_length=LONGEST_SPEC)] = ""
    findings: Annotated[tuple[KeptFinding, ...], Field(max_length=10_000)] = ()


class OverrideKind(StrEnum):
    """What an operator may override for a while."""

    DRAINED = "drained"  # no new connections
    SUSPENDED = "suspended"  # out at once
    WEIGHT = "weight"
    MAINTENANCE = "maintenance"  # a node gives up its addresses


class Override(Record):
    """What differs from the spec for a while. `target` is a server (`web01:80`) or, for maintenance, a node.

    A server is overridden in `pool`, in `virtual_server` (both entries of the spec) or, without either, in all virtual
    servers.
    """

    kind: OverrideKind
    target: Name
    virtual_server: SafeName | None = None
    pool: SafeName | None = None
    weight: Annotated[int, Field(ge=0, le=65535)] | None = None
    who: Who
    why: Line = ""
    since: AwareDatetime
    until: AwareDatetime | None = None

    @model_serializer(mode="wrap")
    def _as_ever(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A controller from before there were overrides of pools understands all others."""
        found: dict[str, Any] = handler(self)
        if self.pool is None:
            found.pop("pool", None)
        return found


class Registration(Record):
    """An instance that registered itself; it goes when its lease ends. `ttl` is in seconds."""

    service: SafeName
    instance: SafeName
    node: SafeName
    address: Annotated[str, StringConstraints(max_length=64)]
    port: Annotated[int, Field(ge=1, le=65535)]
    weight: Annotated[int, Field(ge=0, le=65535)] = 1
    tags: Annotated[dict[SafeName, Line], Field(max_length=50)] = {}
    ttl: Number
    since: AwareDatetime


class NodeRecord(Record):
    """A node that was enrolled. `facts` is JSON, as its agent told it; `certificate` the serial number in force."""

    node: SafeName
    enrolled: AwareDatetime
    certificate: Annotated[str, StringConstraints(max_length=100)] = ""
    revoked: AwareDatetime | None = None
    agent_version: Annotated[str, StringConstraints(max_length=50)] = ""
    facts: Annotated[str, StringConstraints(max_length=100_000)] = "{}"


class Presence(Record):
    """A node whose agent is connected, to which controller and since when; it goes with that controller's lease."""

    node: SafeName
    controller: Who
    since: AwareDatetime


class NodeReport(Record):
    """What an agent said of its node. `content` is JSON; its form is the protocol's business, not the store's."""

    node: SafeName
    time: AwareDatetime
    epoch: Count
    revision: Count
    state: Annotated[str, StringConstraints(max_length=50)]
    content: Annotated[str, StringConstraints(max_length=400_000)] = "{}"


class Event(Record):
    """Something that happened. `kind` is stable (`vip.moved`); `data` is JSON, the message's sentence `said` in it."""

    time: AwareDatetime
    kind: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.-]{1,80}$")]
    cluster: SafeName | None = None
    node: SafeName | None = None
    message: Line
    data: Annotated[str, StringConstraints(max_length=20_000)] = "{}"

    @model_validator(mode="before")
    @classmethod
    def _keeps_the_sentence(cls, given: Any) -> Any:
        """A message that can be said in other languages is kept so that it still can be."""
        message = given.get("message") if isinstance(given, dict) else None
        if not isinstance(message, Sentence):
            return given
        data = {**json.loads(given.get("data", "{}")), "said": as_data(message)}
        return {**given, "message": str(message), "data": json.dumps(data, ensure_ascii=False)}


class Role(StrEnum):
    """What somebody may do, each more than the one before."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


Clusters = Annotated[tuple[SafeName, ...], Field(max_length=1000)]


class User(Record):
    """Somebody who may log in. Only the hash of the password is kept."""

    name: SafeName
    password_hash: Annotated[str, StringConstraints(pattern=r"^\$argon2id\$[!-~]{20,300}$"), Field(repr=False)]
    role: Role
    clusters: Clusters | None = None  # None: all
    created: AwareDatetime
    password_changed: AwareDatetime
    must_change: bool = False
    disabled: bool = False


class TokenScope(StrEnum):
    """What an API token may only do if it was said when it was made, whatever its role."""

    USERS = "users"  # see who there is, disable and remove them, end their sessions


class Token(Record):
    """A key of a program, or of a node that wants to join. Only its hash is kept, and the record lies under it."""

    digest: Annotated[Digest, Field(repr=False)]  # SHA-256 of the secret
    prefix: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{0,40}$")] = ""  # how the secret begins: to find it by
    name: Name
    purpose: Annotated[str, StringConstraints(pattern=r"^(api|join|session)$")]
    owner: Who
    role: Role | None = None
    clusters: Clusters | None = None
    scopes: Annotated[tuple[TokenScope, ...], Field(max_length=len(TokenScope))] = ()
    node: SafeName | None = None  # the one node that a join token is for
    created: AwareDatetime
    expires: AwareDatetime
    used: AwareDatetime | None = None
    revoked: AwareDatetime | None = None


class AuditRecord(Record):
    """Who changed what. `before` and `after` are JSON without secrets, and clipped where they are long."""

    time: AwareDatetime
    actor: Who
    action: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.-]{1,80}$")]
    target: Line
    cluster: SafeName | None = None
    source: Line = ""  # the address it came from
    outcome: Annotated[str, StringConstraints(pattern=r"^(done|refused|failed)$")] = "done"
    before: Kept = ""
    after: Kept = ""


class ClusterLock(Record):
    """CLUSTER.lock of a cluster, and its secrets as the caller sealed them: the store cannot read those."""

    lock: Annotated[str, Field(max_length=500_000)]
    sealed_secrets: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9_=+/.:-]*$", max_length=300_000), Field(repr=False)
    ] = ""


class Holding(Record):
    """Who holds a named lease. `fencing` rises with every holder: whoever has a lower one has been replaced."""

    name: SafeName
    holder: Who
    fencing: Number
    since: AwareDatetime
