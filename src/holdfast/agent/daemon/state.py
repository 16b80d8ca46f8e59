"""What the agent's tasks share. It changes on the event loop alone; threads only work and look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from holdfast import __version__
from holdfast.agent.daemon import decide
from holdfast.agent.daemon.beat import Beat
from holdfast.agent.daemon.decide import Known
from holdfast.agent.daemon.explaining import explained, with_whys
from holdfast.agent.daemon.log import LOG
from holdfast.agent.daemon.machine import Machine
from holdfast.agent.daemon.outbox import Outbox
from holdfast.agent.daemon.recent import Recent
from holdfast.agent.daemon.thrift import give_memory_back
from holdfast.agent.daemon.wanted import Wanted
from holdfast.agent.daemon.work import Work
from holdfast.agent.down import is_down
from holdfast.errors import HoldfastError
from holdfast.protocol import AgentReport, Drift, MachineFacts, NodeStatus, OverrideReport, PoolOverride, ServerOverride
from holdfast.protocol.realtime import Requests

T = TypeVar("T")


class State:
    """`wake` is set when something may be due, `shown` when there is something new to show on the node itself."""

    def __init__(self, cluster: str, node: str, work: Work) -> None:
        self.work = work
        self.wanted = Wanted(work.node.places)
        self.known = Known(cluster, node)
        self.status: NodeStatus | None = None
        self.machine: MachineFacts | None = None
        self.recent = Recent()
        self.drift: tuple[Drift, ...] = ()
        self.outbox = Outbox(self.present)
        self.lately: Callable[[], Requests] = Requests  # what this node's proxies did
        self.beat = Beat()
        self.wake = asyncio.Event()
        self.shown = asyncio.Event()
        self.changes = 0  # begun so far: a look that overlaps one is not worth much
        self.busy = 0
        self.sees = True  # whether the last look was one
        self._told = asyncio.Event()
        self._explains = False
        self._unable = ""  # what was said last of why
        self._over: frozenset[ServerOverride | PoolOverride] = frozenset()
        self._counted: tuple[tuple[object, ...], ...] = ()  # what controllers were told last
        self._machine = Machine(work.node.host)
        self._hands = ThreadPoolExecutor(1, "hands")  # what changes the node: one thing at a time
        self._eyes = ThreadPoolExecutor(2, "eyes")
        self._background: set[asyncio.Task[None]] = set()

    async def look(self, what: Callable[[], T]) -> T:
        """Run what only looks (or writes the agent's own files), beside everything else."""
        return await asyncio.get_running_loop().run_in_executor(self._eyes, what)

    async def change(self, what: Callable[[], T]) -> T:
        """Run what changes the node, after what changes it already."""
        self.changes += 1
        self.busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._hands, what)
        finally:
            self.busy -= 1

    def tell(self) -> None:
        """Something changed: the controller hears of it, and so does who asks on the node."""
        self._counted = decide.counts(self.known.override_report)
        self.outbox.tell()
        self.shown.set()
        self._told.set()

    async def rest(self, at_most_s: float) -> None:
        """Until something is told, which may be that a server is being emptied: nobody has to ask every second."""
        self._told.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._told.wait()

    def in_background(self, what: Coroutine[Any, Any, None]) -> None:
        """Beside everything else; it is cancelled with the agent."""
        task = asyncio.create_task(what)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def end(self) -> None:
        """What is under way ends first: half of a change is worse than a late end."""
        for task in self._background:
            task.cancel()
        self._hands.shutdown(wait=True, cancel_futures=True)
        self._eyes.shutdown(wait=True, cancel_futures=True)

    async def refresh(self) -> None:
        """Look at the whole node, and tell: also that it cannot be looked at, in place of how it was once."""
        status, self.sees = None, False
        try:
            status = await self.look(self.work.status)
            report = await self.look(self.work.overrides_now)
            self.sees = True
            self._take(report)
            if report is not None and not self._explains and any(is_down(row) for row in report.servers):
                self.in_background(self._explain(report))
            self.machine = await self.look(self._machine.look)
            self._unable = ""
        except HoldfastError as error:
            if error.message != self._unable:  # once, not every few seconds
                LOG.warning("this node cannot be looked at", extra={"why": error.message})
            self._unable = error.message
        self.status = status
        if not self.sees:
            self.known = replace(self.known, override_report=None)
        give_memory_back()
        self.tell()

    def _take(self, report: OverrideReport | None) -> None:
        # Where the time of one is over, the files that keepalived follows are written anew, with nobody to say so.
        over: frozenset[ServerOverride | PoolOverride] = frozenset()
        if report is not None:
            over = over.union(report.expired, report.expired_pools)
        if over - self._over:
            self.known = replace(self.known, overridden=None)
            self.wake.set()
        self._over = over
        # What is known changes while something is waited for, so nothing may be between reading it and writing it.
        self.known = replace(self.known, override_report=with_whys(report, self.known.override_report))

    async def recount(self) -> float:
        """Count what servers that are being emptied still have, and tell if it is not what was told last.

        Returns how many seconds the look took. While a report is on its way nothing is added: it is told the next time.
        """
        began = time.monotonic()
        try:
            self._take(await self.look(self.work.overrides_now))
        except HoldfastError as error:
            LOG.warning("what is left of a server cannot be counted", extra={"why": error.message})
        looked_s = time.monotonic() - began
        if decide.counts(self.known.override_report) != self._counted and not self.outbox.waiting:
            self.tell()
        return looked_s

    async def _explain(self, report: OverrideReport) -> None:
        """Why servers are down: whoever is called at night asks that first. That they are is told before, by itself."""
        self._explains = True
        try:
            found, said = await self.look(lambda: self.work.downs_now(report))
            told = await explained(report, found, said)
        except HoldfastError as error:
            LOG.warning("why servers are down cannot be told", extra={"why": error.message})
            return
        finally:
            self._explains = False
        self.known = replace(self.known, override_report=with_whys(self.known.override_report, told))
        self.tell()

    def present(self) -> AgentReport:
        """Everything as it is now."""
        known = self.known
        return AgentReport(
            node=known.node,
            time=datetime.now(UTC),
            agent_version=__version__,
            fence=known.fence,
            revision=known.desired.revision if known.desired else 0,
            progress=decide.shown(known),
            applied=known.applied,
            status=self.status,
            overrides=known.override_report,
            drift=self.drift,
            paused=known.paused,
            machine=self.machine,
            log=self.recent.lines(),
            requests=self.lately(),
            knows_lists=True,
        )
