"""What a controller wants of a node, and what the node's agent says to that: messages of the one stream between them.

The agent opens `GET /agent/v1/stream` and reads a line of JSON for each message; what it has to say, it posts. Every
`Desired` and every `Order` carries a fence, so that a leader that was paused, or a store that was restored from an old
dump, cannot bring back what has been replaced.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StringConstraints, TypeAdapter

from holdfast.bundle import Bundle, SafeName
from holdfast.sentences import heard

from .machine import MOST_LINES, LogLine, MachineFacts
from .message import PROTOCOL_VERSION, Message
from .overrides import OverrideReport, Overrides
from .realtime import Requests, Watch
from .reports import ApplyReport, Failure, MoveReport, NodeStatus

LARGEST_INLINE = 262_144  # bytes of a bundle that travels with the desired state; larger ones are fetched by digest
REPORT_EVERY_S = 60.0  # at the latest: an agent that has nothing new to say says so
PING_EVERY_S = 10.0  # a stream that is silent for three times as long is dead
LONGEST_DIFF = 20_000  # characters
LONGEST_DETAIL = 1000
WORD_WITHIN_S = 300.0  # how long a node keeps what is staged, and waits for the word to go

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
OrderId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class Fence(Message):
    """Which of two messages is the later one, for all controllers of a store, and over its restorations.

    `number` rises with every desired state of a cluster, `epoch` with every restoration of the store. Between two
    stores nothing can be said: an agent changes its store only by joining anew.
    """

    store_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    epoch: Annotated[int, Field(ge=1)]
    number: Annotated[int, Field(ge=0)]

    def is_older_than(self, other: Fence) -> bool:
        """Whether this one has been replaced by `other`; of another store, it has no say at all and counts as older."""
        return self.store_id != other.store_id or (self.epoch, self.number) < (other.epoch, other.number)


class Together(Message):
    """A node changes in one moment with others: it stages and judges, says `written`, and waits until `go` is true.

    If that does not come within `within_s` seconds, what is staged is dropped and the state is refused: nothing that
    runs was touched.
    """

    within_s: Annotated[float, Field(gt=0, le=3600)] = WORD_WITHIN_S
    go: bool = False


class Desired(Message):
    """What a node should run. It stays so until a later one comes, whatever becomes of the controllers.

    `bundle` is there up to LARGEST_INLINE, else it is fetched: `GET /agent/v1/bundles/DIGEST`. The same `fence` may
    come again, after a reconnection, with other `overrides` (these are live state, and have no number of their own), or
    with the word to go of `together`: that is part of the state, so whoever connects hears it, however late.
    """

    kind: Literal["desired"] = "desired"
    version: Literal[1] = PROTOCOL_VERSION
    fence: Fence
    cluster: SafeName
    node: SafeName
    revision: Annotated[int, Field(ge=0)]
    digest: Digest
    adopt: bool = False  # files in the way that are not Holdfast's may be moved aside
    bundle: Bundle | None = None
    overrides: Overrides = Overrides()
    together: Together | None = None


class Verb(StrEnum):
    """What an agent does at once when it is told so, and answers."""

    STATUS = "status"
    MOVE = "move"  # give a group up without losing a request; it stays given up
    HOLD = "hold"  # give a group up now; it stays given up
    RELEASE = "release"  # let the node hold the group again
    RELEASE_WHEN_GIVEN_UP = "release_when_given_up"


class Order(Message):
    """Something to do now. Not done if it arrives more than `within_s` seconds after it was given."""

    kind: Literal["order"] = "order"
    version: Literal[1] = PROTOCOL_VERSION
    fence: Fence
    id: OrderId
    verb: Verb
    group: SafeName | None = None
    within_s: Annotated[float, Field(gt=0, le=600)]


class Ping(Message):
    """Nothing has changed; the stream is alive."""

    kind: Literal["ping"] = "ping"
    time: AwareDatetime


ToAgent = Annotated[Desired | Order | Ping | Watch, Field(discriminator="kind")]
TO_AGENT: TypeAdapter[Desired | Order | Ping | Watch] = TypeAdapter(ToAgent)


class Progress(StrEnum):
    """How far a desired state is on a node. The first four follow each other; each of the others is an end."""

    ACCEPTED = "accepted"  # the agent has it on its disk, and will go on with it after a crash
    WRITTEN = "written"  # staged, admitted, and judged good by the programs themselves
    APPLIED = "applied"  # swapped in, programs reloaded
    VERIFIED = "verified"  # what runs is what was wanted: generations, listeners, addresses
    REFUSED = "refused"  # nothing that runs was touched
    PUT_BACK = "put back"  # it failed, and the node runs what it ran before
    BROKEN = "broken"  # neither; the agent tries again
    PAUSED = "paused"  # somebody works on the node by hand: nothing is done


class DriftKind(StrEnum):
    """What can differ from what was applied."""

    FILE = "file"
    SERVICE = "service"
    ADDRESS = "address"
    TABLE = "table"  # the kernel's IPVS table
    SYSCTL = "sysctl"


class Drift(Message):
    """Something is not as the agent left it. `diff` is unified, without secrets; `corrected` where policy says so.

    `said` is `detail` for other languages, as `holdfast.sentences` has it, and `what_said` is `what`; older agents send
    none.
    """

    kind: DriftKind
    what: Annotated[str, Field(max_length=300)]
    what_said: dict[str, Any] = {}
    detail: Annotated[str, Field(max_length=LONGEST_DETAIL)] = ""
    said: dict[str, Any] = {}
    diff: Annotated[str, Field(max_length=LONGEST_DIFF)] = ""
    since: AwareDatetime
    corrected: bool = False

    @property
    def named(self) -> str:
        """What it is that differs, as the sentence that it is where its agent says so."""
        return heard(self.what_said, self.what)

    @property
    def told(self) -> str:
        """The detail likewise."""
        return heard(self.said, self.detail)


class AgentReport(Message):
    """Posted to `/agent/v1/reports`: at once when something changed, and every now and then.

    `fence` and `revision` are those of the desired state that `progress` is about; None and 0 where the agent never had
    one. `applied` tells how the last attempt ended. `log` is the end of the agent's own, oldest line first.
    `requests` is what its proxies did lately. `knows_lists`: as of Answer.
    """

    version: Literal[1] = PROTOCOL_VERSION
    node: SafeName
    time: AwareDatetime
    agent_version: Annotated[str, Field(max_length=50)] = ""
    fence: Fence | None = None
    revision: Annotated[int, Field(ge=0)] = 0
    progress: Progress | None = None
    applied: ApplyReport | None = None
    status: NodeStatus | None = None
    overrides: OverrideReport | None = None
    drift: Annotated[tuple[Drift, ...], Field(max_length=1000)] = ()
    paused: bool = False
    machine: MachineFacts | None = None
    log: Annotated[tuple[LogLine, ...], Field(max_length=MOST_LINES)] = ()
    requests: Requests = Requests()
    knows_lists: bool = False


class Answer(Message):
    """Posted to `/agent/v1/answers`: what became of an order; `failure` where it was not done.

    `heeds_word`: this agent knows of `Together`. `knows_lists`: it takes pools as lists of servers, which older ones
    refuse. `waiting` is the desired state that is staged here, and that waits for
    the word to go; None where none does. `paused`: somebody works on the node by hand, and it takes nothing new.
    """

    version: Literal[1] = PROTOCOL_VERSION
    order: OrderId
    node: SafeName
    moved: MoveReport | None = None
    status: NodeStatus | None = None
    failure: Failure | None = None
    heeds_word: bool = False
    knows_lists: bool = False
    waiting: Fence | None = None
    paused: bool = False
