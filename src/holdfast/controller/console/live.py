"""What changes in a cluster, told to browsers; and what many of them ask for at once, made once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.rollout.records import RolloutStore
from holdfast.store.store import Store

KINDS = ("status", "overrides", "revisions", "rollouts", "events")
TICK_S = 10.0  # without any change: ages go on, and a node may fall silent without a word
_AT_MOST_EVERY_S = 0.5
_PER_BROWSER_S = 0.02  # many browsers are told less often: what they fetch then has to be answered
_KEPT_S = 2.0  # what was made is given again for so long, if nothing has changed
_MOST_KEPT = 100
_AGAIN_AFTER_S = 1.0
_LINGER_S = 20.0  # a page that is loaded anew finds everything as it was
_log = logging.getLogger(__name__)


@dataclass
class _Made:
    """Something that was made, for one version of a cluster."""

    versions: tuple[int, ...]
    when: float
    content: asyncio.Future[Any]


@dataclass
class Followed:
    """One cluster, as long as browsers look at it."""

    name: str
    store: Store
    versions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    browsers: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _made: dict[tuple[Any, ...], _Made] = field(default_factory=dict)

    def start(self) -> None:
        """Begin to follow."""
        known, rollouts = self.store.cluster(self.name), RolloutStore(self.store, self.name)
        watched = {
            known.reports.prefix: ("status",),
            known.presences.prefix: ("status",),
            known.nodes.prefix: ("status",),
            rollouts.assignments.prefix: ("status",),
            known.overrides.prefix: ("status", "overrides"),
            rollouts.rollouts.prefix: ("status", "rollouts"),
        }
        self._tasks = [asyncio.create_task(self._follow(prefix, kinds)) for prefix, kinds in watched.items()]
        self._tasks.append(asyncio.create_task(self._events()))

    async def stop(self) -> None:
        """Follow no longer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    @property
    def pace_s(self) -> float:
        """How long browsers are left alone after they were told something."""
        return max(_AT_MOST_EVERY_S, self.browsers * _PER_BROWSER_S)

    def told(self) -> AsyncGenerator[tuple[str, ...], None]:
        """The kinds of things that change from now on, again and again; the status, too, when nothing did for long."""
        return self._told(dict(self.versions))

    async def _told(self, seen: dict[str, int]) -> AsyncGenerator[tuple[str, ...], None]:
        while True:
            try:
                async with asyncio.timeout(TICK_S):
                    while seen == self.versions:
                        await self._changed.wait()
            except TimeoutError:
                yield ("status",)
                continue
            kinds = tuple(kind for kind in KINDS if seen[kind] != self.versions[kind])
            seen = dict(self.versions)
            yield kinds
            await asyncio.sleep(self.pace_s)

    async def once(self, key: tuple[Any, ...], make: Callable[[], Awaitable[Any]]) -> Any:
        """What `make` makes: at most once for each version, and for a moment, however many ask."""
        now, versions = self.store.clock.steady(), tuple(self.versions.values())
        made = self._made.get(key)
        if made is None or made.versions != versions or now - made.when > _KEPT_S or _failed(made.content):
            if len(self._made) >= _MOST_KEPT:
                self._made.clear()
            made = self._made[key] = _Made(versions, now, asyncio.ensure_future(make()))
        return await asyncio.shield(made.content)

    async def _follow(self, prefix: str, kinds: tuple[str, ...]) -> None:
        """Count every change below a prefix, for good; what breaks is begun anew."""
        while True:
            try:
                async with self.store.engine.watch(prefix) as told:
                    async for _ in told:
                        self._count(kinds)
            except HoldfastError as error:
                _log.warning("changes of %s are followed anew: %s", self.name, error.message)
            await asyncio.sleep(_AGAIN_AFTER_S)

    async def _events(self) -> None:
        """Events of this cluster alone; a new revision is always one."""
        while True:
            try:
                async with self.store.events.follow() as told:
                    async for one in told:
                        if one.record.cluster == self.name:
                            new = one.record.kind.startswith("revision.")
                            self._count(("status", "revisions", "events") if new else ("events",))
            except HoldfastError as error:
                _log.warning("events of %s are followed anew: %s", self.name, error.message)
            await asyncio.sleep(_AGAIN_AFTER_S)

    def _count(self, kinds: tuple[str, ...]) -> None:
        for kind in kinds:
            self.versions[kind] += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _failed(made: asyncio.Future[Any]) -> bool:
    return made.done() and (made.cancelled() or made.exception() is not None)


class Live:
    """All clusters that browsers look at here. Close it when the controller ends."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._clusters: dict[str, Followed] = {}
        self._endings: dict[str, asyncio.TimerHandle] = {}
        self._stopping: set[asyncio.Task[None]] = set()

    @contextmanager
    def followed(self, cluster: str) -> Iterator[Followed]:
        """A cluster, followed for one more browser; for a while after the last one has gone."""
        found = self._clusters.get(cluster)
        if found is None:
            found = self._clusters[cluster] = Followed(cluster, self._store)
            found.start()
        ending = self._endings.pop(cluster, None)
        if ending is not None:
            ending.cancel()
        found.browsers += 1
        try:
            yield found
        finally:
            found.browsers -= 1
            if found.browsers == 0 and cluster in self._clusters:
                loop = asyncio.get_running_loop()
                self._endings[cluster] = loop.call_later(_LINGER_S, self._end, cluster)

    async def once(self, cluster: str, key: tuple[Any, ...], make: Callable[[], Awaitable[Any]]) -> Any:
        """What `make` makes, shared by all who ask while a cluster is followed and nothing has changed there."""
        found = self._clusters.get(cluster)
        return await (found.once(key, make) if found else make())

    def _end(self, cluster: str) -> None:
        self._endings.pop(cluster, None)
        found = self._clusters.pop(cluster, None)
        if found is not None:
            task = asyncio.ensure_future(found.stop())
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)

    async def close(self) -> None:
        """Follow nothing any more."""
        for ending in self._endings.values():
            ending.cancel()
        clusters, self._clusters = list(self._clusters.values()), {}
        await asyncio.gather(*(one.stop() for one in clusters), *self._stopping)
