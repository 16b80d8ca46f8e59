"""The kinds of stores under the one contract: how each is opened for a test, and how time passes for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from holdfast.store.address import EtcdAddress, EtcdCredentials
from holdfast.store.etcd.engine import EtcdEngine
from holdfast.store.memory import MemoryEngine
from holdfast.store.port import Changes, Engine, Resync, Told
from holdfast.store.sqlite import SqliteEngine

T = TypeVar("T")


class ManualClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.wall = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self.booted = "first"

    def now(self) -> datetime:
        return self.wall + timedelta(seconds=self.seconds)

    def steady(self) -> float:
        return self.seconds

    def boot(self) -> str:
        return self.booted


@dataclass
class Kind:
    """One kind of store, for one test: every `open` sees the same content."""

    name: str
    folder: Path
    endpoints: tuple[tuple[str, int], ...] = ()
    clock: ManualClock = field(default_factory=ManualClock)
    _memory: MemoryEngine | None = None

    async def engine(self) -> Engine:
        """The engine; a memory engine is the same one each time."""
        if self.name == "memory":
            self._memory = self._memory or MemoryEngine(self.clock)
            return self._memory
        if self.name == "etcd":
            return EtcdEngine(EtcdAddress(self.endpoints, self.folder.name), EtcdCredentials())
        assert self.name == "sqlite"
        return await SqliteEngine.open(self.folder / "store.db", self.clock)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Engine]:
        """The engine, closed at the end."""
        engine = await self.engine()
        try:
            yield engine
        finally:
            if self.name != "memory":
                await engine.close()

    async def let_pass(self, seconds: float) -> None:
        """Time passes for leases."""
        self.clock.seconds += seconds
        if self.name == "etcd":  # it has a clock of its own
            await asyncio.sleep(seconds)

    async def until(self, ended: Callable[[], Awaitable[bool]]) -> None:
        """Time passes, until something has ended with its lease of 2 s; long after it should have, at the latest."""
        for _ in range(20):
            await self.let_pass(2.5 if self.name != "etcd" else 0.5)
            if await ended():
                return
        raise AssertionError("the lease does not end")


async def compact(engine: Engine, revision: int) -> None:
    """Forget what was before, also in an etcd that tests share: as its own administrator would."""
    if not await engine.compact(revision):
        assert isinstance(engine, EtcdEngine)
        await engine._client.repeat("kv/compaction", {"revision": str(revision)})


def run(scenario: Coroutine[Any, Any, T], seconds: float = 30) -> T:
    """Run a test's coroutine, bounded."""

    async def bounded() -> T:
        return await asyncio.wait_for(scenario, seconds)

    return asyncio.run(bounded())


class Mirror:
    """What a watcher knows, if it does as it is told."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.revision = 0
        self.resyncs = 0
        self.told: list[Told] = []

    def take(self, told: Told) -> None:
        assert told.revision >= self.revision
        self.revision = told.revision
        self.told.append(told)
        if isinstance(told, Resync):
            self.resyncs += 1
            self.content = {entry.key: entry.value for entry in told.entries}
            return
        assert isinstance(told, Changes)
        for change in told.changes:
            if change.entry is None:
                self.content.pop(change.key, None)
            else:
                self.content[change.key] = change.entry.value

    async def until(self, told: AsyncIterator[Told], wanted: dict[str, bytes], seconds: float = 10) -> None:
        """Take what is told until the content is as wanted."""

        async def take() -> None:
            while self.content != wanted:
                self.take(await anext(told))

        try:
            await asyncio.wait_for(take(), seconds)
        except TimeoutError:
            raise AssertionError(f"after {seconds} s: {self.content}") from None
