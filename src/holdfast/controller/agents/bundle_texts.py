"""Bundles as they go over the wire, kept in bounded memory: many nodes ask for theirs at the same moment."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict

from holdfast.rollout.bundles import Bundles
from holdfast.store.store import Store

MOST_KEPT = 64_000_000  # bytes
_AT_ONCE = 16  # are read and unpacked


class BundleTexts:
    """Bundles by digest as JSON on one line."""

    def __init__(self, store: Store, most: int = MOST_KEPT) -> None:
        self._store = store
        self._most = most
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._size = 0
        self._reading = asyncio.Semaphore(_AT_ONCE)

    async def get(self, cluster: str, digest: str) -> bytes | None:
        """The bundle on one line, or None if it is not kept. StoreDamaged, StoreUnavailable."""
        key = (cluster, digest)
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found
        async with self._reading:
            text = await Bundles(self._store, cluster).text(digest)
            if text is None:
                return None
            line = await asyncio.to_thread(_on_one_line, text)
        if key not in self._kept and len(line) <= self._most:
            self._kept[key] = line
            self._size += len(line)
            while self._size > self._most:
                self._size -= len(self._kept.popitem(last=False)[1])
        return line


def _on_one_line(text: str) -> bytes:
    return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":")).encode()
