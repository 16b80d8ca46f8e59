"""What one cluster's agents are to be told, followed in the store: assignments, orders, overrides, who is let in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import BaseModel

from holdfast.errors import HoldfastError
from holdfast.protocol import Overrides
from holdfast.protocol.realtime import MOST_WATCHING, Watching
from holdfast.rollout.records import Assignment, OrderRecord, RolloutStore
from holdfast.store.collection import Collection, Versioned
from holdfast.store.models import NodeRecord, Override
from holdfast.store.store import Store

from ..realtime.wishes import Wish, wishes_of
from .overriding import overrides_of

T = TypeVar("T", bound=BaseModel)
_AGAIN_AFTER_S = 1.0
_log = logging.getLogger(__name__)


class Subscription:
    """One stream's place in the feed: `changed` is set whenever something of its node may be different."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.changed = asyncio.Event()
        self.replaced = False  # the same node has opened another stream here


class Feed:
    """The present state of one cluster, as far as agents are concerned."""

    def __init__(self, store: Store, cluster: str) -> None:
        self.cluster = cluster
        self.assignments: dict[str, Assignment] = {}
        self.orders: dict[str, dict[str, OrderRecord]] = {}  # by node, then by the order's id
        self.overrides: dict[str, Override] = {}
        self.nodes: dict[str, NodeRecord] = {}
        self.wishes: dict[str, Wish] = {}  # who looks at a node by which controller
        self.subscribers: dict[str, Subscription] = {}
        self._records = RolloutStore(store, cluster)
        self._kept = store.cluster(cluster)
        self._wishes = wishes_of(store, cluster)
        self._known: set[str] = set()
        self._told: Overrides | None = None  # what the overrides come to, until something is different
        self._told_at = datetime.max.replace(tzinfo=UTC)
        self._told_until: datetime | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def complete(self) -> bool:
        """Whether everything has been read once: before that nobody is told anything."""
        return len(self._known) == 5

    def told_overrides(self, now: datetime) -> Overrides:
        """All that is overridden of servers: made once for all streams, until one changes or its time is over."""
        over = self._told_until is not None and now >= self._told_until
        if self._told is None or over or now < self._told_at:  # a clock that was put right begins anew
            self._told_at = now
            ends = [one.until for one in self.overrides.values() if one.until is not None and one.until > now]
            self._told, self._told_until = overrides_of(self.overrides.values(), now), min(ends, default=None)
        return self._told

    def start(self) -> None:
        """Begin to follow."""
        follow = asyncio.create_task
        self._tasks = [
            follow(self._follow("assignments", self._records.assignments, self._assigned)),
            follow(self._follow("orders", self._records.orders, self._ordered)),
            follow(self._follow("overrides", self._kept.overrides, self._overridden)),
            follow(self._follow("nodes", self._kept.nodes, self._noted)),
            follow(self._follow("wishes", self._wishes, self._wished)),
        ]

    async def stop(self) -> None:
        """Follow no longer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(
        self, kind: str, records: Collection[T], take: Callable[[bool, dict[str, T | None]], set[str]]
    ) -> None:
        """Take every update, for good: what breaks is begun anew, with all that there is then."""
        while True:
            try:
                async with records.watch() as updates:
                    async for update in updates:
                        if update.broken:
                            _log.error("records of %s are not understood: %s", self.cluster, ", ".join(update.broken))
                        changed = take(update.resync, {name: _record(one) for name, one in update.items})
                        self._tell(kind, changed)
            except HoldfastError as error:
                _log.warning("the %s of %s are followed anew: %s", kind, self.cluster, error.message)
            await asyncio.sleep(_AGAIN_AFTER_S)

    def _tell(self, kind: str, changed: set[str]) -> None:
        first = not self.complete
        self._known.add(kind)
        for node in self.subscribers if first else changed & self.subscribers.keys():
            self.subscribers[node].changed.set()

    def _assigned(self, resync: bool, items: dict[str, Assignment | None]) -> set[str]:
        return _merge(self.assignments, resync, items)

    def _noted(self, resync: bool, items: dict[str, NodeRecord | None]) -> set[str]:
        return _merge(self.nodes, resync, items)

    def watching(self, node: str) -> tuple[Watching, ...]:
        """All who look at a node now."""
        found = sorted((name, one.watching) for name, one in self.wishes.items() if one.node == node)
        return tuple(watching for _, watching in found)[:MOST_WATCHING]

    def _wished(self, resync: bool, items: dict[str, Wish | None]) -> set[str]:
        return {name.partition("@")[0] for name in _merge(self.wishes, resync, items)}

    def _overridden(self, resync: bool, items: dict[str, Override | None]) -> set[str]:
        if not _merge(self.overrides, resync, items):
            return set()
        self._told = None
        return set(self.subscribers)

    def _ordered(self, resync: bool, items: dict[str, OrderRecord | None]) -> set[str]:
        before = {name: record for each in self.orders.values() for name, record in each.items()}
        after = dict(before)
        _merge(after, resync, items)
        self.orders = {}
        for name, record in after.items():
            self.orders.setdefault(record.node, {})[name] = record
        return {record.node for name, record in after.items() if name not in before}


def _merge(known: dict[str, T], resync: bool, items: dict[str, T | None]) -> set[str]:
    """Take an update in; returns the names of what is different now."""
    gone = set(known) - set(items) if resync else set()
    changed = {name for name, record in items.items() if known.get(name) != record} | gone
    for name in gone:
        del known[name]
    for name, record in items.items():
        if record is None:
            known.pop(name, None)
        else:
            known[name] = record
    return changed


def _record(found: Versioned[T] | None) -> T | None:
    return found.record if found else None
