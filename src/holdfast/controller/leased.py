"""What a controller says of itself in the store, under one lease: it is kept while there is something to say.

A controller that dies takes all of it with it. What is written follows what is so, in a loop of its own: nobody who
changes something waits for the store.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Protocol

from holdfast.errors import HoldfastError, LeaseLost
from holdfast.store.port import Engine

TTL_S = 15
AGAIN_AFTER_S = 1.0
_log = logging.getLogger(__name__)


class Said(Protocol):
    """What is said."""

    def anything(self) -> bool:
        """Whether there is something to say now; else the lease is given up, and all that was written with it."""

    async def write(self, lease: int) -> None:
        """Make what is in the store what is so. A Conflict, or any other error of the store: it is called again."""

    def forget(self) -> None:
        """Nothing of what was written is there any more."""


class Leased:
    """Of one controller, and one kind of things: `kind` says in the log what cannot be told."""

    def __init__(self, engine: Engine, said: Said, kind: str) -> None:
        self._engine, self._said, self._kind = engine, said, kind
        self._changed = asyncio.Event()
        self._lease = 0
        self._task: asyncio.Task[None] | None = None

    def changed(self) -> None:
        """Something else is so than before."""
        self._changed.set()
        if self._task is None:
            self._task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Nothing is said any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._lease:
            try:
                async with asyncio.timeout(AGAIN_AFTER_S):
                    await self._engine.revoke(self._lease)
            except (HoldfastError, TimeoutError):
                _log.warning("%s: the store goes on saying so for %d s", self._kind, TTL_S)

    async def _keep(self) -> None:
        while True:  # ends: cancelled
            with suppress(TimeoutError):  # time to keep the lease
                async with asyncio.timeout(TTL_S / 3):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self._once()
            except LeaseLost:
                self._lost()
                self._changed.set()
            except HoldfastError as error:
                _log.warning("%s: the store cannot be told: %s", self._kind, error.message)
                await asyncio.sleep(AGAIN_AFTER_S)
                self._changed.set()

    async def _once(self) -> None:
        if not self._said.anything():
            lease = self._lease
            self._lost()
            if lease:
                await self._engine.revoke(lease)
            return
        if self._lease:
            await self._engine.keep(self._lease)
        else:
            self._lease = await self._engine.grant(TTL_S)
        await self._said.write(self._lease)

    def _lost(self) -> None:
        self._lease = 0
        self._said.forget()
