"""What a node tells of itself: how applying a bundle ended, what a move cost, how the node is now."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from holdfast.bundle import HeldAddress, SafeName, Service
from holdfast.findings import Finding
from holdfast.sentences import heard, said_of

from .message import PROTOCOL_VERSION, Message
from .overrides import PoolOverride, ServerOverride


class Outcome(StrEnum):
    """How an attempt to apply a bundle ended."""

    COMMITTED = "committed"  # the node is in the new state, verified
    UNCHANGED = "unchanged"  # it already was; nothing was reloaded
    ROLLED_BACK = "rolled_back"  # it is in the old state again, processes included
    REFUSED = "refused"  # nothing that runs was touched
    RECOVERED = "recovered"  # an earlier, interrupted attempt was finished or put back
    BROKEN = "broken"  # neither: the way back failed too, and the next run tries again


class StageReport(Message):
    """One step: `seconds` is how long it took; `detail` says what was found."""

    name: str
    ok: bool
    detail: str = ""
    seconds: float = 0.0


class Failure(Message):
    """Why it ended so: `program_line` quotes the program that refused, word for word, or is empty.

    `said` and `hint_said` are the same texts for other languages, as `holdfast.sentences` has them; older agents send
    none.
    """

    message: str
    hint: str = ""
    program_line: str = ""
    said: dict[str, Any] = {}
    hint_said: dict[str, Any] = {}

    @classmethod
    def of(cls, message: str, hint: str = "", program_line: str = "") -> Failure:
        """With what stands beside each text for other languages."""
        said, hint_said = said_of(message), said_of(hint)
        return cls(message=message, hint=hint, program_line=program_line, said=said, hint_said=hint_said)

    @property
    def told(self) -> str:
        """The message as the sentence that it is, where its agent says so."""
        return heard(self.said, self.message)

    @property
    def told_hint(self) -> str:
        """The hint likewise."""
        return heard(self.hint_said, self.hint)


class ApplyReport(Message):
    """What became of one bundle on one node.

    `digest` is of the bundle that was wanted, `previous_digest` of the one that ran before (None on a new
    node).
    """

    version: Literal[1] = PROTOCOL_VERSION
    node: str
    outcome: Outcome
    digest: str
    previous_digest: str | None = None
    stages: tuple[StageReport, ...] = ()
    failure: Failure | None = None
    reloaded: tuple[Service, ...] = ()
    started: tuple[Service, ...] = ()
    stopped: tuple[Service, ...] = ()
    adopted: tuple[str, ...] = ()  # where files that were not ours have been moved to
    notes: tuple[str, ...] = ()


class ServiceFacts(Message):
    """What runs: `state` is the service manager's own word, `restarts` counts since the manager started it."""

    service: Service
    running: bool
    pid: int | None = None
    state: str = ""
    restarts: int = 0


class ListenerFacts(Message):
    """A TCP socket in LISTEN state; `service` is None where it belongs to none of ours."""

    address: str
    port: int
    service: Service | None = None


class GroupFacts(Message):
    """A VRRP group as this node sees it; `hold` is the hold file's number (0: may hold, -254: gave it up).

    `fault`: keepalived says that it cannot hold it, since an interface is down or a check fails; older agents, and
    those whose log says nothing of it, do not know.
    """

    group: SafeName
    vrid: int
    holds: bool
    present: tuple[HeldAddress, ...] = ()
    missing: tuple[HeldAddress, ...] = ()
    hold: int = 0
    fault: bool = False


class ServerFacts(Message):
    """A server of a pool that the prober or HAProxy asks. `up` is what its answers say, `in_use` what nginx was told.

    They differ while a change waits for its reload, and where a failing server stays because of `min_servers`; with
    HAProxy, where one that is up was told to get nothing new. `since` is when `up` became what it is (RFC 3339),
    `failures` and `successes` count answers in a row: HAProxy says since when one is down, and counts nothing.
    """

    name: str
    endpoint: str
    up: bool
    in_use: bool
    since: str | None = None  # None: as it was found
    last: str = ""  # what became of the last question; empty: none was asked yet
    failures: int = 0
    successes: int = 0
    last_said: dict[str, Any] = {}  # `last` for other languages, of one that is down

    @property
    def told(self) -> str:
        """What became of the last question, as the sentence that it is where its agent says so."""
        return heard(self.last_said, self.last)


class PoolFacts(Message):
    """A pool as this node's prober or its HAProxy sees it; HAProxy keeps to no `min_servers`: 0."""

    pool: str
    min_servers: int
    servers: tuple[ServerFacts, ...] = ()


class TableSaid(Message):
    """A finding's texts for other languages, as `holdfast.sentences` has them."""

    message: dict[str, Any] = {}
    hint: dict[str, Any] = {}

    @classmethod
    def of(cls, finding: Finding) -> TableSaid:
        """What stands beside a finding."""
        return cls(message=said_of(finding.message), hint=said_of(finding.hint))

    def with_them(self, finding: Finding) -> Finding:
        """The finding, with the sentences that its agent says its texts are."""
        said = {"message": heard(self.message, finding.message), "hint": heard(self.hint, finding.hint)}
        return finding.model_copy(update=said)


class NodeStatus(Message):
    """The node as it is, not as it should be."""

    version: Literal[1] = PROTOCOL_VERSION
    node: str | None = None
    cluster: str | None = None
    generation: str | None = None
    digest: str | None = None
    services: tuple[ServiceFacts, ...] = ()
    listeners: tuple[ListenerFacts, ...] = ()
    groups: tuple[GroupFacts, ...] = ()
    pools: tuple[PoolFacts, ...] = ()  # as prober and HAProxy last saw them; of those that do not run, nothing
    overrides: tuple[ServerOverride, ...] = ()  # in force
    pool_overrides: tuple[PoolOverride, ...] = ()  # in force
    table: tuple[Finding, ...] = ()  # how the kernel's IPVS table differs from what the bundle expects
    table_said: tuple[TableSaid, ...] = ()  # the first of these for other languages
    drift: tuple[str, ...] = ()  # files of the current generation that somebody changed by hand
    interrupted: bool = False  # an attempt was cut off; any other agent command puts that right
    # Whose desired state its agent follows; none where the node never joined. What is brought here otherwise is drift.
    controllers: Annotated[tuple[Annotated[str, Field(max_length=300)], ...], Field(max_length=100)] = ()

    def could_hold(self, group: str) -> bool:
        """Whether it would take a group over: not held back, not in fault, and every service of its own runs."""
        facts = next((each for each in self.groups if each.group == group), None)
        running = bool(self.services) and all(each.running for each in self.services)
        return facts is not None and facts.hold == 0 and not facts.fault and running

    @property
    def table_told(self) -> tuple[Finding, ...]:
        """The findings about the table, each with the sentences that its texts are, as far as the agent told them."""
        said = (*self.table_said, *(TableSaid() for _ in self.table))
        return tuple(one.with_them(finding) for one, finding in zip(said, self.table, strict=False))


class MoveReport(Message):
    """What a planned switchover cost: times in seconds, connections counted.

    `cut` connections still had an answer on its way when the limit was reached; `reset` ones were idle and
    are closed
    by the new holder when their client next uses them. `said` is `detail` for other languages, as
    `holdfast.sentences` has it; older agents send none.
    """

    version: Literal[1] = PROTOCOL_VERSION
    group: SafeName
    moved: bool
    held_back_s: float = 0.0
    requests_held_s: float = 0.0
    cut: int = 0
    reset: int = 0
    detail: str = ""
    said: dict[str, Any] = {}

    @property
    def told(self) -> str:
        """The detail as the sentence that it is, where its agent says so."""
        return heard(self.said, self.detail)
