"""One move at a time in a cluster, and its record: what a node is asked to give up is written with that order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from holdfast.errors import Conflict, LeaseLost, PlanRefused, StoreError
from holdfast.protocol import Answer, Verb
from holdfast.rollout.moves import MoveKind, MoveRecord
from holdfast.rollout.records import OrderRecord, RolloutStore
from holdfast.sentences import Sentence
from holdfast.store.collection import Step
from holdfast.store.holding import Held
from holdfast.store.models import AuditRecord, Event

from .desk import Desk, known_cluster

TTL_S = 15  # of the lease: after a controller's death, nobody moves anything for so long at most
_KEEP_EVERY_S = TTL_S / 5


class Underway:
    """What goes on, for whoever has the lease: every write, an order too, fails once somebody else may have it."""

    def __init__(self, kept: RolloutStore, held: Held) -> None:
        self._kept, self._held = kept, held
        self._writing = asyncio.Lock()
        self._before: set[tuple[str, str]] = set()  # who was held back already, and not by this
        self._open: set[str] = set()  # orders that nobody has answered
        self._version: int | None = 0
        self._begun = False  # what is of somebody else stays as it is until then
        self.record: MoveRecord | None = None

    async def load(self) -> MoveRecord | None:
        """What was cut off, if anything was."""
        found = await self._kept.moves.get(RolloutStore.MOVE)
        self._begun = False
        self.record, self._version = (found.record, found.version) if found else (None, 0)
        return self.record

    async def begin(self, record: MoveRecord, *steps: Step, audit: Sequence[AuditRecord] = ()) -> None:
        """Write down what is about to be done, with `steps`, and Conflict is theirs; else LeaseLost as of `give`."""
        before = self.record
        if before is not None:  # what nobody could settle goes on as a debt
            owed = (*before.owed, *(one for one in before.held if not any(one.same(other) for other in before.owed)))
            record = record.model_copy(update={"owed": owed})
        step = await self._writes(record)
        if steps:
            self._version = await self._kept.store.commit(step, *steps, audit=audit, guard=self._held)
        else:
            self._version = await self._commit(step, audit=audit)
        self.record, self._begun = record, True

    async def give(self, record: OrderRecord, step: Step) -> None:
        """As of Book. LeaseLost where the move is not ours any more: then nothing was ordered."""
        order = record.order
        if order.verb is Verb.STATUS:
            await self._commit(step, guarded=False)
            return
        async with self._writing:
            before, after = self.record, self._with(record)
            steps = [step] if after is before or after is None else [step, await self._writes(after)]
            known, self._version = self._version, None  # not known, should the write be unsure
            self._open.add(order.id)
            done = await self._commit(*steps)
            self._version = known if len(steps) == 1 else done
            self.record = self._with(record)  # others may have been released meanwhile

    def _with(self, record: OrderRecord) -> MoveRecord | None:
        order = record.order
        return self.record and self.record.ordered(record.node, order.verb, order.group or "", self._before)

    def answered(self, record: OrderRecord, answer: Answer) -> None:
        """As of Book."""
        self._open.discard(record.order.id)
        if answer.status is not None:
            ours = {(one.node, one.group) for one in (*self.record.held, *self.record.owed)} if self.record else set()
            back = {(record.node, each.group) for each in answer.status.groups if each.hold != 0}
            self._before |= back - ours
        elif record.order.verb in (Verb.RELEASE, Verb.RELEASE_WHEN_GIVEN_UP) and answer.moved and answer.moved.moved:
            self._before.discard((record.node, record.order.group or ""))
            self.accept(record.node, record.order.group or "")

    def take_over(self) -> None:
        """What was cut off is ours now, to be ended."""
        self._begun = True

    def accept(self, node: str | None = None, group: str = "") -> None:
        """Who is held back stays so, or this one: it is how it is to be."""
        if self.record is not None and node is None:
            self.record = self.record.model_copy(update={"held": ()})
        elif self.record is not None and node is not None:
            self.record = self.record.released(node, group)

    def forget(self) -> None:
        """Nothing of it is to be done."""
        if self.record is not None:
            self.record = self.record.model_copy(update={"held": (), "owed": ()})

    def turn_back(self) -> None:
        """It has turned out to be a way back: nobody will be held back at its end."""
        if self.record is not None:
            self.record = self.record.model_copy(update={"kind": MoveKind.BACK})

    def owe(self, only: MoveKind | None = None) -> None:
        """Whoever is held back is to be released as soon as it can be told so; nothing else is to be done.

        `only`: of a move of this kind.
        """
        if self.record is not None and only in (None, self.record.kind):
            owed = (*self.record.owed, *self.record.held)
            self.record = self.record.model_copy(update={"held": (), "owed": owed})

    async def end(self, *steps: Step, audit: Sequence[AuditRecord] = (), events: Sequence[Event] = ()) -> None:
        """Tell how it ended, in one commit with the end of its record; what is still held or owed is kept for later."""
        record = self.record if self._begun else None
        closing: list[Step] = []
        if record is not None and (record.held or record.owed):
            kept = record.model_copy(update={"decided": not record.held, "quiet": not self._open})
            closing = [await self._writes(kept)]
        elif record is not None and (version := await self._known()):
            closing = [self._kept.moves.deleting(RolloutStore.MOVE, version)]
        known, self._version = self._version, None
        await self._commit(*closing, *steps, audit=audit, events=events)
        if closing:
            await self.load()
        else:
            self._version = known

    async def _writes(self, record: MoveRecord) -> Step:
        return self._kept.moves.replacing(RolloutStore.MOVE, record, await self._known())

    async def _known(self) -> int:
        """The version of the record: asked for where it is not known whether the last write happened."""
        if self._version is None:
            self._version = await self._kept.moves.version(RolloutStore.MOVE)
        return self._version

    async def _commit(
        self,
        *steps: Step,
        audit: Sequence[AuditRecord] = (),
        events: Sequence[Event] = (),
        guarded: bool = True,
    ) -> int:
        guard = self._held if guarded else None
        try:
            return await self._kept.store.commit(*steps, audit=audit, events=events, guard=guard)
        except Conflict:
            raise LeaseLost(
                Sentence("this controller was away for too long: another one has taken over what was being moved"),
                Sentence("see what became of it: holdfast status, holdfast events"),
            ) from None


@asynccontextmanager
async def alone(desk: Desk, cluster: str) -> AsyncIterator[Underway]:
    """One move at a time in a cluster: two at once could each rely on the node that the other takes out.

    PlanRefused while something else is being moved, NotFound for a cluster that is not known.
    """
    await known_cluster(desk.store, cluster)
    name = lease_of(cluster)
    held = await desk.store.holdings.acquire(name, desk.actor, TTL_S)
    if held is None:
        found = await desk.store.holdings.holder(name)
        who = Sentence(" by %(who)s", who=found.record.holder) if found else ""
        raise PlanRefused(
            Sentence("something is being moved in %(cluster)s at this moment%(who)s", cluster=cluster, who=who),
            "try again in a moment",
        )
    keeping = asyncio.create_task(_keep(desk, held))
    try:
        yield Underway(RolloutStore(desk.store, cluster), held)
    finally:
        keeping.cancel()
        with suppress(StoreError):  # it ends by itself
            await desk.store.holdings.release(held)


def lease_of(cluster: str) -> str:
    """The name of the lease of whoever moves something."""
    return f"moving-{cluster}"[:63]


async def _keep(desk: Desk, held: Held) -> None:
    """Until cancelled, or until it is lost: then no order can be written any more."""
    while True:
        await asyncio.sleep(_KEEP_EVERY_S)
        try:
            await desk.store.holdings.keep(held)
        except LeaseLost:
            return
        except StoreError:
            continue  # it may be there again before the lease ends
