"""Watching an engine that remembers, for each key, its last change: a watcher is nothing but a number.

Nothing is queued for a watcher. When something changed it asks what is newer than what it knows; of what was changed
several times it sees the last. Only deletions need to be remembered, and how many is bounded: whoever is further behind
is resynced.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

from holdfast.errors import StoreUnavailable

from .port import Change, Changes, Entry, Page, Resync, Told

MOST_TOMBSTONES = 10_000
MOST_CHANGES = 1000  # told at once; more than the operations of a commit, so that none is cut in two
_AGAIN = 0.2  # seconds, when the store is locked


class Source(Protocol):
    """What a watcher needs of its engine."""

    async def newer(self, prefix: str, after: int) -> Changes | None:
        """At most MOST_CHANGES changes, none of a commit that is told of in part; None: compacted since."""

    def snapshot(self, prefix: str) -> AsyncIterator[Page]:
        """As of the port."""

    async def changed(self, since: int) -> bool:
        """Wait until something is newer than the revision `since`, or for a moment; False: the engine is closed."""


async def follow(source: Source, prefix: str, after: int | None) -> AsyncGenerator[Told, None]:
    """What the port calls a watch; ends when the engine is closed."""
    resumed = after is not None  # then there may be something to tell already
    if after is None:
        first = await _resync(source, prefix)
        after = first.revision
        yield first
    while resumed or await source.changed(after):
        resumed = False
        try:
            found = await source.newer(prefix, after)
            told: Told = found if found is not None else await _resync(source, prefix)
        except StoreUnavailable:
            await asyncio.sleep(_AGAIN)
            continue
        after = told.revision
        if isinstance(told, Resync) or told.changes:
            yield told


async def _resync(source: Source, prefix: str) -> Resync:
    entries: list[Entry] = []
    revision = 0
    async for page in source.snapshot(prefix):
        entries.extend(page.entries)
        revision = page.revision
    return Resync(revision, tuple(entries))


def cut(told: list[tuple[int, str, Entry | None]], revision: int) -> Changes:
    """Changes out of (version, key, entry), in whatever order: the oldest, and none of a commit that is cut in two.

    There may be more than MOST_CHANGES in `told`, but not fewer if some were left out.
    """
    told = sorted(told, key=lambda one: one[:2])
    if len(told) >= MOST_CHANGES:
        last = told[MOST_CHANGES - 1][0]
        told = [one for one in told[:MOST_CHANGES] if one[0] < last]
        revision = last - 1
    return Changes(revision, tuple(Change(key, entry) for _, key, entry in told))
