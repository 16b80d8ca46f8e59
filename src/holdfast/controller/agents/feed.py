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
from holdfast.store.collection import Collection, Update
from holdfast.store.models import NodeRecord, Override, OverrideKind
from holdfast.store.store import Store, override_name

from ..realtime.wishes import Wish, wishes_of
from .overriding import overrides_of

T = TypeVar("T", bound=BaseModel)
_AGAIN_AFTER_S = 1.0
_OF_NODES = override_name(OverrideKind.MAINTENANCE, "")  # what names of overrides begin with that agents are not told
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
        self._unread: dict[str, set[str]] = {}  # by kind: names that are in the store, and are not understood
        self._told: Overrides | None = None  # what the overrides come to, until something is different
        self._told_at = datetime.max.replace(tzinfo=UTC)
        self._told_until: datetime | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def complete(self) -> bool:
        """Whether everything has been read once: before that nobody is told anything."""
        return len(self._known) == 5

    @property
    def lost(self) -> frozenset[str]:
        """Overrides of servers that are not understood, and that nothing is known of, by name.

        Without one, each director of its server would take that up again; told nothing, it stays as it is.
        """
        lost = self._unread.get("overrides", set()) - self.overrides.keys()
        return frozenset(name for name in lost if not name.startswith(_OF_NODES))

    def unread_node(self, node: str) -> bool:
        """Whether there is a record of the node, and nobody here can say what is in it."""
        return node in self._unread.get("nodes", ())

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

    async def _follow(self, kind: str, records: Collection[T], take: Callable[[Update[T]], set[str]]) -> None:
        """Take every update, for good: what breaks is begun anew, with all that there is then."""
        while True:
            try:
                async with records.watch() as updates:
                    async for update in updates:
                        if update.broken:
                            _log.error("records of %s are not understood: %s", self.cluster, ", ".join(update.broken))
                        changed = take(update)
                        if self._not_understood(kind, update):
                            changed = set(self.subscribers)
                        self._tell(kind, changed)
            except HoldfastError as error:
                _log.warning("the %s of %s are followed anew: %s", kind, self.cluster, error.message)
            await asyncio.sleep(_AGAIN_AFTER_S)

    def _not_understood(self, kind: str, update: Update[T]) -> bool:
        """Keep in mind what is there and is not understood; whether that is something else than before."""
        before, lost = self._unread.get(kind, set()), self.lost
        kept = set() if update.resync else before - {name for name, _ in update.items}
        self._unread[kind] = kept | set(update.broken)
        if self.lost - lost:
            named = ", ".join(sorted(self.lost - lost))
            _log.error(
                "the directors of %s that send to what is overridden by %s are told nothing", self.cluster, named
            )
        return self._unread[kind] != before

    def _tell(self, kind: str, changed: set[str]) -> None:
        first = not self.complete
        self._known.add(kind)
        for node in self.subscribers if first else changed & self.subscribers.keys():
            self.subscribers[node].changed.set()

    def _assigned(self, update: Update[Assignment]) -> set[str]:
        return _merge(self.assignments, update)

    def _noted(self, update: Update[NodeRecord]) -> set[str]:
        return _merge(self.nodes, update)

    def watching(self, node: str) -> tuple[Watching, ...]:
        """All who look at a node now."""
        found = sorted((name, one.watching) for name, one in self.wishes.items() if one.node == node)
        return tuple(watching for _, watching in found)[:MOST_WATCHING]

    def _wished(self, update: Update[Wish]) -> set[str]:
        return {name.partition("@")[0] for name in _merge(self.wishes, update)}

    def _overridden(self, update: Update[Override]) -> set[str]:
        if not _merge(self.overrides, update):
            return set()
        self._told = None
        return set(self.subscribers)

    def _ordered(self, update: Update[OrderRecord]) -> set[str]:
        before = {name: record for each in self.orders.values() for name, record in each.items()}
        after = dict(before)
        _merge(after, update)
        self.orders = {}
        for name, record in after.items():
            self.orders.setdefault(record.node, {})[name] = record
        return {record.node for name, record in after.items() if name not in before}


def _merge(known: dict[str, T], update: Update[T]) -> set[str]:
    """Take an update in; returns the names of what is different now.

    Of what is there and is not understood, what was known before stays: it has changed, but it has not gone.
    """
    items = {name: found.record if found else None for name, found in update.items}
    gone = set(known) - set(items) - set(update.broken) if update.resync else set()
    changed = {name for name, record in items.items() if known.get(name) != record} | gone
    for name in gone:
        del known[name]
    for name, record in items.items():
        if record is None:
            known.pop(name, None)
        else:
            known[name] = record
    return changed
