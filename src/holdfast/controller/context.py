"""What every part of a running controller is handed: the store, the doors, the agents' streams, and the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from holdfast.store.store import Store

from .agents.hub import Hub
from .identity import Doors
from .labour import Labour
from .rates import Rates
from .rehearsing.runner import Rehearsals
from .settings import Settings
from .turns import Turns
from .vigil import Vigil


class Stopping:
    """Set once: from then on streams end, nothing new begins, and the leader steps down."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._wakes: set[asyncio.Event] = set()
        self.reason = ""

    def stop(self, reason: str) -> None:
        """Begin to stop; only the first reason counts."""
        if not self._event.is_set():
            self.reason = reason
            self._event.set()
            for each in self._wakes:
                each.set()

    @contextmanager
    def waking(self, event: asyncio.Event) -> Iterator[None]:
        """Meanwhile `event` is set, too, when it begins: so whoever waits for something of its own needs no task."""
        self._wakes.add(event)
        try:
            yield
        finally:
            self._wakes.discard(event)

    @property
    def begun(self) -> bool:
        """Whether the controller is about to end."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Until the controller is about to end."""
        await self._event.wait()


class Followers:
    """How many people follow events here."""

    def __init__(self) -> None:
        self.count = 0
        self.of: Counter[str] = Counter()  # by who follows


@dataclass(frozen=True, slots=True)
class Context:
    """One controller. Made by `serving`, or by a test; `hub` is closed when the application ends."""

    store: Store
    doors: Doors
    settings: Settings
    hub: Hub
    stopping: Stopping = field(default_factory=Stopping)
    rates: Rates = field(default_factory=Rates)
    followers: Followers = field(default_factory=Followers)
    vigil: Vigil = field(default_factory=Vigil)  # over them
    rehearsals: Rehearsals = field(default_factory=Rehearsals)
    dumps: Followers = field(default_factory=Followers)  # of the whole store: one at a time
    labour: Labour = field(default_factory=Labour)  # plans, differences and the like
    turns: Turns = field(default_factory=Turns)  # of specs that are checked and brought together
