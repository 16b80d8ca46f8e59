"""All nodes that somebody looks at by this controller."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from holdfast.errors import NotFound, StoreUnavailable
from holdfast.protocol.realtime import FASTEST_S, Sample, Watching
from holdfast.store.store import Store

from .seen import Looking, Seen
from .wishes import Place, Wishes

MOST_NODES = 200  # that are looked at at the same time: each may hold some megabytes
LINGER_S = 15.0  # a page that is loaded anew finds everything as it was


class Realtime:
    """Of one controller. Close it when the controller ends."""

    def __init__(self, store: Store, holder: str = "") -> None:
        self.holder = holder or f"controller-{secrets.token_hex(4)}"
        self._store = store
        self._seen: dict[Place, Seen] = {}
        self._endings: dict[Place, asyncio.TimerHandle] = {}
        self._wishes = Wishes(store, self.holder, self._wanted)

    def _wanted(self) -> Mapping[Place, Watching]:
        return {place: seen.watching(self.holder) for place, seen in self._seen.items()}

    @contextmanager
    def looking(self, cluster: str, node: str, every_s: float = FASTEST_S, find: str | None = None) -> Iterator[Seen]:
        """A node, with its agent telling as often as that; StoreUnavailable if too many are looked at already."""
        place, looking = (cluster, node), Looking(every_s, find)
        seen = self._seen.get(place)
        if seen is None:
            if len(self._seen) >= MOST_NODES:
                raise StoreUnavailable(
                    "too many nodes are looked at by this controller", "close a page of another node"
                )
            seen = self._seen[place] = Seen(cluster, node)
        ending = self._endings.pop(place, None)
        if ending is not None:
            ending.cancel()
        seen.looking.append(looking)
        self._wishes.changed()
        try:
            yield seen
        finally:
            seen.looking.remove(looking)
            self._wishes.changed()
            if not seen.looking:
                self._endings[place] = asyncio.get_running_loop().call_later(LINGER_S, self._end, place)

    def at(self, cluster: str, node: str) -> Seen | None:
        """A node that somebody looks at already."""
        return self._seen.get((cluster, node))

    def _end(self, place: Place) -> None:
        self._endings.pop(place, None)
        self._seen.pop(place, None)
        self._wishes.changed()

    def take(self, cluster: str, node: str, sample: Sample) -> None:
        """What an agent tells; NotFound where nobody looks at it by this very controller."""
        seen = self._seen.get((cluster, node))
        if seen is None or sample.controller != self.holder:
            raise NotFound("nobody looks at this node by this controller", "it says in the stream who does")
        seen.take(sample, self._store.clock.now())

    async def close(self) -> None:
        """Nobody looks any more."""
        for ending in self._endings.values():
            ending.cancel()
        self._seen.clear()
        await self._wishes.close()
