"""Records under names: read, listed and written by compare-and-swap."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar
from urllib.parse import quote, unquote

from pydantic import BaseModel, TypeAdapter, ValidationError

from holdfast.errors import StoreDamaged
from holdfast.sentences import Sentence

from .port import Check, Delete, Engine, Entry, Put, Resync, Write, end_of

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Versioned(Generic[T]):
    """A record as it was read: a write that relies on it names `version`."""

    name: str
    record: T
    version: int
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Damaged:
    """What lies under a name and is not understood: why, and what it is, word for word."""

    name: str
    version: int
    why: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """Records in the order of their names; `after` is what to pass for the next page, empty at the end."""

    items: tuple[Versioned[T], ...]
    revision: int
    after: str = ""


@dataclass(frozen=True, slots=True)
class Update(Generic[T]):
    """What became of records, by name; None: it has gone. With `resync` these are all that there are.

    A record that is not understood is left out and named in `broken`: one bad record must not blind a watcher.
    """

    revision: int
    resync: bool
    items: tuple[tuple[str, Versioned[T] | None], ...]
    broken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """A write, what it relies on, or both; not yet done: Store.commit does one or several at once, or none."""

    check: Check | None = None
    write: Write | None = None


def key_of(*names: str) -> str:
    """Names joined to a key; whatever they are made of, none reaches out of its place."""
    return "/".join(quote(name, safe="@:+,") for name in names)


@cache
def _adapters(model: type[BaseModel]) -> tuple[TypeAdapter[Any], TypeAdapter[Any]]:
    """Made once for each model: it takes longer than most of what is done with them."""
    return TypeAdapter(model), TypeAdapter(list[model])  # type: ignore[valid-type]  # a type made at run time


class Reader(Generic[T]):
    """Turns entries into records of one model, many at once."""

    def __init__(self, model: type[T]) -> None:
        self._one: TypeAdapter[T]
        self._many: TypeAdapter[list[T]]
        self._one, self._many = _adapters(model)

    def one(self, entry: Entry) -> T:
        """The record of an entry; StoreDamaged if it is none."""
        try:
            return self._one.validate_json(entry.value)
        except ValidationError as error:
            raise _not_understood(entry.key, error) from None

    def many(self, entries: Sequence[Entry]) -> list[T]:
        """The records of many entries: one parse is several times as fast as many."""
        try:
            return self._many.validate_json(b"[" + b",".join(entry.value for entry in entries) + b"]")
        except ValidationError:
            return [self.one(entry) for entry in entries]  # says which


class Collection(Generic[T]):
    """The records of one kind, under `prefix`, which ends with a slash."""

    def __init__(self, engine: Engine, prefix: str, model: type[T]) -> None:
        self.engine = engine
        self.prefix = prefix
        self.read = Reader(model)

    def key(self, name: str) -> str:
        """The key of a name."""
        return self.prefix + key_of(name)

    def name(self, key: str) -> str:
        """The name of a key."""
        return unquote(key.removeprefix(self.prefix))

    def versioned(self, entry: Entry) -> Versioned[T]:
        """An entry as what it stands for."""
        return Versioned(self.name(entry.key), self.read.one(entry), entry.version, entry.lease)

    async def get(self, name: str) -> Versioned[T] | None:
        """The record, or None."""
        entry = await self.engine.get(self.key(name))
        return self.versioned(entry) if entry else None

    async def list(self, after: str = "", limit: int = 500) -> Listing[T]:
        """At most `limit` records behind the name `after`."""
        first = self.key(after) + "!" if after else self.prefix  # "!" is below all that a quoted name goes on with
        page = await self.engine.scan(first, end_of(self.prefix), limit)
        records = self.read.many(page.entries)
        items = tuple(
            Versioned(self.name(entry.key), record, entry.version, entry.lease)
            for entry, record in zip(page.entries, records, strict=True)
        )
        return Listing(items, page.revision, items[-1].name if page.more else "")

    async def all(self) -> tuple[Versioned[T], ...]:
        """Every record, as of one moment."""
        return tuple(
            [self.versioned(entry) async for page in self.engine.snapshot(self.prefix) for entry in page.entries]
        )

    async def sound(self) -> tuple[tuple[Versioned[T], ...], tuple[Damaged, ...]]:
        """Every record that is understood, and whatever else lies there, as of one moment."""
        items, damaged = [], []
        async for page in self.engine.snapshot(self.prefix):
            for entry in page.entries:
                try:
                    items.append(self.versioned(entry))
                except StoreDamaged as error:
                    damaged.append(Damaged(self.name(entry.key), entry.version, error.message, entry.value))
        return tuple(items), tuple(damaged)

    async def names(self) -> tuple[str, ...]:
        """What there are records of, understood or not."""
        return tuple([self.name(one.key) async for page in self.engine.snapshot(self.prefix) for one in page.entries])

    async def version(self, name: str) -> int:
        """The version of whatever lies under a name, understood or not; 0: nothing does."""
        entry = await self.engine.get(self.key(name))
        return entry.version if entry else 0

    def watch(self, after: int | None = None) -> AbstractAsyncContextManager[AsyncIterator[Update[T]]]:
        """What becomes of the records behind the revision `after`; None: begin with all of them. As of Engine.watch."""
        return aclosing(self._watch(after))

    async def _watch(self, after: int | None) -> AsyncGenerator[Update[T], None]:
        async with self.engine.watch(self.prefix, after) as told:
            async for one in told:
                if isinstance(one, Resync):
                    yield self._update(one.revision, [(entry.key, entry) for entry in one.entries], resync=True)
                else:
                    yield self._update(one.revision, [(change.key, change.entry) for change in one.changes])

    def _update(self, revision: int, changed: Sequence[tuple[str, Entry | None]], *, resync: bool = False) -> Update[T]:
        items: list[tuple[str, Versioned[T] | None]] = []
        broken: list[str] = []
        for key, entry in changed:
            try:
                items.append((self.name(key), self.versioned(entry) if entry else None))
            except StoreDamaged:
                broken.append(self.name(key))
        return Update(revision, resync, tuple(items), tuple(broken))

    def creating(self, name: str, record: T, lease: int = 0) -> Step:
        """The step that writes a record which must not be there yet."""
        return self.replacing(name, record, 0, lease)

    def replacing(self, name: str, record: T, version: int, lease: int = 0) -> Step:
        """The step that writes a record in place of the one with `version`."""
        key = self.key(name)
        return Step(Check(key, version), Put(key, record.model_dump_json().encode(), lease))

    def deleting(self, name: str, version: int) -> Step:
        """The step that removes a record with `version`."""
        return Step(Check(self.key(name), version), Delete(self.key(name)))

    async def create(self, name: str, record: T, lease: int = 0) -> int:
        """Write a new record and return its version; Conflict if there is one of that name."""
        return await do(self.engine, [self.creating(name, record, lease)])

    async def replace(self, name: str, record: T, version: int, lease: int = 0) -> int:
        """Write in place of the record with `version` and return the new one; Conflict if it is another by now."""
        return await do(self.engine, [self.replacing(name, record, version, lease)])

    async def delete(self, name: str, version: int) -> None:
        """Remove the record with `version`; Conflict if it is another by now."""
        await do(self.engine, [self.deleting(name, version)])


async def do(engine: Engine, steps: Sequence[Step]) -> int:
    """All of the steps at once, or none: Conflict. Returns the version of what was written."""
    return await engine.commit([s.check for s in steps if s.check], [s.write for s in steps if s.write])


_CLEARABLE = re.compile(
    r"cluster/[^/]+/(?:override|registration|node|report|revision/n|other/(?:assignment|rollout|rollout-head|move))/"
    r"|known-cluster/"
)


def _not_understood(key: str, error: ValidationError) -> StoreDamaged:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the record"
    said = Sentence(
        "%(key)s in the store is not understood: %(where)s: %(what)s", key=key, where=where, what=first["msg"]
    )
    if _CLEARABLE.match(key):
        return StoreDamaged(
            said,
            Sentence(
                "it was written by a newer version, or by hand: update this program, "
                "clear it (holdfast damaged list), or restore a dump"
            ),
        )
    return StoreDamaged(
        said,
        Sentence("it was written by a newer version, or by hand: update this program, or restore a dump"),
    )
