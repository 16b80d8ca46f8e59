"""All streams of this controller: one feed for each cluster that has agents here, and at most one stream a node."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.store.store import Store

from ..realtime.desk import Realtime
from .bundle_texts import BundleTexts, Restore
from .feed import Feed, Subscription
from .losing import Losing
from .presences import Presences


class Hub:
    """Close it when the controller ends; a feed, once begun, lives until then: nodes come and go, and come back."""

    def __init__(self, store: Store, holder: str = "", restore: Restore | None = None) -> None:
        self.bundles = BundleTexts(store, restore)
        self.losing = Losing(store, self.bundles)
        holder = holder or f"controller-{secrets.token_hex(4)}"
        self._presences = Presences(store, holder)
        self.realtime = Realtime(store, holder)
        self._store = store
        self._feeds: dict[str, Feed] = {}

    @contextmanager
    def subscribed(self, cluster: str, node: str) -> Iterator[tuple[Feed, Subscription]]:
        """A node's place in its cluster's feed. The node's earlier stream ends: it has been given up, or will be."""
        feed = self._feeds.get(cluster)
        if feed is None:
            feed = self._feeds[cluster] = Feed(self._store, cluster)
            feed.start()
        earlier = feed.subscribers.get(node)
        if earlier is not None:
            earlier.replaced = True
            earlier.changed.set()
        subscription = feed.subscribers[node] = Subscription(node)
        if feed.complete:
            subscription.changed.set()
        self._presences.entered(cluster, node)
        try:
            yield feed, subscription
        finally:
            if feed.subscribers.get(node) is subscription:
                del feed.subscribers[node]
                self._presences.left(cluster, node)

    @property
    def streams(self) -> int:
        """How many agents are connected here."""
        return sum(len(feed.subscribers) for feed in self._feeds.values())

    async def close(self) -> None:
        """Follow nothing any more; nobody is connected here."""
        await self.realtime.close()
        await self._presences.close()
        for feed in self._feeds.values():
            await feed.stop()
        self._feeds.clear()
