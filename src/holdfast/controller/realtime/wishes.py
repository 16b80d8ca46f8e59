"""Which nodes this controller wants to hear of, told to whichever controllers their agents are connected to.

Each wish is a record under one lease of this controller's: one that dies takes its wishes with it, and the agents stop.
Of what agents tell, nothing goes into the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from holdfast.errors import Conflict, HoldfastError, LeaseLost
from holdfast.protocol import SafeName
from holdfast.protocol.realtime import Watching
from holdfast.store.collection import Collection
from holdfast.store.models import Record
from holdfast.store.store import Store

TTL_S = 15
_AGAIN_AFTER_S = 1.0
_log = logging.getLogger(__name__)

Place = tuple[str, str]  # cluster and node


class Wish(Record):
    """Somebody looks at a node, by the controller that `watching` names."""

    node: SafeName
    watching: Watching


def wishes_of(store: Store, cluster: str) -> Collection[Wish]:
    """By node and controller; under leases."""
    return store.cluster(cluster).collection("watch", Wish)


def wish_name(node: str, controller: str) -> str:
    """Under which name a wish is kept; nodes' names have no `@`."""
    return f"{node}@{controller}"


class Wishes:
    """Of one controller, whose name is `holder`. `present` tells what it wants now."""

    def __init__(self, store: Store, holder: str, present: Callable[[], Mapping[Place, Watching]]) -> None:
        self._store, self._holder, self._present = store, holder, present
        self._written: dict[Place, Watching] = {}
        self._changed = asyncio.Event()
        self._lease = 0
        self._task: asyncio.Task[None] | None = None

    def changed(self) -> None:
        """Something else is wanted than before."""
        self._changed.set()
        if self._task is None:
            self._task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Nothing is wanted any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._lease:
            try:
                async with asyncio.timeout(_AGAIN_AFTER_S):
                    await self._store.engine.revoke(self._lease)
            except (HoldfastError, TimeoutError):
                _log.warning("agents tell of what they do for %d s more", TTL_S)

    async def _keep(self) -> None:
        while True:  # ends: cancelled
            with suppress(TimeoutError):  # time to keep the lease
                async with asyncio.timeout(TTL_S / 3):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self._write()
            except LeaseLost:
                self._lease, self._written = 0, {}
                self._changed.set()
            except HoldfastError as error:
                _log.warning("agents cannot be asked what they do: %s", error.message)
                await asyncio.sleep(_AGAIN_AFTER_S)
                self._changed.set()

    async def _write(self) -> None:
        wanted = dict(self._present())
        engine = self._store.engine
        if self._lease and not wanted:
            lease, self._lease, self._written = self._lease, 0, {}
            await engine.revoke(lease)  # and all wishes with it
        elif self._lease:
            await engine.keep(self._lease)
        elif wanted:
            self._lease = await engine.grant(TTL_S)
        for place, watching in wanted.items():
            if self._written.get(place) != watching:
                await self._put(place, watching)
        for place in [one for one in self._written if one not in wanted]:
            await self._take_away(place)

    async def _put(self, place: Place, watching: Watching) -> None:
        cluster, node = place
        records, name = wishes_of(self._store, cluster), wish_name(node, self._holder)
        found = await records.get(name)
        step = records.replacing(name, Wish(node=node, watching=watching), found.version if found else 0, self._lease)
        try:
            await self._store.commit(step)
        except Conflict:
            self._changed.set()  # looked at once more
            raise
        self._written[place] = watching

    async def _take_away(self, place: Place) -> None:
        cluster, node = place
        records, name = wishes_of(self._store, cluster), wish_name(node, self._holder)
        found = await records.get(name)
        if found is not None:
            with suppress(Conflict):  # somebody looks again: it is written anew then
                await records.delete(name, found.version)
        del self._written[place]
