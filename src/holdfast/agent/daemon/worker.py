"""Does what is due, one thing after the other: orders first, then the desired state, then overrides."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from dataclasses import replace
from functools import partial

from holdfast.agent.daemon import decide
from holdfast.agent.daemon.decide import Known
from holdfast.agent.daemon.log import LOG
from holdfast.agent.daemon.state import State
from holdfast.agent.daemon.wanted import Wanted
from holdfast.agent.daemon.word import Word
from holdfast.errors import HoldfastError
from holdfast.protocol import Answer, Desired, Order, Outcome, Progress, Verb

_ORDERS_REMEMBERED = 200
_RETRY_FIRST_S, _RETRY_LONGEST_S = 2.0, 300.0


class Worker:
    """Of one agent."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._orders: deque[tuple[float, Order]] = deque(maxlen=_ORDERS_REMEMBERED)
        self._answered: OrderedDict[str, Answer | None] = OrderedDict()
        self._failures = 0
        self._retry_at = 0.0
        self._word = Word(lambda: state.known)

    def afresh(self) -> None:
        """There is another desired state, or the word to go: failures of before do not count."""
        self._failures, self._retry_at = 0, 0.0
        self._word.ring()

    def order(self, order: Order) -> None:
        """Take an order; one that is known is answered as before, or will be."""
        if order.id in self._answered:  # sent again after a reconnection
            answer = self._answered[order.id]
            if answer is not None:
                self._state.outbox.answer(answer)
            return
        self._answered[order.id] = None
        while len(self._answered) > _ORDERS_REMEMBERED:
            self._answered.popitem(last=False)
        if order.verb is Verb.STATUS:  # looks, so it does not wait for its turn
            self._state.in_background(self._follow(order, time.monotonic()))
        else:
            self._orders.append((time.monotonic(), order))
            self._state.wake.set()

    async def keep(self) -> None:
        """Until cancelled."""
        try:
            while True:  # ends: cancelled
                await self._state.wake.wait()
                self._state.wake.clear()
                while await self._once():  # ends: nothing is due
                    pass
        finally:
            self._word.end()

    async def _once(self) -> bool:
        if self._orders:
            taken, order = self._orders.popleft()
            await self._follow(order, taken)
            return True
        if time.monotonic() < self._retry_at:
            return False
        match decide.due(self._state.known):
            case decide.Work.APPLY:
                await self._apply()
            case decide.Work.OVERRIDE:
                await self._override()
            case _:
                return False
        return True

    async def _follow(self, order: Order, taken: float) -> None:
        state, name = self._state, self._state.known.node
        refused = decide.refusal(state.known, order, time.monotonic() - taken)
        if refused is not None:
            answer = Answer(order=order.id, node=name, failure=refused)
        elif order.verb is Verb.STATUS:
            answer = await state.look(lambda: state.work.follow(order, name))
        else:
            answer = await state.change(lambda: state.work.follow(order, name))
            LOG.info("an order was followed", extra={"verb": order.verb.value, "group": order.group or ""})
            state.in_background(state.refresh())
        knows = {"heeds_word": True, "knows_lists": True}
        more = {**knows, "waiting": self._word.waiting, "paused": state.known.paused}
        answer = answer.model_copy(update=more)
        if order.id in self._answered:
            self._answered[order.id] = answer
        state.outbox.answer(answer)

    async def _apply(self) -> None:
        state, desired = self._state, self._state.known.desired
        assert desired is not None, "due() says so"
        bundle = await state.look(lambda: state.wanted.bundle(desired.digest))
        if bundle is None:  # the disk was damaged meanwhile; what is sent next has a higher number
            LOG.error("what should be applied is not on the disk any more", extra={"revision": desired.revision})
            self._later()
            return
        loop = asyncio.get_running_loop()

        def told(progress: Progress) -> None:
            loop.call_soon_threadsafe(self._step, desired, progress)
            if progress is Progress.WRITTEN:
                self._word.wait(desired)

        report = await state.change(partial(state.work.apply, bundle, desired, told))
        del bundle  # before memory is given back
        state.known = decide.ended(state.known, desired, report)
        LOG.info("applied", extra={"revision": desired.revision, "outcome": report.outcome.value})
        if report.outcome is Outcome.BROKEN:
            self._later()
        else:
            self._failures = 0
            state.known = replace(state.known, overridden=None)
            await state.look(partial(_end, state.wanted, state.known))
        state.tell()
        state.in_background(state.refresh())

    def _step(self, desired: Desired, progress: Progress) -> None:
        state = self._state
        if state.known.desired is not None and state.known.desired.fence == desired.fence:
            state.known = replace(state.known, progress=progress)
            state.tell()

    async def _override(self) -> None:
        state = self._state
        assert state.known.desired is not None, "due() says so"
        wanted = state.known.desired.overrides
        try:
            report = await state.change(lambda: state.work.override(wanted))
        except HoldfastError as error:
            LOG.warning("overrides are not carried out", extra={"why": error.message})
            state.known = decide.not_overridden(state.known, error.message)
            state.tell()
            self._later()
            return
        self._failures = 0
        state.known = replace(state.known, overridden=wanted, override_report=report)
        state.tell()

    def _later(self) -> None:
        self._failures += 1
        wait_s = min(_RETRY_FIRST_S * 2.0 ** min(self._failures - 1, 10), _RETRY_LONGEST_S)
        self._retry_at = time.monotonic() + wait_s
        asyncio.get_running_loop().call_later(wait_s + 0.01, self._state.wake.set)


def _end(wanted: Wanted, known: Known) -> None:
    """Keep that it ended; where the disk does not take it, a restart tries the same once more and finds it done."""
    try:
        wanted.end(known)
    except OSError as error:
        LOG.warning("how an attempt ended could not be kept", extra={"why": str(error)})
