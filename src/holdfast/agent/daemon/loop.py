"""The agent's tasks put together: one listens, one works, the others look."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from holdfast.agent.daemon import decide
from holdfast.agent.daemon.connection import Connection
from holdfast.agent.daemon.decide import Known
from holdfast.agent.daemon.drift.watch import DriftWatch
from holdfast.agent.daemon.health import HealthWatch
from holdfast.agent.daemon.inbox import Inbox
from holdfast.agent.daemon.log import LOG
from holdfast.agent.daemon.logs import LogKeeper
from holdfast.agent.daemon.moved import AddressWatch
from holdfast.agent.daemon.pause import paused
from holdfast.agent.daemon.realtime import Realtime
from holdfast.agent.daemon.renewal import Renewal
from holdfast.agent.daemon.rotation import Rotation
from holdfast.agent.daemon.state import State
from holdfast.agent.daemon.telling import Told, tell
from holdfast.agent.daemon.wire import Controller
from holdfast.agent.daemon.work import Work
from holdfast.agent.daemon.worker import Worker
from holdfast.errors import HoldfastError
from holdfast.protocol import REPORT_EVERY_S

_PAUSE_SEEN_S = 1.0
_LOOK_AGAIN_S = 3.0  # at a node that could not be looked at


class Agent:
    """One node's. `connect` opens a controller by its address; `renewal` renews the certificate, where there is one."""

    def __init__(
        self,
        cluster: str,
        node: str,
        work: Work,
        rotation: Rotation,
        connect: Callable[[str], Controller],
        renewal: Renewal | None = None,
        watch: Callable[[State], DriftWatch] = DriftWatch,
    ) -> None:
        self.state = State(cluster, node, work)
        self._worker = Worker(self.state)
        self._realtime = Realtime(node, work.node.places, connect, rotation.controllers)
        self.state.lately = self._realtime.lately
        inbox = Inbox(self.state, self._worker.afresh, self._worker.order, self._realtime.watch)
        self._connection = Connection(rotation, connect, inbox.take, self.state.outbox, self._connected)
        self._renewal = renewal
        self._watch = watch(self.state)
        self._addresses = AddressWatch(self.state.refresh)
        self._health = HealthWatch(self.state, self.state.refresh)
        self._logs = LogKeeper(self.state)

    @property
    def known(self) -> Known:
        """What it goes by."""
        return self.state.known

    def connect_again(self) -> None:
        """With the certificate that is on the disk now."""
        self._connection.again()

    def _connected(self) -> None:
        """To a controller, or to none: who looks at this node is told anew over each stream."""
        self.state.shown.set()
        self._realtime.connected(self._connection.controller)

    async def run(self) -> None:
        """Until cancelled; an attempt that is under way then ends first."""
        LOG.addHandler(self.state.recent)
        try:
            await self._begin()
            async with asyncio.TaskGroup() as group:
                for each in self._tasks():
                    group.create_task(each)
        finally:
            LOG.removeHandler(self.state.recent)
            self.state.end()

    def _tasks(self) -> list[Coroutine[Any, Any, None]]:
        tasks = [
            self._connection.keep(),
            self._worker.keep(),
            self._watch.keep(),
            self._addresses.keep(),
            self._health.keep(),
            self._logs.keep(),
            self._realtime.keep(),
            self._keep_looking(),
            self._keep_pause(),
            self._keep_telling(),
        ]
        return tasks if self._renewal is None else [*tasks, self._renewal.keep(self.connect_again)]

    async def _begin(self) -> None:
        state = self.state
        state.known = await state.look(lambda: state.wanted.read(state.known.cluster, state.known.node))
        self._see_pause()
        if not state.known.paused:
            try:
                await state.change(state.work.recover)
            except HoldfastError as error:
                LOG.error("what was interrupted could not be ended", extra={"why": error.message})
        state.wake.set()

    async def _keep_looking(self) -> None:
        state = self.state
        while True:  # ends: cancelled
            await state.refresh()
            until = time.monotonic() + REPORT_EVERY_S * (0.9 + 0.2 * random.random())
            looked_s = 0.0
            while (left_s := until - time.monotonic()) > 0:
                if not state.sees:
                    await asyncio.sleep(_LOOK_AGAIN_S)
                    break
                if decide.empties(state.known):
                    await asyncio.sleep(decide.count_again_s(looked_s, state.outbox.took_s))
                    looked_s = await state.recount()
                else:
                    looked_s = 0.0
                    await state.rest(left_s)

    async def _keep_pause(self) -> None:
        while True:  # ends: cancelled
            await self.state.beat.rest(_PAUSE_SEEN_S)
            if self._see_pause():
                LOG.info("paused" if self.state.known.paused else "resumed")
                self.state.tell()
                self.state.wake.set()

    def _see_pause(self) -> bool:
        now = paused(self.state.work.node.places, datetime.now(UTC)) is not None
        if now == self.state.known.paused:
            return False
        self.state.known = replace(self.state.known, paused=now)
        return True

    async def _keep_telling(self) -> None:
        """On the node itself, for `holdfast agent status`."""
        state = self.state
        while True:  # ends: cancelled
            await state.shown.wait()
            state.shown.clear()
            told = Told(
                pid=os.getpid(),
                controller=self._connection.controller,
                since=self._connection.since,
                certificate_expires=self._renewal.standing.expires if self._renewal is not None else None,
                report=state.present().model_copy(update={"status": None}),
            )
            try:
                await state.look(partial(tell, state.work.node.places, told))
            except OSError as error:
                LOG.warning("how the agent is cannot be shown on this node", extra={"why": str(error)})
