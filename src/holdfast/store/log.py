"""Records that are only ever appended: numbered from 1 without a gap, the oldest dropped beyond a bound."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, Field

from holdfast.errors import Conflict, StoreDamaged, StoreUnavailable
from holdfast.sentences import Sentence

from .collection import Reader, Step, do
from .models import Count, Record
from .port import MOST_ENTRIES, Check, Delete, Engine, Entry, Put, Resync, end_of

T = TypeVar("T", bound=BaseModel)

_ATTEMPTS = 60  # to append while others do, too
_DIGITS = 12
_MOST_DROPPED = 20  # of old records, with one append
_log = logging.getLogger(__name__)


class _Head(Record):
    last: Count = 0
    first: int = Field(default=1, ge=1)  # the oldest that is kept


@dataclass(frozen=True, slots=True)
class Numbered(Generic[T]):
    """A record and its place in the log."""

    number: int
    record: T


@dataclass(frozen=True, slots=True)
class Unread:
    """What lies in a log and is not understood: its place, why, and what to do."""

    number: int
    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class Appended:
    """Steps that append, and the number of the first record that they write."""

    first: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a log holds: from `first` to `last`; empty if last is below first."""

    first: int
    last: int
    version: int  # of the head, which every append relies on


class Log(Generic[T]):
    """The records of one kind below `prefix`, which ends with a slash; at most `keep` of them, all if None."""

    def __init__(self, engine: Engine, prefix: str, model: type[T], keep: int | None = None) -> None:
        self.engine = engine
        self.prefix = prefix
        self.keep = keep
        self.read = Reader(model)
        self._head_key = f"{prefix}head"
        self._head = Reader(_Head)

    def key(self, number: int) -> str:
        """The key of a record: digits sort as numbers do."""
        return f"{self.prefix}n/{number:0{_DIGITS}d}"

    async def numbers(self) -> Numbers:
        """Which records there are now."""
        entry = await self.engine.get(self._head_key)
        if entry is None:
            return Numbers(1, 0, 0)
        try:
            head = self._head.one(entry)
        except StoreDamaged as error:  # what it says can be counted: each record lies under its number, without a gap
            _log.warning("%s: it is counted anew, and the next record puts it right", error.message)
            head = await self._counted()
        return Numbers(head.first, head.last, entry.version)

    async def _counted(self) -> _Head:
        """The head as the records themselves have it."""
        page = await self.engine.scan(f"{self.prefix}n/", end_of(f"{self.prefix}n/"), 1)
        if not page.entries:
            return _Head()
        first = last = int(page.entries[0].key[-_DIGITS:])
        step = 1
        while await self.engine.get(self.key(last + step)) is not None:
            last, step = last + step, 2 * step
        while step > 1:
            step //= 2
            if await self.engine.get(self.key(last + step)) is not None:
                last += step
        return _Head(last=last, first=first)

    def appending(self, records: Sequence[T], present: Numbers) -> Appended:
        """The steps that append, relying on the log being as `present` says."""
        last = present.last + len(records)
        wanted = present.first if self.keep is None else max(present.first, last - self.keep + 1)
        first = min(wanted, present.first + _MOST_DROPPED, present.last + 1)
        head = _Head(last=last, first=first)
        steps = [Step(Check(self._head_key, present.version), Put(self._head_key, head.model_dump_json().encode()))]
        for number, record in enumerate(records, present.last + 1):
            steps.append(Step(write=Put(self.key(number), record.model_dump_json().encode())))
        steps.extend(Step(write=Delete(self.key(number))) for number in range(present.first, first))
        return Appended(present.last + 1, tuple(steps))

    async def append(self, *records: T) -> int:
        """Append (at most 50) and return the number of the first; StoreUnavailable if others never let us through."""
        first, _ = await with_appends(self.engine, [], [Appending(self, records)])
        return first[0]

    async def get(self, number: int) -> T | None:
        """The record, or None."""
        entry = await self.engine.get(self.key(number)) if 0 < number < 10**_DIGITS else None
        return self.read.one(entry) if entry else None

    async def newest(self, before: int | None = None, limit: int = 100) -> tuple[Numbered[T], ...]:
        """At most `limit` records below the number `before`, newest first; StoreDamaged if one is not understood."""
        return tuple(map(_understood, await self.newest_told(before, limit)))

    async def newest_told(self, before: int | None = None, limit: int = 100) -> tuple[Numbered[T] | Unread, ...]:
        """The same for lists, which one damaged record must not keep from showing the others."""
        numbers = await self.numbers()
        end = min(before if before is not None else numbers.last + 1, numbers.last + 1)
        found = await self._between(max(numbers.first, end - limit), end)
        return found[::-1]

    async def oldest(self, after: int = 0, limit: int = 100) -> tuple[Numbered[T], ...]:
        """At most `limit` records behind the number `after`, oldest first; StoreDamaged if one is not understood."""
        return tuple(map(_understood, await self.oldest_told(after, limit)))

    async def oldest_told(self, after: int = 0, limit: int = 100) -> tuple[Numbered[T] | Unread, ...]:
        """The same for lists, which one damaged record must not keep from showing the others."""
        numbers = await self.numbers()
        first = max(numbers.first, after + 1)
        return await self._between(first, min(first + limit, numbers.last + 1))

    async def _between(self, first: int, end: int) -> tuple[Numbered[T] | Unread, ...]:
        """Pages are asked for at once: their bounds are known, and numbers do not move."""
        starts = range(first, end, MOST_ENTRIES)
        bounds = [(self.key(start), self.key(min(start + MOST_ENTRIES, end))) for start in starts]
        pages = await asyncio.gather(*(self._page(first, last) for first, last in bounds))
        return tuple([one for page in pages for one in page])

    async def _page(self, first: str, end: str) -> list[Numbered[T] | Unread]:
        entries = (await self.engine.scan(first, end)).entries
        try:
            records = self.read.many(entries)
        except StoreDamaged:
            return [self._told(entry) for entry in entries]
        return [Numbered(int(e.key[-_DIGITS:]), record) for e, record in zip(entries, records, strict=True)]

    def _told(self, entry: Entry) -> Numbered[T] | Unread:
        number = int(entry.key[-_DIGITS:])
        try:
            return Numbered(number, self.read.one(entry))
        except StoreDamaged as error:
            return Unread(number, error.message, error.hint or "")

    def follow(self, after: int | None = None) -> Following[T]:
        """Records as they come, behind the number `after` (None: only new ones), in order, none twice.

        Whoever is so slow that records are dropped meanwhile misses those, and sees it by the numbers; so it is with
        what is not understood.
        """
        return aclosing(self._follow(after))

    async def _follow(self, after: int | None) -> AsyncGenerator[Numbered[T], None]:
        if after is None:
            after = (await self.numbers()).last
        async with self.engine.watch(self._head_key) as told:
            async for one in told:  # the head alone: how many there are is known, and they are read page by page
                entry = one.entries[0] if isinstance(one, Resync) and one.entries else None
                last = self._last_of(entry) or (await self.numbers()).last
                while after < last:
                    found = await self.oldest_told(after, 100)
                    if not found:
                        break
                    for record in found:
                        if isinstance(record, Numbered):
                            yield record
                        else:
                            _log.warning("%s: those that follow it are told", record.why)
                    after = found[-1].number

    def _last_of(self, head: Entry | None) -> int:
        """What a head says; 0 if it does not."""
        try:
            return self._head.one(head).last if head else 0
        except StoreDamaged:
            return 0


def _understood(one: Numbered[T] | Unread) -> Numbered[T]:
    if isinstance(one, Unread):
        raise StoreDamaged(one.why, one.hint)
    return one


Following = AbstractAsyncContextManager[AsyncGenerator[Numbered[T], None]]


@dataclass(frozen=True, slots=True)
class Appending(Generic[T]):
    """Records for a log, to be appended together with something else."""

    log: Log[T]
    records: Sequence[T]


async def with_appends(
    engine: Engine,
    steps: Sequence[Step],
    appends: Sequence[Appending[Any]],
    *,
    pause: Callable[[int], float] = lambda attempt: random.uniform(0, 0.002 * min(attempt, 25)),
) -> tuple[tuple[int, ...], int]:
    """Steps and appends at once, or nothing: the first number in each log, and the version of what was written.

    That others appended meanwhile is no conflict: the numbers are taken anew.
    """
    heads = {one.log._head_key for one in appends}
    for attempt in range(_ATTEMPTS):
        drawn = [one.log.appending(one.records, await one.log.numbers()) for one in appends]
        whole = [*steps, *(step for one in drawn for step in one.steps)]
        try:
            version = await do(engine, whole)
        except Conflict as conflict:
            if conflict.key not in heads:
                raise
            await asyncio.sleep(pause(attempt))
        else:
            return tuple(one.first for one in drawn), version
    raise StoreUnavailable(
        Sentence("%(n)s times others were first to write to the log", n=_ATTEMPTS),
        "the store is very busy; try again in a moment",
    )
