"""Which agents are connected to this controller, told to all controllers of the store.

Each is a record under one lease of this controller's: a controller that dies takes them all with it, and its agents
connect elsewhere. What is written follows what is so, in a loop of its own: a stream never waits for the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from holdfast.errors import Conflict, HoldfastError, LeaseLost
from holdfast.store.collection import Step
from holdfast.store.models import Presence
from holdfast.store.store import Store

TTL_S = 15
MOST_TOGETHER = 90  # presences in one commit: the store takes a hundred
_AGAIN_AFTER_S = 1.0
_log = logging.getLogger(__name__)

Place = tuple[str, str]  # cluster and node


class Presences:
    """Of one controller, whose name is `holder`."""

    def __init__(self, store: Store, holder: str) -> None:
        self._store, self._holder = store, holder
        self._here: dict[Place, datetime] = {}
        self._written: dict[Place, datetime] = {}
        self._changed = asyncio.Event()
        self._lease = 0
        self._task: asyncio.Task[None] | None = None

    def entered(self, cluster: str, node: str) -> None:
        """An agent is connected here from now on; another stream of the same one counts anew."""
        self._here[cluster, node] = self._store.clock.now()
        self._changed.set()
        if self._task is None:
            self._task = asyncio.create_task(self._keep())

    def left(self, cluster: str, node: str) -> None:
        """It is not any more."""
        self._here.pop((cluster, node), None)
        self._changed.set()

    async def close(self) -> None:
        """Nobody is connected here any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._lease:
            try:
                async with asyncio.timeout(_AGAIN_AFTER_S):
                    await self._store.engine.revoke(self._lease)
            except (HoldfastError, TimeoutError):
                _log.warning("who was connected here is known to the store for %d s more", TTL_S)

    async def _keep(self) -> None:
        while True:  # ends: cancelled
            try:
                async with asyncio.timeout(TTL_S / 3):
                    await self._changed.wait()
            except TimeoutError:
                pass  # time to keep the lease
            self._changed.clear()
            try:
                await self._leased()
                await self._write()
            except LeaseLost:
                self._lease, self._written = 0, {}
                self._changed.set()
            except HoldfastError as error:
                _log.warning("who is connected here cannot be told: %s", error.message)
                await asyncio.sleep(_AGAIN_AFTER_S)
                self._changed.set()

    async def _leased(self) -> None:
        if self._lease:
            await self._store.engine.keep(self._lease)
        else:
            self._lease = await self._store.engine.grant(TTL_S)

    async def _write(self) -> None:
        new = [place for place, since in self._here.items() if self._written.get(place) != since]
        for start in range(0, len(new), MOST_TOGETHER):
            await self._put(new[start : start + MOST_TOGETHER])
        gone = [place for place in self._written if place not in self._here]
        for start in range(0, len(gone), MOST_TOGETHER):
            await asyncio.gather(*(self._take_away(place) for place in gone[start : start + MOST_TOGETHER]))

    async def _put(self, places: Sequence[Place]) -> None:
        """In place of whatever another controller said: the agents were there before, and are here now.

        Many connect at the same moment, when a controller has died: they are one commit.
        """
        present = [(place, since) for place in places if (since := self._here.get(place)) is not None]
        steps = await asyncio.gather(*(self._step(place, since) for place, since in present))
        if not steps:
            return
        try:
            await self._store.commit(*steps)
        except Conflict:
            self._changed.set()  # looked at once more; until then they count as not written
            raise
        self._written.update(present)

    async def _step(self, place: Place, since: datetime) -> Step:
        cluster, node = place
        presences = self._store.cluster(cluster).presences
        found = await presences.get(node)
        record = Presence(node=node, controller=self._holder, since=since)
        return presences.replacing(node, record, found.version if found else 0, self._lease)

    async def _take_away(self, place: Place) -> None:
        (cluster, node), since = place, self._written[place]
        presences = self._store.cluster(cluster).presences
        found = await presences.get(node)
        if found is not None and (found.record.controller, found.record.since) == (self._holder, since):
            with suppress(Conflict):  # it is elsewhere since this moment
                await presences.delete(node, found.version)
        if self._written.get(place) == since:
            del self._written[place]
