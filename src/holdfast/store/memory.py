"""A store in this process's memory: for tests, rehearsals and trying things out; gone when the process ends."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from .clock import Clock, SystemClock
from .port import (
    MOST_ENTRIES,
    Changes,
    Check,
    Delete,
    Entry,
    Health,
    Page,
    Put,
    Watch,
    Write,
    check_commit,
    check_key,
    check_prefix,
    check_scan,
    check_ttl,
    end_of,
)
from .refusals import closed, conflict, lease_lost
from .tail import MOST_TOMBSTONES, cut, follow

_LOOK_EVERY = 0.05  # seconds; leases end by a clock that wakes nobody


@dataclass
class _Lease:
    ttl: int
    ends: float  # of the steady clock


class MemoryEngine:
    """The port, without anything beneath it."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._entries: dict[str, Entry] = {}  # in the order of their versions
        self._keys: list[str] = []  # sorted
        self._tombstones: dict[str, int] = {}  # key → version of the deletion, in that order
        self._leases: dict[int, _Lease] = {}
        self._last_lease = 0
        self._revision = 0
        self._compacted = 0
        self._changed = asyncio.Event()
        self._closed = False

    async def get(self, key: str) -> Entry | None:
        """As of the port."""
        check_key(key)
        self._begin()
        return self._entries.get(key)

    async def scan(self, first: str, end: str, limit: int = MOST_ENTRIES) -> Page:
        """As of the port."""
        check_scan(first, end, limit)
        self._begin()
        keys = self._keys[bisect_left(self._keys, first) : bisect_left(self._keys, end)]
        return Page(tuple(self._entries[key] for key in keys[:limit]), self._revision, len(keys) > limit)

    async def snapshot(self, prefix: str) -> AsyncIterator[Page]:
        """As of the port."""
        check_prefix(prefix)
        self._begin()
        revision = self._revision
        keys = self._keys[bisect_left(self._keys, prefix) : bisect_left(self._keys, end_of(prefix))]
        entries = [self._entries[key] for key in keys]
        for start in range(0, len(entries) or 1, MOST_ENTRIES):
            page = tuple(entries[start : start + MOST_ENTRIES])
            yield Page(page, revision, start + MOST_ENTRIES < len(entries))

    async def commit(self, checks: Sequence[Check], writes: Sequence[Write]) -> int:
        """As of the port; nothing here outlives the process."""
        check_commit(checks, writes)
        self._begin()
        for check in checks:
            entry = self._entries.get(check.key)
            present = entry.version if entry else 0
            if present != check.version:
                raise conflict(check, present)
        for write in writes:
            if isinstance(write, Put) and write.lease and write.lease not in self._leases:
                raise lease_lost()
        return self._write(writes)

    def _write(self, writes: Sequence[Write]) -> int:
        effective = [write for write in writes if isinstance(write, Put) or write.key in self._entries]
        if not effective:
            return self._revision
        self._revision += 1
        for write in effective:
            old = self._entries.pop(write.key, None)
            self._tombstones.pop(write.key, None)
            if isinstance(write, Put):
                created = old.created if old else self._revision
                self._entries[write.key] = Entry(write.key, write.value, self._revision, created, write.lease)
                if old is None:
                    insort(self._keys, write.key)
            else:
                self._tombstones[write.key] = self._revision
                del self._keys[bisect_left(self._keys, write.key)]
        while len(self._tombstones) > MOST_TOMBSTONES:
            self._compacted = self._tombstones.pop(next(iter(self._tombstones)))
        self._wake()
        return self._revision

    async def grant(self, ttl: int) -> int:
        """As of the port."""
        check_ttl(ttl)
        self._begin()
        self._last_lease += 1
        self._leases[self._last_lease] = _Lease(ttl, self._clock.steady() + ttl)
        return self._last_lease

    async def keep(self, lease: int) -> int:
        """As of the port."""
        self._begin()
        if lease not in self._leases:
            raise lease_lost()
        self._leases[lease].ends = self._clock.steady() + self._leases[lease].ttl
        return self._leases[lease].ttl

    async def revoke(self, lease: int) -> None:
        """As of the port."""
        self._begin()
        if self._leases.pop(lease, None):
            self._drop_under({lease})

    async def time_to_live(self, lease: int) -> int:
        """As of the port."""
        self._begin()
        return self._leases[lease].ttl if lease in self._leases else 0

    def watch(self, prefix: str, after: int | None = None) -> Watch:
        """As of the port."""
        check_key(prefix)
        return aclosing(follow(self, prefix, after))

    async def changed(self, since: int) -> bool:
        """Wait for something newer than `since`, or for a moment."""
        if self._revision <= since and not self._closed:
            try:
                # wait_for would forget that it was cancelled if both happen at once.
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._changed.wait()
            except TimeoutError:
                return not self._closed  # perhaps a lease has ended; the next question finds out
        return not self._closed

    async def newer(self, prefix: str, after: int) -> Changes | None:
        """What changed below `prefix` after a revision; None if that is not known any more."""
        self._begin()
        if after < self._compacted or after > self._revision:
            return None
        told: list[tuple[int, str, Entry | None]] = []
        for entry in reversed(self._entries.values()):
            if entry.version <= after:
                break
            if entry.key.startswith(prefix):
                told.append((entry.version, entry.key, entry))
        for key in reversed(self._tombstones):
            if self._tombstones[key] <= after:
                break
            if key.startswith(prefix):
                told.append((self._tombstones[key], key, None))
        return cut(told, self._revision)

    async def compact(self, revision: int) -> bool:
        """As of the port."""
        self._begin()
        self._compacted = max(self._compacted, min(revision, self._revision))
        self._tombstones = {key: version for key, version in self._tombstones.items() if version > self._compacted}
        return True

    async def health(self) -> Health:
        """As of the port."""
        size = sum(len(entry.key) + len(entry.value) for entry in self._entries.values())
        return Health("memory", "this process", not self._closed, "", self._revision, size)

    async def close(self) -> None:
        """As of the port."""
        self._closed = True
        self._wake()

    def _begin(self) -> None:
        if self._closed:
            raise closed()
        now = self._clock.steady()
        ended = {lease for lease, held in self._leases.items() if held.ends <= now}
        if ended:
            for lease in ended:
                del self._leases[lease]
            self._drop_under(ended)

    def _drop_under(self, leases: set[int]) -> None:
        gone = [Delete(entry.key) for entry in self._entries.values() if entry.lease in leases]
        for start in range(0, len(gone), 100):
            self._write(gone[start : start + 100])

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
