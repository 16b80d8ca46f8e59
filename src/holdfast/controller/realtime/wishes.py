"""Which nodes this controller wants to hear of, told to whichever controllers their agents are connected to.

Each wish is a record under one lease of this controller's: one that dies takes its wishes with it, and the agents stop.
Of what agents tell, nothing goes into the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from holdfast.errors import Conflict
from holdfast.protocol import SafeName
from holdfast.protocol.realtime import Watching
from holdfast.store.collection import Collection
from holdfast.store.models import Record
from holdfast.store.store import Store

from ..leased import Leased

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
        self._leased = Leased(store.engine, self, "which nodes somebody looks at")

    def changed(self) -> None:
        """Something else is wanted than before."""
        self._leased.changed()

    async def close(self) -> None:
        """Nothing is wanted any more."""
        await self._leased.close()

    def anything(self) -> bool:
        """As of Said."""
        return bool(self._present())

    def forget(self) -> None:
        """As of Said."""
        self._written = {}

    async def write(self, lease: int) -> None:
        """As of Said."""
        wanted = dict(self._present())
        for place, watching in wanted.items():
            if self._written.get(place) != watching:
                await self._put(place, watching, lease)
        for place in [one for one in self._written if one not in wanted]:
            await self._take_away(place)

    async def _put(self, place: Place, watching: Watching, lease: int) -> None:
        cluster, node = place
        records, name = wishes_of(self._store, cluster), wish_name(node, self._holder)
        found = await records.get(name)
        step = records.replacing(name, Wish(node=node, watching=watching), found.version if found else 0, lease)
        await self._store.commit(step)
        self._written[place] = watching

    async def _take_away(self, place: Place) -> None:
        cluster, node = place
        records, name = wishes_of(self._store, cluster), wish_name(node, self._holder)
        found = await records.get(name)
        if found is not None:
            with suppress(Conflict):  # somebody looks again: it is written anew then
                await records.delete(name, found.version)
        del self._written[place]
