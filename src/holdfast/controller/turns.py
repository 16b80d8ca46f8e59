"""Work that whoever asks soon asks for again: a few at once, one for each person, and only the newest of what waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from holdfast.errors import Conflict


class Turns:
    """At most `most` at once. Whoever asks anew gives up what they asked for before: a person has one that waits."""

    def __init__(self, most: int = 2) -> None:
        self._free = most
        self._running: dict[str, asyncio.Event] = {}
        self._waiting: dict[str, asyncio.Future[None]] = {}  # the longest wait first

    @asynccontextmanager
    async def turn(self, who: str) -> AsyncIterator[asyncio.Event]:
        """Wait for a turn and have it; the event says that the same person has asked anew since.

        Conflict for what waited when they did.
        """
        older = self._waiting.pop(who, None)
        if older is not None:
            older.set_exception(Conflict("this was asked for again meanwhile", "look at the newer answer"))
        if who in self._running:
            self._running[who].set()
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[who] = mine
        self._next()
        try:
            await mine
        except asyncio.CancelledError:
            self._left(who, mine)
            raise
        try:
            yield self._running[who]
        finally:
            self._ended(who)

    def _left(self, who: str, mine: asyncio.Future[None]) -> None:
        """Somebody does not wait any more; their turn may have come in the same moment."""
        if self._waiting.get(who) is mine:
            del self._waiting[who]
        elif mine.done() and not mine.cancelled() and mine.exception() is None:
            self._ended(who)

    def _ended(self, who: str) -> None:
        del self._running[who]
        self._free += 1
        self._next()

    def _next(self) -> None:
        """Give a turn to who has waited longest and has none."""
        for who in [one for one in self._waiting if one not in self._running][: self._free]:
            self._free -= 1
            self._running[who] = asyncio.Event()
            self._waiting.pop(who).set_result(None)
