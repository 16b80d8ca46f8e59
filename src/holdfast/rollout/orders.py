"""Orders to agents by way of the store: given as records, done by whoever the agent listens to, answered as records."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from holdfast.errors import RolloutFailed, StoreError, StoreUnavailable
from holdfast.protocol import Answer, Fence, MoveReport, NodeStatus, Order, Verb
from holdfast.sentences import Sentence
from holdfast.store.collection import Step, do
from holdfast.store.port import Resync

from .records import OrderRecord, RolloutStore

T = TypeVar("T")

_OTHER_VERSION = Sentence("is it of another version?")
WITHIN_S = 15.0  # how long an order is good for, unless told otherwise: an agent may have to reconnect first
MOVE_WITHIN_S = 10.0
MOVE_S = 90.0  # how long a move may take, once it has begun


@dataclass(frozen=True)
class Looked:
    """A node as it is now; whether its agent waits for the word to go, and with which state; whether it is paused.

    `knows_lists`: as of Answer.
    """

    status: NodeStatus
    heeds_word: bool = False
    waiting: Fence | None = None
    paused: bool = False
    knows_lists: bool = False


class Book(Protocol):
    """Who writes orders down, and hears what became of them."""

    async def give(self, record: OrderRecord, step: Step) -> None:
        """Do the step that writes an order; an error if it may not be given any more."""
        ...

    def answered(self, record: OrderRecord, answer: Answer) -> None:
        """It was done, or refused."""
        ...


class Orders:
    """Orders to the nodes of one cluster, given by `who`; `book`: whoever keeps more of them than the order itself."""

    def __init__(self, kept: RolloutStore, who: str, book: Book | None = None) -> None:
        self._kept = kept
        self._who = who
        self._book = book

    async def ask(
        self, node: str, verb: Verb, *, group: str | None = None, within_s: float = WITHIN_S, work_s: float = 5.0
    ) -> Answer:
        """Give an order and wait for its answer; RolloutFailed if none comes, or if the agent did not do it.

        `within_s` is how long the order is good for, `work_s` how long doing it may take after that.
        """
        order = Order(
            fence=self._kept.fence((await self._kept.head())[0].last_number),
            id=secrets.token_hex(16),
            verb=verb,
            group=group,
            within_s=within_s,
        )
        lease = await self._kept.store.engine.grant(math.ceil(within_s) + 1)
        record = OrderRecord(node=node, order=order, who=self._who, given=self._kept.store.clock.now())
        step = self._kept.orders.creating(order.id, record, lease)
        try:
            await (self._book.give(record, step) if self._book else do(self._kept.store.engine, [step]))
            async with asyncio.timeout(within_s + work_s):
                answer = await self._answer(order.id)
        except TimeoutError:
            raise RolloutFailed(
                Sentence("%(node)s: its agent did not answer within %(n)s s", node=node, n=f"{within_s + work_s:.0f}"),
                Sentence("is the node up, and does its agent run there? holdfast agent status, on the node"),
            ) from None
        finally:
            with suppress(StoreError):  # it ends by itself, too
                await self._kept.store.engine.revoke(lease)
        if self._book:
            self._book.answered(record, answer)
        if answer.failure is not None:
            said = Sentence("%(node)s: %(what)s", node=node, what=answer.failure.told)
            raise RolloutFailed(said, answer.failure.told_hint)
        return answer

    async def status(self, node: str, within_s: float = WITHIN_S) -> NodeStatus:
        """The node as it is now. RolloutFailed as of `ask`."""
        return (await self.look(node, within_s)).status

    async def look(self, node: str, within_s: float = WITHIN_S) -> Looked:
        """The same, with what else its agent said. RolloutFailed as of `ask`."""
        answer = await self.ask(node, Verb.STATUS, within_s=within_s)
        if answer.status is None:
            raise RolloutFailed(Sentence("%(node)s: its agent answered without a status", node=node), _OTHER_VERSION)
        return Looked(answer.status, answer.heeds_word, answer.waiting, answer.paused, answer.knows_lists)

    async def moved(self, node: str, verb: Verb, group: str, *, within_s: float, work_s: float) -> MoveReport:
        """What became of a group on the node. RolloutFailed as of `ask`."""
        answer = await self.ask(node, verb, group=group, within_s=within_s, work_s=work_s)
        if answer.moved is None:
            raise RolloutFailed(Sentence("%(node)s: its agent answered without a report", node=node), _OTHER_VERSION)
        return answer.moved

    async def _answer(self, order: str) -> Answer:
        answers = self._kept.answers
        async with self._kept.store.engine.watch(answers.key(order)) as told:
            async for one in told:
                entries = one.entries if isinstance(one, Resync) else [change.entry for change in one.changes]
                for entry in entries:
                    if entry is not None:
                        return answers.versioned(entry).record.answer
        raise StoreUnavailable("the store stopped telling of answers", "try again")


class StoreTransport:
    """The sync side of Orders, for a Switch that runs in a thread of its own beside the event loop `loop`."""

    def __init__(self, orders: Orders, loop: asyncio.AbstractEventLoop) -> None:
        self._orders = orders
        self._loop = loop

    def status(self, node: str) -> NodeStatus:
        """As of Mover."""
        return self._wait(self._orders.status(node, within_s=5.0))

    def move(self, node: str, group: str) -> MoveReport:
        """As of Mover."""
        return self._wait(self._orders.moved(node, Verb.MOVE, group, within_s=MOVE_WITHIN_S, work_s=MOVE_S))

    def release(self, node: str, group: str) -> None:
        """As of Mover."""
        self._wait(self._orders.moved(node, Verb.RELEASE, group, within_s=WITHIN_S, work_s=WITHIN_S))

    def release_when_given_up(self, node: str, group: str, within_s: float) -> MoveReport:
        """As of Mover."""
        verb = Verb.RELEASE_WHEN_GIVEN_UP
        return self._wait(self._orders.moved(node, verb, group, within_s=within_s, work_s=WITHIN_S))

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Every order ends by itself, so this does, too."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
