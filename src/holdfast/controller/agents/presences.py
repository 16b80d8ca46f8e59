"""Which agents are connected to this controller, told to all controllers of the store.

Each is a record under one lease of this controller's: a controller that dies takes them all with it, and its agents
connect elsewhere. What is written follows what is so, in a loop of its own: a stream never waits for the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from holdfast.errors import Conflict
from holdfast.store.collection import Step
from holdfast.store.models import Presence
from holdfast.store.store import Store

from ..leased import Leased

MOST_TOGETHER = 90  # presences in one commit: the store takes a hundred

Place = tuple[str, str]  # cluster and node


class Presences:
    """Of one controller, whose name is `holder`."""

    def __init__(self, store: Store, holder: str) -> None:
        self._store, self._holder = store, holder
        self._here: dict[Place, datetime] = {}
        self._written: dict[Place, datetime] = {}
        self._leased = Leased(store.engine, self, "who is connected here")

    def entered(self, cluster: str, node: str) -> None:
        """An agent is connected here from now on; another stream of the same one counts anew."""
        self._here[cluster, node] = self._store.clock.now()
        self._leased.changed()

    def left(self, cluster: str, node: str) -> None:
        """It is not any more."""
        self._here.pop((cluster, node), None)
        self._leased.changed()

    async def close(self) -> None:
        """Nobody is connected here any more."""
        await self._leased.close()

    def anything(self) -> bool:
        """As of Said."""
        return bool(self._here)

    def forget(self) -> None:
        """As of Said."""
        self._written = {}

    async def write(self, lease: int) -> None:
        """As of Said."""
        new = [place for place, since in self._here.items() if self._written.get(place) != since]
        for start in range(0, len(new), MOST_TOGETHER):
            await self._put(new[start : start + MOST_TOGETHER], lease)
        gone = [place for place in self._written if place not in self._here]
        for start in range(0, len(gone), MOST_TOGETHER):
            await asyncio.gather(*(self._take_away(place) for place in gone[start : start + MOST_TOGETHER]))

    async def _put(self, places: Sequence[Place], lease: int) -> None:
        """In place of whatever another controller said: the agents were there before, and are here now.

        Many connect at the same moment, when a controller has died: they are one commit.
        """
        present = [(place, since) for place in places if (since := self._here.get(place)) is not None]
        steps = await asyncio.gather(*(self._step(place, since, lease) for place, since in present))
        if not steps:
            return
        await self._store.commit(
            *steps
        )  # a Conflict: they are looked at once more, and count as not written until then
        self._written.update(present)

    async def _step(self, place: Place, since: datetime, lease: int) -> Step:
        cluster, node = place
        presences = self._store.cluster(cluster).presences
        found = await presences.get(node)
        record = Presence(node=node, controller=self._holder, since=since)
        return presences.replacing(node, record, found.version if found else 0, lease)

    async def _take_away(self, place: Place) -> None:
        (cluster, node), since = place, self._written[place]
        presences = self._store.cluster(cluster).presences
        found = await presences.get(node)
        if found is not None and (found.record.controller, found.record.since) == (self._holder, since):
            with suppress(Conflict):  # it is elsewhere since this moment
                await presences.delete(node, found.version)
        if self._written.get(place) == since:
            del self._written[place]
