"""How long the store takes, on each kind of engine: to write, to read, to tell a watcher, to list 10,000 revisions."""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from scripts.benches.figures import Bench, Figure
from tests.store.etcd_cluster import EtcdCluster

from holdfast.store.address import EtcdAddress, EtcdCredentials
from holdfast.store.etcd.engine import EtcdEngine
from holdfast.store.log import Log
from holdfast.store.memory import MemoryEngine
from holdfast.store.models import Revision
from holdfast.store.port import Engine, Put
from holdfast.store.sqlite import SqliteEngine
from holdfast.store.store import Store

TIMES = 200
REVISIONS = 10_000
LONGEST_LIST = 100.0  # ms, of a page
# ms, of all at once; etcd itself takes most of it, to put 5 MB into JSON
LONGEST_WHOLE = {"memory": 100.0, "sqlite": 100.0, "etcd": 500.0}
# ms, median; a commit on SQLite waits for the disk, on etcd for three members
LONGEST = {"memory": (1.0, 1.0, 60.0), "sqlite": (20.0, 3.0, 25.0), "etcd": (20.0, 10.0, 25.0)}
_A_BATCH = 49


async def fill(engine: Engine, count: int) -> None:
    """So many revisions of the cluster `shop`, many at a time."""
    log = Log(engine, "cluster/shop/revision/", Revision)
    for start in range(1, count + 1, _A_BATCH):
        await log.append(*(_revision(number) for number in range(start, min(start + _A_BATCH, count + 1))))


def _revision(number: int) -> Revision:
    return Revision(
        number=number,
        base=number - 1,
        author="anna.schmidt",
        message=f"weight of web{number % 50:02d} for the sale, ticket OPS-{number}",
        time=datetime(2026, 3, 1, tzinfo=UTC),
        digest=f"{number:064x}",
    )


async def listed(engine: Engine, limit: int, clock: Callable[[], float] = time.perf_counter, times: int = 5) -> float:
    """Milliseconds of `clock` to list the newest `limit` of REVISIONS; the best of so many times."""
    revisions = (await Store.open(engine)).cluster("shop").revisions
    took = []
    for _ in range(times):
        began = clock()
        found = await revisions.list(limit=limit)
        took.append((clock() - began) * 1000)
        assert [one.number for one in found] == list(range(REVISIONS, REVISIONS - limit, -1))
    return min(took)


async def _median(ask: Callable[[int], Awaitable[object]]) -> float:
    times = []
    for number in range(TIMES):
        began = time.perf_counter()
        await ask(number)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


async def _told(engine: Engine) -> float:
    times = []
    async with engine.watch("told/") as told:
        await anext(told)
        for _ in range(TIMES // 4):
            began = time.perf_counter()
            commit = asyncio.create_task(engine.commit([], [Put("told/1", b"x" * 500)]))
            await anext(told)
            times.append((time.perf_counter() - began) * 1000)
            await commit
    return statistics.median(times)


async def _measure(name: str, engine: Engine) -> tuple[Figure, ...]:
    write = await _median(lambda number: engine.commit([], [Put(f"write/{number % 50}", b"x" * 500)]))
    read = await _median(lambda number: engine.get(f"write/{number % 50}"))
    told = await _told(engine)
    await fill(engine, REVISIONS)
    page, whole = await listed(engine, 1000), await listed(engine, REVISIONS)
    most = LONGEST[name]
    return (
        Figure(f"store on {name}: a write", write, most[0], " ms", f"median of {TIMES} commits of 500 bytes"),
        Figure(f"store on {name}: a read", read, most[1], " ms", f"median of {TIMES}"),
        Figure(f"store on {name}: write until told", told, most[2], " ms", "median; the watcher is in this process"),
        Figure(f"store on {name}: a page of revisions", page, LONGEST_LIST, " ms", f"the newest 1000 of {REVISIONS}"),
        Figure(f"store on {name}: {REVISIONS} revisions", whole, LONGEST_WHOLE[name], " ms", "all, newest first"),
    )


@asynccontextmanager
async def engines(folder: Path) -> AsyncIterator[dict[str, Engine]]:
    """One of each kind; etcd, with three members, where it is installed."""
    found: dict[str, Engine] = {"memory": MemoryEngine(), "sqlite": await SqliteEngine.open(folder / "store.db")}
    cluster = EtcdCluster()
    try:
        if shutil.which("etcd"):
            await asyncio.to_thread(cluster.start)
            found["etcd"] = EtcdEngine(EtcdAddress(cluster.endpoints), EtcdCredentials())
        yield found
    finally:
        for engine in found.values():
            await engine.close()
        cluster.stop()


async def figures() -> tuple[Figure, ...]:
    """All of them, taken here."""
    with tempfile.TemporaryDirectory() as folder:
        async with engines(Path(folder)) as found:
            return tuple([one for name, engine in found.items() for one in await _measure(name, engine)])


def measure() -> tuple[Figure, ...]:
    """As a bench."""
    return asyncio.run(figures())


BENCH = Bench("store", here=measure)
