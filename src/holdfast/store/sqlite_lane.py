"""One thread for the calls of many tasks: whatever waits while it works, it does next, all of it in one go.

A hop to a thread and back costs more than a question to SQLite, and waits for the interpreter whenever the event loop
is busy. So a thousand questions must not be a thousand hops, nor a thousand commits a thousand waits for the disk.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar, cast

J = TypeVar("J")  # a job

MOST_AT_ONCE = 64


class Lane(Generic[J]):
    """`work` does jobs in the thread, in their order, and returns for each its result or the error to raise."""

    def __init__(self, name: str, work: Callable[[Sequence[J]], list[Any]]) -> None:
        self._pool = ThreadPoolExecutor(1, name)
        self._work = work
        self._waiting: deque[tuple[J, asyncio.Future[Any]]] = deque()
        self._busy = False

    async def do(self, job: J) -> Any:
        """What became of a job. One whose task is cancelled before its turn is not done at all."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((job, future))
        if not self._busy:
            self._begin(loop)
        return await future

    async def close(self) -> None:
        """When everything that waits is done."""
        rest = [future for _, future in self._waiting]
        if rest:
            await asyncio.wait(rest)
        await asyncio.to_thread(self._pool.shutdown)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        batch: list[tuple[J, asyncio.Future[Any]]] = []
        while self._waiting and len(batch) < MOST_AT_ONCE:
            job, future = self._waiting.popleft()
            if not future.done():
                batch.append((job, future))
        self._busy = bool(batch)
        if batch:
            self._pool.submit(self._run, loop, batch)

    def _run(self, loop: asyncio.AbstractEventLoop, batch: list[tuple[J, asyncio.Future[Any]]]) -> None:
        try:
            results = self._work([job for job, _ in batch])
        except BaseException as error:  # noqa: BLE001  # whoever asked is told, whatever it is
            results = [error] * len(batch)
        loop.call_soon_threadsafe(self._ended, loop, batch, results)

    def _ended(
        self, loop: asyncio.AbstractEventLoop, batch: list[tuple[J, asyncio.Future[Any]]], results: list[Any]
    ) -> None:
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(cast(Any, result))
        self._begin(loop)
