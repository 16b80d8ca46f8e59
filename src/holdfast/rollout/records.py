"""What the store keeps of rollouts: what each node should run, how far a rollout is, orders and their answers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from holdfast.errors import StoreDamaged
from holdfast.plan import Hazard
from holdfast.protocol import Answer, Fence, Order, Outcome, Progress, SafeName, Service
from holdfast.store.collection import Versioned
from holdfast.store.models import Count, Digest, Line, Number, Record, SaidBrief, SaidLine, Text, Who
from holdfast.store.store import Store

from .decide import NodePhase
from .moves import MoveRecord

MOST_NODES = 2000  # of one rollout: its record has to fit into one entry of the store
KEPT_ROLLOUTS = 200

Brief = Annotated[str, StringConstraints(max_length=600)]  # what is kept of what an agent says at length
Groups = Annotated[tuple[SafeName, ...], Field(max_length=255)]


class Assignment(Record):
    """What a node should run, from now until a later one. `number` is that of the fence, and rises in a cluster.

    Taking a node back to what it ran is a new assignment with a higher number and the old revision. `together`: it may
    be staged and judged, and nothing more, until `go` is written, with that of the other nodes in one commit.
    """

    node: SafeName
    number: Number
    revision: Count
    digest: Digest
    adopt: bool = False  # files in the way that are not Holdfast's may be moved aside
    rollout: Count = 0  # the rollout that wrote it
    together: bool = False
    go: bool = False
    time: AwareDatetime


class RolloutHead(Record):
    """Of each cluster once: the last numbers that were given out, and the one rollout that has not ended."""

    last_rollout: Count = 0
    last_number: Count = 0  # of assignments
    running: Number | None = None


class RolloutPhase(StrEnum):
    """How far a rollout is. The first four have not ended."""

    PROPOSED = "proposed"  # no node was told anything
    RUNNING = "running"
    PAUSED = "paused"  # waits until somebody says how it goes on
    PUTTING_BACK = "putting back"
    REFUSED = "refused"  # no node was touched; `reason` says why
    SUCCEEDED = "succeeded"  # each node runs the new state, verified
    PUT_BACK = "put back"  # it failed or was stopped, and every node that could be reached runs what it ran before
    FAILED = "failed"  # it failed or was stopped, and nodes are left in different states

    @property
    def ended(self) -> bool:
        """Whether nothing will happen any more."""
        return self in _ENDS


_ENDS = (RolloutPhase.REFUSED, RolloutPhase.SUCCEEDED, RolloutPhase.PUT_BACK, RolloutPhase.FAILED)


class Wish(StrEnum):
    """What people want of a rollout that has not ended."""

    GO_ON = "go on"
    STOP = "stop"  # begin nothing new, leave what is done
    PUT_BACK = "put back"  # begin nothing new, and take back what is done


class RolloutOptions(Record):
    """How a rollout behaves, as its author chose."""

    put_back: bool = True  # after a failure, nodes that are done go back to what they ran
    at_a_time: Annotated[int, Field(ge=1, le=MOST_NODES)] = 1  # of a wave; never more than the plan allows
    pause_after_first: bool = False
    forbidden: Annotated[tuple[Hazard, ...], Field(max_length=len(Hazard))] = ()  # what ends it before it begins
    adopt: bool = False
    without: Annotated[tuple[SafeName, ...], Field(max_length=MOST_NODES)] = ()  # nodes that are away: not waited for


class BatchRecord(Record):
    """As of waves.Batch.

    Where nodes change in one moment, each of `groups` has to have one holder again afterwards, for `settle_s` seconds;
    those that are not in `fresh` may have none, if they had none before. `checked`: so it was.
    """

    nodes: Annotated[tuple[SafeName, ...], Field(min_length=1, max_length=MOST_NODES)]
    at_once: bool = False
    why: Line = ""
    groups: Annotated[tuple[SafeName, ...], Field(max_length=10_000)] = ()
    fresh: Annotated[tuple[SafeName, ...], Field(max_length=10_000)] = ()
    settle_s: Annotated[float, Field(ge=0, le=3600)] = 0.0
    checked: bool = False


class NodeState(Record):
    """One node of a rollout.

    `phase` is the rollout's own view; `progress` how far the agent says it is: accepted, written, applied, verified.
    `number` is that of the assignment that it was told last, 0 before. `held` are the groups that it held before it was
    touched; of these it may not lose what is in `keeps`.
    """

    phase: NodePhase = NodePhase.WAITING
    progress: Progress | None = None
    number: Count = 0
    old: Digest
    old_revision: Count = 0
    new: Digest
    keeps: Groups = ()
    held: Groups = ()
    started: AwareDatetime | None = None
    ended: AwareDatetime | None = None
    outcome: Outcome | None = None  # of the agent's last report about this rollout
    reloaded: Annotated[tuple[Service, ...], Field(max_length=len(Service))] = ()
    detail: SaidBrief = ""  # why it did not end well
    hint: SaidBrief = ""
    program_line: Brief = ""  # what the program that refused said, word for word


class RolloutRecord(Record):
    """A rollout and all that it has decided: whoever leads next goes on from here.

    `reason` is the first thing that went wrong; the nodes' own are in `nodes`. `batches` are drawn from the plan's
    waves when it begins, by who holds what then; before that they are empty.
    """

    id: Number
    cluster: SafeName
    revision: Number
    base: Count  # the revision that most nodes came from
    author: Who
    message: Text = ""
    created: AwareDatetime
    started: AwareDatetime | None = None
    ended: AwareDatetime | None = None
    phase: RolloutPhase = RolloutPhase.PROPOSED
    options: RolloutOptions = RolloutOptions()
    wish: Wish = Wish.GO_ON
    confirmed: bool = False  # somebody looked at the first node and said to go on
    batches: Annotated[tuple[BatchRecord, ...], Field(max_length=MOST_NODES)] = ()
    nodes: Annotated[dict[SafeName, NodeState], Field(max_length=MOST_NODES)]
    reason: SaidLine = ""
    hint: SaidLine = ""

    @property
    def paused(self) -> bool:
        """Whether it waits for somebody."""
        return self.phase is RolloutPhase.PAUSED


class OrderRecord(Record):
    """An order to a node's agent; it goes with its lease. `who` asked for it."""

    node: SafeName
    order: Order
    who: Who
    given: AwareDatetime


class AnswerRecord(Record):
    """What became of an order; it goes with its lease."""

    node: SafeName
    answer: Answer
    time: AwareDatetime


class RolloutStore:
    """The records of one cluster's rollouts, each kind under its place in the store."""

    HEAD = "head"
    MOVE = "move"

    def __init__(self, store: Store, cluster: str) -> None:
        self.store = store
        self.name = cluster
        self.cluster = store.cluster(cluster)
        self.assignments = self.cluster.collection("assignment", Assignment)  # by node
        self.rollouts = self.cluster.collection("rollout", RolloutRecord)  # by rollout_name
        self.heads = self.cluster.collection("rollout-head", RolloutHead)  # one: HEAD
        self.moves = self.cluster.collection("move", MoveRecord)  # at most one: MOVE
        self.orders = self.cluster.collection("order", OrderRecord)  # by the order's id
        self.answers = self.cluster.collection("answer", AnswerRecord)  # by the order's id

    def fence(self, number: int) -> Fence:
        """What an agent compares: this store, its present life, and a number."""
        identity = self.store.identity
        return Fence(store_id=identity.store_id, epoch=identity.epoch, number=number)

    async def head(self) -> tuple[RolloutHead, int]:
        """The head and its version, 0 before the first rollout."""
        found = await self.heads.get(self.HEAD)
        return (found.record, found.version) if found else (RolloutHead(), 0)

    async def rollout(self, number: int) -> Versioned[RolloutRecord] | None:
        """The record of a rollout, or None."""
        return await self.rollouts.get(rollout_name(number))

    async def running(self, head: RolloutHead | None = None) -> Versioned[RolloutRecord] | None:
        """The rollout that has not ended, or None."""
        head = head or (await self.head())[0]
        return await self.rollout(head.running) if head.running else None

    async def damaged(self) -> tuple[tuple[str, str], ...]:
        """(kind, name) of the head, the last rollout and the one that goes on, where they are not understood.

        So with the move that goes on, if there is one. Older rollouts hold nothing up.
        """
        found = []
        try:
            await self.moves.get(self.MOVE)
        except StoreDamaged:
            found.append(("move", self.MOVE))
        try:
            head, _ = await self.head()
        except StoreDamaged:
            return (*found, ("rollout-head", self.HEAD))
        for number in sorted({head.last_rollout, head.running or head.last_rollout}):
            try:
                await self.rollout(number)
            except StoreDamaged:
                found.append(("rollout", rollout_name(number)))
        return tuple(found)

    async def last_rollout(self) -> int:
        """The number of the last rollout, whatever the head says of it: rollouts are kept by their numbers."""
        try:
            return (await self.head())[0].last_rollout
        except StoreDamaged:
            return max((int(name) for name in await self.rollouts.names() if name.isdecimal()), default=0)


def rollout_name(number: int) -> str:
    """Under which name a rollout is kept: names sort as numbers do."""
    return f"{number:012d}"
