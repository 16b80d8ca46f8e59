"""Bundles as they go over the wire, kept in bounded memory: many nodes ask for theirs at the same moment."""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from holdfast.rollout.bundles import Bundles
from holdfast.store.store import Store

MOST_KEPT = 64_000_000  # bytes
_AT_ONCE = 32  # are read and unpacked
_LARGE = 100_000  # characters: below that a thread costs more than it saves
_IN_VAIN_S = 60.0  # for a bundle that did not come back, a cluster's are not compiled again sooner
_MOST_IN_VAIN = 1000

Restore = Callable[[str], Awaitable[int]]


class BundleTexts:
    """Bundles by digest as JSON on one line.

    `restore` brings back what a cluster's nodes are to run and the store has not any more, and returns how many
    bundles those are: one that is missing is asked for by many nodes, and compiled for all of them once.
    """

    def __init__(self, store: Store, restore: Restore | None = None, most: int = MOST_KEPT) -> None:
        self._store = store
        self._restore = restore
        self._most = most
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._size = 0
        self._reading = asyncio.Semaphore(_AT_ONCE)
        self._restoring = asyncio.Lock()
        self._in_vain: OrderedDict[tuple[str, str], float] = OrderedDict()  # cluster, digest → when, steady

    async def get(self, cluster: str, digest: str) -> bytes | None:
        """The bundle on one line, or None if it cannot be had. StoreDamaged, StoreUnavailable, StoreFull."""
        key = (cluster, digest)
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found
        async with self._reading:
            text = await Bundles(self._store, cluster).text(digest)
        if text is None:
            text = await self._restored(cluster, digest)
        if text is None:
            return None
        line = await asyncio.to_thread(_on_one_line, text) if len(text) > _LARGE else _on_one_line(text)
        if key not in self._kept and len(line) <= self._most:
            self._kept[key] = line
            self._size += len(line)
            while self._size > self._most:
                self._size -= len(self._kept.popitem(last=False)[1])
        return line

    async def _restored(self, cluster: str, digest: str) -> str | None:
        if self._restore is None:
            return None
        bundles = Bundles(self._store, cluster)
        async with self._restoring:
            text = await bundles.text(digest)  # somebody who waited here before may have brought it back
            tried = self._in_vain.get((cluster, digest))
            if text is not None or (tried is not None and time.monotonic() - tried < _IN_VAIN_S):
                return text
            await self._restore(cluster)
            text = await bundles.text(digest)
            if text is None:
                self._in_vain[cluster, digest] = time.monotonic()
                while len(self._in_vain) > _MOST_IN_VAIN:
                    self._in_vain.popitem(last=False)
            return text


def _on_one_line(text: str) -> bytes:
    return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":")).encode()
