"""What takes a processor's time for somebody: in threads of its own, a few at once, one after another for each person.

Logins, the store and what pages show have other threads, which a hundred plans of one person must not keep busy.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from holdfast.errors import TooManyAttempts

AT_ONCE = 2
MOST_WAITING = 30  # of one person: each may hold a spec of some megabytes
_TRY_AGAIN_S = 5.0
T = TypeVar("T")


class Labour:
    """At most `at_once`, whoever waits; those who wait take turns."""

    def __init__(self, at_once: int = AT_ONCE, most_waiting: int = MOST_WAITING) -> None:
        self._free, self._most = at_once, most_waiting
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="labour")
        self._busy: set[str] = set()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # who was served last comes last

    async def do(self, who: str, what: Callable[[], T]) -> T:
        """The result of `what`, when it is this person's turn; TooManyAttempts if too much of theirs waits."""
        await self._turn(who)
        working = asyncio.ensure_future(self._worked(who, what))
        working.add_done_callback(_looked_at)
        return await asyncio.shield(working)  # a thread cannot be stopped: its turn lasts, though nobody waits any more

    async def _turn(self, who: str) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(who, deque())
        if sum(not one.done() for one in waiting) >= self._most:
            raise TooManyAttempts(
                "too much is worked out for you at this moment", "wait until that has ended", wait=_TRY_AGAIN_S
            )
        waiting.append(mine)
        self._next()
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._ended(who)  # the turn came in the same moment
            raise

    async def _worked(self, who: str, what: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, what)
        finally:
            self._ended(who)

    def _ended(self, who: str) -> None:
        self._busy.discard(who)
        self._free += 1
        self._next()

    def _next(self) -> None:
        """Give turns to those who have waited longest and have none."""
        for who in list(self._waiting):
            waiting = self._waiting[who]
            while waiting and waiting[0].done():  # given up meanwhile
                waiting.popleft()
            if waiting and (who in self._busy or not self._free):
                continue
            del self._waiting[who]
            if waiting:
                self._free -= 1
                self._busy.add(who)
                waiting.popleft().set_result(None)
            if waiting:
                self._waiting[who] = waiting


def _looked_at(work: asyncio.Future[Any]) -> None:
    """What failed after whoever asked had left is nobody's business."""
    if not work.cancelled():
        work.exception()
