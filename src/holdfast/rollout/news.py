"""What the leader of a rollout hears: each node's latest report, and that somebody changed the rollout's record."""

from __future__ import annotations

import asyncio
from types import TracebackType

from pydantic import ValidationError

from holdfast.protocol import AgentReport
from holdfast.store.models import NodeReport

from .records import RolloutStore, rollout_name


class News:
    """Entered, it watches. Whoever waits first calls `read`, then looks, then waits: nothing is missed in between."""

    def __init__(self, kept: RolloutStore, rollout: int) -> None:
        self._kept = kept
        self._rollout = rollout
        self._reports: dict[str, NodeReport] = {}
        self._understood: dict[str, AgentReport | None] = {}  # of these, once somebody has asked
        self._event = asyncio.Event()
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def __aenter__(self) -> News:
        watch = asyncio.create_task
        self._tasks = (watch(self._watch_reports()), watch(self._watch_record()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)  # what they met was raised by `wait`

    def read(self) -> None:
        """What there is so far has been seen."""
        self._event.clear()

    async def wait(self, seconds: float | None = None) -> None:
        """Until there is something new, or the time is over. What went wrong in watching is raised here."""
        waiter = asyncio.create_task(self._event.wait())
        try:
            await asyncio.wait((waiter, *self._tasks), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
        for task in self._tasks:
            if task.done():
                task.result()

    def report(self, node: str) -> AgentReport | None:
        """The latest report of a node, or None; also where it is not understood: agents may be of another version."""
        if node not in self._understood:
            self._understood[node] = _understood(self._reports.get(node))
        return self._understood[node]

    async def _watch_reports(self) -> None:
        async with self._kept.cluster.reports.watch() as updates:
            async for update in updates:
                for node, found in update.items:
                    if found is not None:
                        self._reports[node] = found.record
                        self._understood.pop(node, None)
                self._event.set()

    async def _watch_record(self) -> None:
        key = self._kept.rollouts.key(rollout_name(self._rollout))
        async with self._kept.store.engine.watch(key) as told:
            async for _ in told:
                self._event.set()


def _understood(kept: NodeReport | None) -> AgentReport | None:
    if kept is None:
        return None
    try:
        return AgentReport.model_validate_json(kept.content)
    except ValidationError:
        return None
