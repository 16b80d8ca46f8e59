"""The timers of all instances: which one ends next, and how long until nothing new can come of them."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from .model import Place
from .router import NEVER, Router


class Clock:
    """Timers of routers; those that end together end in the order of the places. Every timer is set through it.

    A timer that is set anew leaves its old end in the heap, which counts for nothing once it comes up. `late` is how
    many seconds later than they should a node's timers end.
    """

    def __init__(self, routers: Mapping[Place, Router], late: Mapping[str, float] | None = None) -> None:
        self.late = dict(late or {})
        self.delayed = tuple(router for router in routers.values() if router.config.preempt_delay_s)
        self._routers = list(routers.values())
        self._order = {place: at for at, place in enumerate(routers)}
        self._ends: list[tuple[float, int]] = []
        self._horizon_s: float | None = None

    def set(self, router: Router, at: float) -> None:
        """The router's timer ends `at`, or never."""
        if (at < NEVER) != (router.expires < NEVER):
            self.changed()
        router.expires = at
        if at < NEVER:
            heapq.heappush(self._ends, (self.due(router), self._order[router.place]))

    def move(self, seconds: float) -> None:
        """Every timer ends that much later."""
        for router in self._routers:
            router.expires += seconds
        self._ends = [(self.due(r), at) for at, r in enumerate(self._routers) if r.expires < NEVER]
        heapq.heapify(self._ends)

    def changed(self) -> None:
        """A priority, or how often somebody advertises, is another one: waits are of another length."""
        self._horizon_s = None

    def due(self, router: Router) -> float:
        """When its timer ends."""
        return router.expires + self.late.get(router.place[0], 0.0)

    def next(self) -> Router | None:
        """Whose timer ends next; None where all are still."""
        while self._ends:
            due, at = self._ends[0]
            if due == self.due(self._routers[at]):
                return self._routers[at]
            heapq.heappop(self._ends)
        return None

    @property
    def horizon_s(self) -> float:
        """Longer than any timer that an unchanging state knows."""
        if self._horizon_s is None:
            waits = (router.full_s + router.config.advert_s for router in self._routers if router.expires < NEVER)
            self._horizon_s = 2 * max(waits, default=0.0)
        return self._horizon_s
