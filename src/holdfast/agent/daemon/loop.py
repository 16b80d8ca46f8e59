"""The agent's tasks put together: one listens, one works, one looks; what they share changes on the event loop."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from holdfast import __version__
from holdfast.agent.daemon import decide
from holdfast.agent.daemon.connection import Connection
from holdfast.agent.daemon.decide import Accepted, Ignored, Known
from holdfast.agent.daemon.log import LOG
from holdfast.agent.daemon.outbox import Outbox
from holdfast.agent.daemon.pause import paused
from holdfast.agent.daemon.rotation import Rotation
from holdfast.agent.daemon.telling import Told, tell
from holdfast.agent.daemon.thrift import give_memory_back
from holdfast.agent.daemon.wanted import Wanted
from holdfast.agent.daemon.wire import Controller
from holdfast.agent.daemon.work import Work
from holdfast.agent.steps import failure, translated
from holdfast.bundle import Bundle
from holdfast.errors import ApplyError, HoldfastError
from holdfast.protocol import (
    AgentReport,
    Answer,
    ApplyReport,
    Desired,
    Drift,
    NodeStatus,
    Order,
    Outcome,
    Progress,
    Verb,
)

T = TypeVar("T")
REPORT_EVERY_S = 60.0
_FETCH_S = 120.0
_PAUSE_SEEN_S = 1.0
_ORDERS_REMEMBERED = 200
_RETRY_FIRST_S, _RETRY_LONGEST_S = 2.0, 300.0


class Agent:
    """One node's. `connect` opens a controller by its address."""

    def __init__(
        self, cluster: str, node: str, work: Work, rotation: Rotation, connect: Callable[[str], Controller]
    ) -> None:
        self._work = work
        self._wanted = Wanted(work.node.places)
        self.known = Known(cluster, node)
        self._status: NodeStatus | None = None
        self.drift: tuple[Drift, ...] = ()
        self._shown = asyncio.Event()  # there is something new to show on the node itself
        self.outbox = Outbox(self._present)
        self._connection = Connection(rotation, connect, self._handle, self.outbox, self._shown.set)
        self._orders: deque[tuple[float, Order]] = deque()
        self._answered: OrderedDict[str, Answer | None] = OrderedDict()
        self._wake = asyncio.Event()
        self._hands = ThreadPoolExecutor(1, "hands")  # what changes the node: one thing at a time
        self._eyes = ThreadPoolExecutor(2, "eyes")
        self._background: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._retry_at = 0.0

    async def run(self) -> None:
        """Until cancelled; an attempt that is under way then ends first."""
        try:
            await self._begin()
            async with asyncio.TaskGroup() as group:
                for each in self._tasks():
                    group.create_task(each)
        finally:
            for task in self._background:
                task.cancel()
            self._hands.shutdown(wait=True, cancel_futures=True)
            self._eyes.shutdown(wait=True, cancel_futures=True)

    def _tasks(self) -> tuple[Coroutine[None, None, None], ...]:
        return (
            self._connection.keep(),
            self._keep_working(),
            self._keep_looking(),
            self._keep_pause(),
            self._keep_telling(),
        )

    async def _begin(self) -> None:
        self.known = await self.look(lambda: self._wanted.read(self.known.cluster, self.known.node))
        self._see_pause()
        if not self.known.paused:
            try:
                await self._change(self._work.recover)
            except HoldfastError as error:
                LOG.error("what was interrupted could not be ended", extra={"why": error.message})
        self._wake.set()

    async def look(self, what: Callable[[], T]) -> T:
        """Run what only looks (or writes the agent's own files), beside everything else."""
        return await asyncio.get_running_loop().run_in_executor(self._eyes, what)

    async def _change(self, what: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._hands, what)

    def _tell(self) -> None:
        self.outbox.tell()
        self._shown.set()

    def _in_background(self, what: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(what)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # What comes in ------------------------------------------------------------------------------------------------

    async def _handle(self, controller: Controller, message: Desired | Order) -> None:
        if isinstance(message, Order):
            self._take_order(message)
            return
        taken = decide.take(self.known, message)
        match taken:
            case Ignored(why):
                LOG.warning("a desired state is ignored", extra={"why": why})
                self._tell()
            case Accepted(known):
                await self._accept(controller, message, known)
            case _:
                self.known = replace(taken.known, paused=self.known.paused)
                self._wake.set()

    async def _accept(self, controller: Controller, desired: Desired, known: Known) -> None:
        """On the disk first: what is accepted will be gone on with after a crash."""
        try:
            bundle = await self._bundle(controller, desired)
            whole = desired.model_copy(update={"bundle": bundle})
            await self.look(lambda: _write(self._wanted, whole))
        except ApplyError as error:
            report = ApplyReport(
                node=desired.node, outcome=Outcome.REFUSED, digest=desired.digest, failure=failure(error)
            )
            known = replace(known, progress=Progress.REFUSED, applied=report)
            LOG.error("a desired state is refused", extra={"revision": desired.revision, "why": error.message})
        self.known = replace(known, paused=self.known.paused, overridden=self.known.overridden)
        self._failures, self._retry_at = 0, 0.0
        self._tell()
        self._wake.set()

    async def _bundle(self, controller: Controller, desired: Desired) -> Bundle:
        bundle = desired.bundle or await self.look(lambda: self._wanted.bundle(desired.digest))
        if bundle is None:
            async with asyncio.timeout(_FETCH_S):
                bundle = await controller.bundle(desired.digest)
        if (bundle.cluster, bundle.node, bundle.digest) != (desired.cluster, desired.node, desired.digest):
            raise ApplyError(
                f"the controller sent a bundle that is not the one of revision {desired.revision} for this node",
                "install the controller's version of Holdfast on this node",
            )
        return bundle

    def _take_order(self, order: Order) -> None:
        if order.id in self._answered:  # sent again after a reconnection
            answer = self._answered[order.id]
            if answer is not None:
                self.outbox.answer(answer)
            return
        self._answered[order.id] = None
        while len(self._answered) > _ORDERS_REMEMBERED:
            self._answered.popitem(last=False)
        if order.verb is Verb.STATUS:
            self._in_background(self._follow(order, time.monotonic()))
        else:
            self._orders.append((time.monotonic(), order))
            self._wake.set()

    # What is done -------------------------------------------------------------------------------------------------

    async def _keep_working(self) -> None:
        while True:  # ends: cancelled
            await self._wake.wait()
            self._wake.clear()
            while await self._work_once():  # ends: nothing is due
                pass

    async def _work_once(self) -> bool:
        if self._orders:
            taken, order = self._orders.popleft()
            await self._follow(order, taken)
            return True
        if time.monotonic() < self._retry_at:
            return False
        match decide.due(self.known):
            case decide.Work.APPLY:
                await self._apply()
            case decide.Work.OVERRIDE:
                await self._override()
            case _:
                return False
        return True

    async def _follow(self, order: Order, taken: float) -> None:
        refused = decide.refusal(self.known, order, time.monotonic() - taken)
        if refused is not None:
            answer = Answer(order=order.id, node=self.known.node, failure=refused)
        elif order.verb is Verb.STATUS:
            answer = await self.look(lambda: self._work.follow(order, self.known.node))
        else:
            answer = await self._change(lambda: self._work.follow(order, self.known.node))
            LOG.info("an order was followed", extra={"verb": order.verb.value, "group": order.group or ""})
            self._in_background(self._refresh())
        if order.id in self._answered:
            self._answered[order.id] = answer
        self.outbox.answer(answer)

    async def _apply(self) -> None:
        desired = self.known.desired
        assert desired is not None, "due() says so"
        bundle = await self.look(lambda: self._wanted.bundle(desired.digest))
        if bundle is None:  # the disk was damaged meanwhile: a controller sends it again
            self._later()
            return
        loop = asyncio.get_running_loop()

        def told(progress: Progress) -> None:
            loop.call_soon_threadsafe(self._step, desired, progress)

        report = await self._change(partial(self._work.apply, bundle, desired, told))
        del bundle  # before memory is given back
        self.known = decide.ended(self.known, desired, report)
        LOG.info("applied", extra={"revision": desired.revision, "outcome": report.outcome.value})
        if report.outcome is Outcome.BROKEN:
            self._later()
        else:
            self._failures = 0
            self.known = replace(self.known, overridden=None)
            await self.look(lambda: _end(self._wanted, self.known))
        self._tell()
        self._in_background(self._refresh())

    def _step(self, desired: Desired, progress: Progress) -> None:
        if self.known.desired is not None and self.known.desired.fence == desired.fence:
            self.known = replace(self.known, progress=progress)
            self._tell()

    async def _override(self) -> None:
        assert self.known.desired is not None, "due() says so"
        wanted = self.known.desired.overrides
        try:
            report = await self._change(lambda: self._work.override(wanted))
        except HoldfastError as error:
            LOG.warning("overrides are not carried out", extra={"why": error.message})
            self._later()
            return
        self._failures = 0
        self.known = replace(self.known, overridden=wanted, override_report=report)
        self._tell()

    def _later(self) -> None:
        self._failures += 1
        wait_s = min(_RETRY_FIRST_S * 2.0 ** min(self._failures - 1, 10), _RETRY_LONGEST_S)
        self._retry_at = time.monotonic() + wait_s
        asyncio.get_running_loop().call_later(wait_s + 0.01, self._wake.set)

    # What is seen -------------------------------------------------------------------------------------------------

    async def _keep_looking(self) -> None:
        while True:  # ends: cancelled
            await self._refresh()
            await asyncio.sleep(REPORT_EVERY_S * (0.9 + 0.2 * random.random()))

    async def _refresh(self) -> None:
        try:
            self._status = await self.look(self._work.status)
            report = await self.look(self._work.overrides_now)
            self.known = replace(self.known, override_report=report)
        except HoldfastError as error:
            LOG.warning("this node cannot be looked at", extra={"why": error.message})
        give_memory_back()
        self._tell()

    async def _keep_pause(self) -> None:
        while True:  # ends: cancelled
            await asyncio.sleep(_PAUSE_SEEN_S)
            if self._see_pause():
                LOG.info("paused" if self.known.paused else "resumed")
                self._tell()
                self._wake.set()

    def _see_pause(self) -> bool:
        now = paused(self._work.node.places, datetime.now(UTC)) is not None
        changed = now != self.known.paused
        self.known = replace(self.known, paused=now)
        return changed

    async def _keep_telling(self) -> None:
        """On the node itself, for `holdfast agent status`."""
        while True:  # ends: cancelled
            await self._shown.wait()
            self._shown.clear()
            told = Told(
                pid=os.getpid(),
                controller=self._connection.controller,
                since=self._connection.since,
                report=self._present().model_copy(update={"status": None}),
            )
            try:
                await self.look(partial(tell, self._work.node.places, told))
            except OSError as error:
                LOG.warning("how the agent is cannot be shown on this node", extra={"why": str(error)})

    def _present(self) -> AgentReport:
        known = self.known
        return AgentReport(
            node=known.node,
            time=datetime.now(UTC),
            agent_version=__version__,
            fence=known.fence,
            revision=known.desired.revision if known.desired else 0,
            progress=decide.shown(known),
            applied=known.applied,
            status=self._status,
            overrides=known.override_report,
            drift=self.drift,
            paused=known.paused,
        )


def _write(wanted: Wanted, desired: Desired) -> None:
    with translated():
        wanted.write(desired)


def _end(wanted: Wanted, known: Known) -> None:
    """That it ended; where the disk does not take it, a restart tries the same once more and finds it done."""
    try:
        wanted.end(known)
    except OSError as error:
        LOG.warning("how an attempt ended could not be kept", extra={"why": str(error)})
