"""Whoever follows something for minutes is asked again and again whether they may still be here."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from holdfast.errors import HoldfastError, NotAuthenticated

from .identity import Person

LOOK_EVERY_S = 2.0
_log = logging.getLogger(__name__)

Ask = Callable[[str], Awaitable[Person]]


class Vigil:
    """Over all event streams of a controller: one look for each key that they were opened with, not for each."""

    def __init__(self) -> None:
        self._over: dict[Person, asyncio.Event] = {}
        self._streams: Counter[Person] = Counter()
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def over(self, who: Person, ask: Ask) -> Iterator[asyncio.Event]:
        """Meanwhile, the event is set once `ask` refuses the key that `who` came with, or finds other rights."""
        ended = self._over.setdefault(who, asyncio.Event())
        self._streams[who] += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look(ask))
        try:
            yield ended
        finally:
            self._streams[who] -= 1
            if not self._streams[who]:
                del self._streams[who], self._over[who]

    async def _look(self, ask: Ask) -> None:
        while self._over:  # ends: with the last stream
            await asyncio.sleep(LOOK_EVERY_S)
            for who, ended in list(self._over.items()):
                if not await self._still(who, ask):
                    ended.set()

    async def _still(self, who: Person, ask: Ask) -> bool:
        """A store that cannot be read ends no stream: nobody could open it again, and it ends by itself."""
        try:
            return await ask(who.key) == who
        except NotAuthenticated:
            return False
        except HoldfastError as error:
            _log.warning("whether %s may still follow is not known now: %s", who.actor, error.message)
            return True
