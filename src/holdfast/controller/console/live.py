"""What changes in a cluster, told to browsers; and what many of them ask for at once, made once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.rollout.records import RolloutStore
from holdfast.store.store import Store

KINDS = ("status", "overrides", "revisions", "rollouts", "events")
TICK_S = 10.0  # without any change: ages go on, and a node may fall silent without a word
_AT_MOST_EVERY_S = 0.5
_PER_BROWSER_S = 0.02  # many browsers are told less often: what they fetch then has to be answered
_MOMENT_S = 5.0  # of clusters that nobody follows, what was made is given to others for so long
_KEPT_S = 2.0  # what was made is given again for so long, if nothing has changed
_MOST_KEPT = 100
_MOST_TEXT = 16_000_000  # characters of what is kept, for one cluster
_AGAIN_AFTER_S = 1.0
_LINGER_S = 20.0  # a page that is loaded anew finds everything as it was
_log = logging.getLogger(__name__)


@dataclass
class _Made:
    """Something that was made, for one version of a cluster."""

    versions: tuple[int, ...]
    when: float
    content: asyncio.Future[Any]

    def good(self, versions: tuple[int, ...], now: float) -> bool:
        """Whether it may be given to who asks now. What is still being made is not begun twice."""
        return self.versions == versions and (not self.content.done() or now - self.when <= _KEPT_S)

    @property
    def size(self) -> int:
        """Characters, as far as it is a text that is there already."""
        content = self.content
        made = content.result() if content.done() and not _failed(content) else None
        return len(made) if isinstance(made, str) else 0


@dataclass
class Followed:
    """One cluster, as long as browsers look at it."""

    name: str
    store: Store
    versions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    browsers: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _stopped: bool = False
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
        for prefix, kinds in watched.items():
            self._begin(partial(self._follow, prefix, kinds))
        self._begin(self._events)

    def _begin(self, follow: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if not self._stopped:
            task = asyncio.create_task(follow())
            self._tasks.add(task)
            task.add_done_callback(lambda ended: self._ended(ended, follow))

    def _ended(self, task: asyncio.Task[None], follow: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Nothing ends by itself: what nobody expected is told, and followed again."""
        self._tasks.discard(task)
        if not task.cancelled():
            _log.error("changes of %s are followed anew after an error", self.name, exc_info=task.exception())
            asyncio.get_running_loop().call_later(_AGAIN_AFTER_S, self._begin, follow)

    async def stop(self) -> None:
        """Follow no longer."""
        self._stopped, tasks = True, tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def pace_s(self) -> float:
        """How long browsers are left alone after they were told something; never so long that they think it is over."""
        return min(max(_AT_MOST_EVERY_S, self.browsers * _PER_BROWSER_S), TICK_S)

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
        if made is None or not made.good(versions, now):
            made = self._kept(key, _Made(versions, now, asyncio.ensure_future(make())))
        return await asyncio.shield(made.content)

    def _kept(self, key: tuple[Any, ...], made: _Made) -> _Made:
        """Kept as the newest; what nobody may be given any more goes, then the oldest, then what fails."""
        self._made.pop(key, None)
        self._made = {one: kept for one, kept in self._made.items() if kept.good(made.versions, made.when)}
        size = sum(kept.size for kept in self._made.values())
        while self._made and (len(self._made) >= _MOST_KEPT or size > _MOST_TEXT):
            size -= self._made.pop(next(iter(self._made))).size
        self._made[key] = made

        def forget(content: asyncio.Future[Any]) -> None:
            if _failed(content) and self._made.get(key) is made:
                del self._made[key]

        made.content.add_done_callback(forget)
        return made

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
                    self._count(("status", "revisions", "events"))  # whatever came before it was followed
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
        self._of_a_moment: dict[tuple[Any, ...], tuple[float, asyncio.Future[Any]]] = {}

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

    async def for_a_moment(self, cluster: str, key: tuple[Any, ...], make: Callable[[], Awaitable[Any]]) -> Any:
        """The same; of a cluster that is not followed, what was made a moment ago: for lists of many clusters."""
        found = self._clusters.get(cluster)
        if found is not None:
            return await found.once(key, make)
        now, name = self._store.clock.steady(), (cluster, *key)
        kept = self._of_a_moment.get(name)
        if kept is None or _failed(kept[1]) or (kept[1].done() and now - kept[0] > _MOMENT_S):
            young = {one: each for one, each in self._of_a_moment.items() if now - each[0] <= 2 * _MOMENT_S}
            kept = now, asyncio.ensure_future(make())
            self._of_a_moment = {**young, name: kept}
        return await asyncio.shield(kept[1])

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
