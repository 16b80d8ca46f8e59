"""One node as it is told to this controller: the last sample, and the last quarter of an hour, in memory alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime

from holdfast.protocol.realtime import MOST_FILTERS, SLOWEST_S, Connections, Sample, Watching
from holdfast.protocol.realtime_ring import Ring

_PER_BROWSER_S = 0.02  # as everywhere in the console: 200 browsers are told every four seconds
_EARLIER = 1  # buckets: two samples may come in the wrong order
_MOST_MADE = 100  # different pictures of one sample


def _failed(made: asyncio.Future[bytes]) -> bool:
    return made.done() and (made.cancelled() or made.exception() is not None)


@dataclass(eq=False)
class Looking:
    """Somebody who looks: how often, and what they ask about connections (None: nothing)."""

    every_s: float
    find: str | None = None


@dataclass
class Seen:
    """A node, as long as somebody looks at it by this controller, and a little longer. `serial` counts samples."""

    cluster: str
    node: str
    sample: Sample | None = None
    taken: datetime | None = None
    serial: int = 0
    ring: Ring = field(default_factory=Ring)
    looking: list[Looking] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _made: dict[Hashable, tuple[int, asyncio.Future[bytes]]] = field(default_factory=dict)

    def take(self, sample: Sample, now: datetime) -> None:
        """What the node's agent tells. Where its clock goes back, the node was started anew: so does its history."""
        if sample.number < self.ring.newest - _EARLIER:
            self.ring = Ring()
        self.ring.take(sample.history)
        self.sample, self.taken = sample.model_copy(update={"history": ()}), now
        self.serial += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def after(self, serial: int, within_s: float) -> bool:
        """Whether there is a later sample than `serial`, once there is; False when none came in time."""
        try:
            async with asyncio.timeout(within_s):
                while self.serial <= serial:
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    @property
    def pace_s(self) -> float:
        """How long browsers are left alone after they were told something, however often there is a sample."""
        return min(len(self.looking) * _PER_BROWSER_S, SLOWEST_S)

    async def once(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """What `make` makes of the last sample: once, however many browsers ask for the same."""
        known = self._made.get(key)
        if known is None or known[0] != self.serial or _failed(known[1]):
            if len(self._made) >= _MOST_MADE:
                self._made.clear()
            known = self._made[key] = (self.serial, asyncio.ensure_future(make()))
        return await asyncio.shield(known[1])

    @property
    def questions(self) -> tuple[str, ...]:
        """What is asked about connections: as much as an agent answers at once, the first to ask first."""
        return tuple(dict.fromkeys(one.find for one in self.looking if one.find is not None))[:MOST_FILTERS]

    def watching(self, controller: str) -> Watching:
        """What the agent is asked for: as often as whoever is in the greatest hurry."""
        every_s = min((one.every_s for one in self.looking), default=SLOWEST_S)
        return Watching(controller=controller, every_s=every_s, connections=self.questions)

    def connections(self, find: str | None) -> Connections | None:
        """The answer to a question; None while there is none."""
        listed = self.sample.connections if self.sample is not None else ()
        return next((one for one in listed if one.find == find), None)
