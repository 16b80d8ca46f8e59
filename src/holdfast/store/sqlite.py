"""A store in one SQLite file: the default, nothing to install; several processes of one machine may share it.

What is asked while a thread works is done next in one go: questions in one hop, commits in one transaction with one
wait for the disk. Each commit keeps its own revision, and its own answer.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from holdfast.errors import StoreDamaged, StoreError, StoreFull

from .clock import Clock, SystemClock
from .port import (
    MOST_ENTRIES,
    Changes,
    Check,
    Entry,
    Health,
    Page,
    Put,
    Told,
    Watch,
    Write,
    check_commit,
    check_key,
    check_prefix,
    check_scan,
    check_ttl,
    end_of,
)
from .refusals import closed
from .sqlite_file import connect, full, is_full, translate
from .sqlite_lane import Lane
from .sqlite_statements import Statements
from .tail import follow

T = TypeVar("T")

_LOOK_EVERY = 0.1  # seconds: for what other processes wrote and for leases that ended, while anybody watches
_MOST_TOGETHER = 4_000_000  # bytes of one transaction, of several commits


@dataclass(frozen=True, slots=True)
class _Commit:
    checks: Sequence[Check]
    writes: Sequence[Write]

    @property
    def size(self) -> int:
        return sum(len(write.value) for write in self.writes if isinstance(write, Put))


class SqliteEngine:
    """The port on a file. One thread writes and one reads, so that the event loop never waits for a disk."""

    def __init__(self, path: Path, clock: Clock, writer: Statements, reader: Statements) -> None:
        self.path = path
        self._clock = clock
        self._writer = writer
        self._reader = reader
        self._writing: Lane[Callable[[Statements], object] | _Commit] = Lane("store-write", self._written)
        self._reading: Lane[Callable[[Statements], object]] = Lane("store-read", self._found)
        self._changed = asyncio.Event()
        self._newest = 0  # the newest revision that this process knows of
        self._watchers = 0
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    @classmethod
    async def open(cls, path: Path, clock: Clock | None = None) -> SqliteEngine:
        """The store at `path`, made if there is none; StoreUnavailable, StoreDamaged or StoreFull otherwise."""
        clock = clock or SystemClock()

        def both() -> tuple[Statements, Statements]:
            writer = Statements(connect(path), clock)
            try:
                writer.after_a_boot()
                return writer, Statements(connect(path), clock)
            except sqlite3.Error as error:
                writer.close()
                raise translate(error, path) from error
            except BaseException:
                writer.close()
                raise

        return cls(path, clock, *await asyncio.to_thread(both))

    async def get(self, key: str) -> Entry | None:
        """As of the port."""
        check_key(key)
        return await self._fresh(lambda db: db.get(key))

    async def scan(self, first: str, end: str, limit: int = MOST_ENTRIES) -> Page:
        """As of the port."""
        check_scan(first, end, limit)
        return await self._fresh(lambda db: db.scan(first, end, limit))

    async def snapshot(self, prefix: str) -> AsyncIterator[Page]:
        """As of the port: a connection of its own, in one reading transaction."""
        check_prefix(prefix)
        await self._end_leases()
        self._must_be_open()
        own = Statements(await asyncio.to_thread(connect, self.path), self._clock)
        try:
            await asyncio.to_thread(self._translated, own.begin_reading)
            first, more = prefix, True
            while more:
                page = await asyncio.to_thread(self._translated, partial(own.scan, first, end_of(prefix), MOST_ENTRIES))
                more = page.more
                if page.entries:
                    first = page.entries[-1].key + "!"
                yield page
        finally:
            own.close()

    async def commit(self, checks: Sequence[Check], writes: Sequence[Write]) -> int:
        """As of the port; on the disk when it returns."""
        check_commit(checks, writes)
        self._must_be_open()
        return self._note(cast(int, await self._writing.do(_Commit(checks, writes))))

    async def grant(self, ttl: int) -> int:
        """As of the port."""
        check_ttl(ttl)
        return await self._write(lambda db: db.grant(ttl))

    async def keep(self, lease: int) -> int:
        """As of the port."""
        return await self._write(lambda db: db.keep(lease))

    async def revoke(self, lease: int) -> None:
        """As of the port."""
        self._note(await self._write(lambda db: db.revoke(lease)))

    async def time_to_live(self, lease: int) -> int:
        """As of the port."""
        return await self._fresh(lambda db: db.time_to_live(lease))

    def watch(self, prefix: str, after: int | None = None) -> Watch:
        """As of the port."""
        check_key(prefix)
        return aclosing(self._watch(prefix, after))

    async def _watch(self, prefix: str, after: int | None) -> AsyncGenerator[Told, None]:
        self._watchers += 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            async with aclosing(follow(self, prefix, after)) as told:
                async for one in told:
                    yield one
        finally:
            self._watchers -= 1
            if self._watchers == 0 and self._looking:
                self._looking.cancel()
                self._looking = None

    async def _look(self) -> None:
        """What other processes do wakes nobody here, so somebody has to look."""
        known = -1
        while not self._closed:
            with suppress(StoreError):  # whoever watches meets the same when it reads
                version, revision = await self._fresh(lambda db: (db.data_version(), db.revision()))
                if version != known:
                    known = version
                    self._note(revision)
            await asyncio.sleep(_LOOK_EVERY)

    async def changed(self, since: int) -> bool:
        """Wait for something newer than `since`; False when closed."""
        while self._newest <= since and not self._closed:
            await self._changed.wait()
        return not self._closed

    async def newer(self, prefix: str, after: int) -> Changes | None:
        """What changed below `prefix` after a revision; None if that is not known any more."""
        return await self._read(lambda db: db.newer(prefix, after))

    async def compact(self, revision: int) -> bool:
        """As of the port."""
        await self._write(lambda db: db.compact(revision))
        return True

    async def health(self) -> Health:
        """As of the port: whether it can be written is found out by beginning to."""
        try:
            revision = await self._read(lambda db: db.revision())
            size = await self._read(lambda db: db.size())
        except StoreError as error:
            return Health("sqlite", str(self.path), False, error.message, 0, 0)
        try:
            await self._write(lambda db: db.try_to_write())
            if is_full(self.path):
                raise full(self.path)  # the next large record would not find room
        except StoreError as error:
            return Health("sqlite", str(self.path), False, error.message, revision, size)
        return Health("sqlite", str(self.path), True, "", revision, size)

    async def close(self) -> None:
        """As of the port."""
        if self._closed:
            return
        self._closed = True
        self._wake()
        if self._looking:
            self._looking.cancel()
            self._looking = None
        for lane in (self._reading, self._writing):
            await lane.close()
        await asyncio.to_thread(self._reader.close)
        await asyncio.to_thread(self._writer.close)

    async def _fresh(self, ask: Callable[[Statements], T]) -> T:
        """What is read once leases that have run out are ended: nearly always none has, and it is one question."""

        def unless_ended(db: Statements) -> tuple[T] | None:
            return None if db.any_lease_ended() else (ask(db),)

        found = await self._read(unless_ended)
        if found is None:
            await self._end_leases()
            return await self._read(ask)
        return found[0]

    async def _end_leases(self) -> None:
        """Reading goes on if a lease that has ended cannot be ended in the file: it is locked, or the disk is full."""
        if await self._read(lambda db: db.any_lease_ended()):
            with suppress(StoreError):
                self._note(await self._write(lambda db: db.end_leases()))

    async def _read(self, ask: Callable[[Statements], T]) -> T:
        self._must_be_open()
        return cast(T, await self._reading.do(ask))

    async def _write(self, change: Callable[[Statements], T]) -> T:
        self._must_be_open()
        return cast(T, await self._writing.do(change))

    def _found(self, asked: Sequence[Callable[[Statements], object]]) -> list[object]:
        return [self._outcome(partial(ask, self._reader)) for ask in asked]

    def _written(self, jobs: Sequence[Callable[[Statements], object] | _Commit]) -> list[object]:
        """In their order; commits that follow each other are one transaction."""
        results: list[object] = []
        together: list[_Commit] = []
        for job in jobs:
            if together and not (isinstance(job, _Commit) and _size(together) + job.size <= _MOST_TOGETHER):
                results += self._committed(together)
                together = []
            if isinstance(job, _Commit):
                together.append(job)
            else:
                results.append(self._outcome(partial(job, self._writer)))
        return results + self._committed(together)

    def _committed(self, commits: Sequence[_Commit]) -> list[object]:
        """Where not all of them can be done together, each is tried alone: one that is too large, that meets a damaged
        page, or that nobody foresaw, harms no other. A file that is locked is so for all."""
        if len(commits) > 1:
            together = self._outcome(partial(self._writer.commit_all, [(c.checks, c.writes) for c in commits]))
            if isinstance(together, list):
                return together
            if isinstance(together, StoreError) and not isinstance(together, StoreFull | StoreDamaged):
                return [together] * len(commits)
        return [self._outcome(partial(self._writer.commit, one.checks, one.writes)) for one in commits]

    def _outcome(self, call: Callable[[], object]) -> object:
        """What a call returns, or the error that it ends with: one of many must not end the others.

        Errors that nobody foresaw, too: what was committed before in the same turn is on the disk, and is told so.
        """
        try:
            return self._translated(call)
        except Exception as error:  # noqa: BLE001  # raised again where the call came from
            return error

    def _translated(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except sqlite3.Error as error:
            raise translate(error, self.path) from error

    def _must_be_open(self) -> None:
        if self._closed:
            raise closed()

    def _note(self, revision: int) -> int:
        if revision > self._newest:
            self._newest = revision
            self._wake()
        return revision

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _size(commits: Sequence[_Commit]) -> int:
    return sum(one.size for one in commits)
