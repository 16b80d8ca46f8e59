"""The store in an SQLite file when things go wrong: killed, full, locked, damaged, shared, another boot."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.disk import fill, small_disk
from tests.store.kinds import ManualClock, Mirror, run

from holdfast.errors import Conflict, StoreDamaged, StoreFull, StoreUnavailable
from holdfast.store import sqlite_file
from holdfast.store.port import Changes, Check, Delete, Put
from holdfast.store.sqlite import SqliteEngine
from holdfast.store.store import Store

ROOT = Path(__file__).resolve().parents[2]


def writer(path: Path, what: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "tests.store.sqlite_writer", str(path), what]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)


async def opened(path: Path) -> SqliteEngine:
    return await SqliteEngine.open(path, ManualClock())


@pytest.mark.lab
@pytest.mark.parametrize("rounds", [4, pytest.param(60, marks=pytest.mark.soak)])
def test_killed_in_mid_write_nothing_acknowledged_is_lost_and_nothing_is_half_there(
    tmp_path: Path, rounds: int
) -> None:
    path = tmp_path / "store.db"
    acknowledged = 0
    for _ in range(rounds):
        process = writer(path, "revisions")
        assert process.stdout is not None
        first = process.stdout.readline()  # it has begun
        time.sleep(random.uniform(0, 0.3))
        process.kill()
        told = [first.strip(), *process.stdout.read().split()]
        process.wait(60)
        acknowledged = max(acknowledged, *(int(one) for one in told if one))
        run(_check_revisions(path, acknowledged))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def _check_revisions(path: Path, acknowledged: int) -> None:
    engine = await SqliteEngine.open(path)
    revisions = (await Store.open(engine)).cluster("shop").revisions
    last = await revisions.newest_number()
    assert last - 1 <= acknowledged <= last  # one may have been written and not been told of
    listed = await revisions.list(limit=last)
    assert [one.number for one in listed] == list(range(last, 0, -1))
    for number in {1, last}:
        content = await revisions.content(number)
        assert content is not None
        assert content.spec == f"# {number}\n" * 2000
    assert await revisions.content(last + 1) is None
    await engine.close()


@pytest.fixture(name="disk")
def a_small_disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 8) as made:
        yield made


async def write_on(engine: SqliteEngine, written: list[str]) -> None:
    for number in range(500):
        key = f"k/{number:04d}"
        await engine.commit([], [Put(key, os.urandom(3000))])
        written.append(key)


@pytest.mark.lab
def test_a_full_disk_refuses_writes_harms_nothing_and_is_read(disk: Path) -> None:
    path = disk / "store.db"

    async def scenario() -> None:
        engine = await opened(path)
        clock = engine._clock
        assert isinstance(clock, ManualClock)
        lease = await engine.grant(10)
        await engine.commit([], [Put("k/leased", b"1", lease)])
        ballast = fill(disk)
        written: list[str] = []
        with pytest.raises(StoreFull, match="the disk is full") as raised:
            await write_on(engine, written)
        assert "make room" in raised.value.hint
        assert not (await engine.health()).writable
        clock.seconds += 60  # what has ended cannot be removed now: it is still read, and reading goes on
        page = await engine.scan("k/", "k0")
        assert len(page.entries) == len(written) + 1
        with pytest.raises(StoreFull):
            await SqliteEngine.open(disk / "another.db")
        ballast.unlink()
        await engine.commit([], [Put("k/last", b"x")])
        page = await engine.scan("k/", "k0")
        assert [e.key for e in page.entries] == [*written, "k/last"]
        assert (await engine.health()).writable
        await engine.close()

    run(scenario())


@pytest.mark.lab
def test_one_commit_that_finds_no_room_does_not_take_others_with_it(disk: Path) -> None:
    async def scenario() -> None:
        engine = await opened(disk / "store.db")
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        (disk / "ballast").write_bytes(b"x" * (free - 700_000))
        steps = [[Put(f"small/{n}", b"x")] for n in range(20)]
        steps.insert(10, [Put("large", os.urandom(900_000))])
        told = await asyncio.gather(*(engine.commit([], each) for each in steps), return_exceptions=True)
        assert [n for n, one in enumerate(told) if not isinstance(one, int)] == [10]
        assert isinstance(told[10], StoreFull)
        page = await engine.scan("!", "~")
        assert [entry.key for entry in page.entries] == sorted(f"small/{n}" for n in range(20))
        await engine.close()

    run(scenario())


@pytest.mark.lab
def test_two_processes_on_one_file_lose_no_update(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    processes = [writer(path, "count") for _ in range(2)]
    told = []
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        told += [int(one) for one in out.split()]
    assert sorted(told) == list(range(1, 401))


@pytest.mark.lab
def test_what_another_process_writes_is_told_and_its_leases_end(tmp_path: Path) -> None:
    path = tmp_path / "store.db"

    async def scenario() -> None:
        engine = await SqliteEngine.open(path)
        mirror = Mirror()
        async with engine.watch("w/") as told:
            mirror.take(await anext(told))
            process = await asyncio.to_thread(writer, path, "lease")
            await mirror.until(told, {"w/leased": b"x"})
            await asyncio.to_thread(process.communicate)
            await mirror.until(told, {})  # that process is gone, and so is its lease
        await engine.close()

    run(scenario())


def test_a_file_that_somebody_keeps_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "PATIENCE", 0.2)
    path = tmp_path / "store.db"

    async def scenario() -> None:
        engine = await opened(path)
        await engine.commit([], [Put("a", b"1")])
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked by another process") as raised:
            await engine.commit([], [Put("a", b"2")])
        assert "fuser" in raised.value.hint
        entry = await engine.get("a")
        assert entry is not None
        assert entry.value == b"1"
        other.execute("ROLLBACK")
        other.close()
        await engine.commit([], [Put("a", b"2")])
        await engine.close()

    run(scenario())


@pytest.mark.parametrize("linked", [False, True], ids=["itself", "by a link that leads nowhere yet"])
def test_nobody_else_may_read_the_file(tmp_path: Path, linked: bool) -> None:
    folder, path = tmp_path / "there", tmp_path / ("link.db" if linked else "there/store.db")
    folder.mkdir()
    if linked:
        path.symlink_to(folder / "store.db")

    async def scenario() -> None:
        engine = await opened(path)
        await engine.commit([], [Put("a", b"1")])
        assert (folder / "store.db").exists()
        for file in folder.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        await engine.close()

    before = os.umask(0)
    try:
        run(scenario())
    finally:
        os.umask(before)


def test_what_is_no_store_is_said(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("these are no pages of a database, but it is long enough\n" * 100)
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE shoes (size INTEGER)")
    with contextlib.closing(sqlite3.connect(tmp_path / "newer.db")) as newer:
        newer.executescript(
            f"CREATE TABLE state (id); PRAGMA application_id = {sqlite_file.APPLICATION}; PRAGMA user_version = 99"
        )
    (tmp_path / "folder.db").mkdir()
    for name, error, words in (
        ("text.db", StoreDamaged, "is damaged, or is no SQLite file"),
        ("other.db", StoreDamaged, "another program"),
        ("newer.db", StoreDamaged, "newer release"),
        ("folder.db", StoreUnavailable, "is a folder"),
        ("none/store.db", StoreUnavailable, "no folder"),
        ("text.db/store.db", StoreUnavailable, "cannot be opened"),
    ):
        with pytest.raises(error, match=words) as raised:
            run(opened(tmp_path / name))
        assert raised.value.hint
    assert "no pages" in (tmp_path / "text.db").read_text()


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "store.db"

    async def fill() -> None:
        engine = await opened(path)
        for number in range(50):
            await engine.commit([], [Put(f"k/{number}", os.urandom(3000))])
        await engine.close()

    run(fill())
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))

    async def use() -> None:
        engine = await opened(path)
        try:
            await engine.scan("k/", "k0")
        finally:
            await engine.close()

    with pytest.raises(StoreDamaged, match="damaged") as raised:
        run(use())
    assert "load your last dump" in raised.value.hint


def test_after_a_boot_leases_begin_anew(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    clock = ManualClock()
    clock.seconds = 1_000_000

    async def scenario() -> None:
        engine = await SqliteEngine.open(path, clock)
        lease = await engine.grant(10)
        await engine.commit([], [Put("r", b"1", lease)])
        await engine.close()
        clock.booted, clock.seconds = "second", 5
        engine = await SqliteEngine.open(path, clock)
        assert await engine.get("r")
        clock.seconds += 9
        assert await engine.keep(lease) == 10
        clock.seconds += 11
        assert await engine.get("r") is None
        await engine.close()

    run(scenario())


def test_a_wall_clock_that_jumps_ends_no_lease(tmp_path: Path) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        engine = await SqliteEngine.open(tmp_path / "store.db", clock)
        lease = await engine.grant(10)
        await engine.commit([], [Put("r", b"1", lease)])
        clock.wall = clock.wall.replace(year=2040)
        assert await engine.get("r")
        clock.wall = clock.wall.replace(year=1990)
        clock.seconds += 11
        assert await engine.get("r") is None
        await engine.close()

    run(scenario())


def test_deletions_that_are_remembered_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.store.sqlite_statements.MOST_TOMBSTONES", 100)
    path = tmp_path / "store.db"

    async def scenario() -> None:
        engine = await opened(path)
        before = await engine.commit([], [Put("w/stays", b"x")])
        for start in range(0, 1000, 50):
            await engine.commit([], [Put(f"w/{n}", b"x") for n in range(start, start + 50)])
            await engine.commit([], [Delete(f"w/{n}") for n in range(start, start + 50)])
        mirror = Mirror()
        mirror.content = {"w/stays": b"x", "w/7": b"x"}
        async with engine.watch("w/", before) as told:
            await mirror.until(told, {"w/stays": b"x"})
        assert mirror.resyncs == 1
        await engine.close()

    run(scenario())
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM tombstone").fetchone()[0] <= 150


def test_a_commit_is_synced_to_the_disk(tmp_path: Path) -> None:
    async def scenario() -> None:
        engine = await opened(tmp_path / "store.db")
        lease = await engine.grant(10)
        await engine.keep(lease)
        for pragma, wanted in (("synchronous", 2), ("journal_mode", "wal")):
            assert engine._writer._db.execute(f"PRAGMA {pragma}").fetchone()[0] == wanted
        await engine.close()

    run(scenario())


def test_many_commits_at_once_share_their_waits_for_the_disk_and_keep_their_own_answers(tmp_path: Path) -> None:
    async def scenario() -> None:
        engine = await opened(tmp_path / "store.db")
        begun: list[str] = []
        engine._writer._db.set_trace_callback(lambda sql: begun.append(sql) if sql.startswith("BEGIN") else None)
        told = await asyncio.gather(
            *(engine.commit([Check(f"k/{n % 50}", 0)], [Put(f"k/{n % 50}", b"%d" % n)]) for n in range(100)),
            return_exceptions=True,
        )
        versions = [one for one in told if isinstance(one, int)]
        assert versions == sorted(set(versions))  # as if one after the other
        assert [type(one) for one in told] == [int] * 50 + [Conflict] * 50
        assert len(begun) <= 4
        page = await engine.scan("k/", "k0")
        assert {entry.key: entry.version for entry in page.entries} == {f"k/{n}": told[n] for n in range(50)}
        async with engine.watch("k/", versions[0] - 1) as changes:
            first = await anext(changes)
        assert isinstance(first, Changes)
        assert len(first.changes) == 50
        await engine.close()

    run(scenario())


def test_what_is_cancelled_before_its_turn_is_not_done(tmp_path: Path) -> None:
    async def scenario() -> None:
        engine = await opened(tmp_path / "store.db")
        first = asyncio.ensure_future(engine.commit([], [Put("first", b"1")]))
        second = asyncio.ensure_future(engine.commit([], [Put("second", b"1")]))
        await asyncio.sleep(0)  # the first is with the thread, the second waits
        second.cancel()
        await first
        await engine.commit([], [Put("third", b"1")])
        assert await engine.get("second") is None
        late = asyncio.ensure_future(engine.commit([], [Put("late", b"1")]))
        waiting = asyncio.ensure_future(engine.commit([], [Put("waiting", b"1")]))
        await asyncio.sleep(0)
        await engine.close()  # does what it was asked before
        assert await late < await waiting

    run(scenario())


def test_one_commit_that_meets_a_damaged_page_does_not_take_others_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        engine = await opened(tmp_path / "store.db")
        commit = type(engine._writer)._commit

        def met(self: object, checks: list[Check], writes: list[Put]) -> int:
            if writes[0].key == "k/7":
                damaged = sqlite3.DatabaseError("database disk image is malformed")
                damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                raise damaged
            return commit(self, checks, writes)

        monkeypatch.setattr(type(engine._writer), "_commit", met)
        steps = (engine.commit([], [Put(f"k/{n}", b"x")]) for n in range(20))
        told = await asyncio.gather(*steps, return_exceptions=True)
        assert [n for n, one in enumerate(told) if not isinstance(one, int)] == [7]
        assert isinstance(told[7], StoreDamaged)
        await engine.close()

    run(scenario())


def test_an_error_that_nobody_foresaw_is_told_to_its_own_caller_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commits that share a turn with it are on the disk: they must not be told that they failed."""

    async def scenario() -> None:
        engine = await opened(tmp_path / "store.db")
        commit = type(engine._writer)._commit

        def met(self: object, checks: list[Check], writes: list[Put]) -> int:
            if writes[0].key == "k/7":
                raise OverflowError("int too large")
            return commit(self, checks, writes)

        monkeypatch.setattr(type(engine._writer), "_commit", met)
        steps = [engine.commit([], [Put(f"k/{n}", b"x")]) for n in range(20)]
        asked = [engine.scan("k/", "k0"), engine._read(lambda db: db.scan("k/", "k0", 2**70)), engine.scan("k/", "k0")]
        told = await asyncio.gather(*steps, *asked, return_exceptions=True)
        assert [(n, type(one)) for n, one in enumerate(told) if isinstance(one, BaseException)] == [
            (7, OverflowError),
            (21, OverflowError),
        ]
        assert len((await engine.scan("k/", "k0")).entries) == 19
        await engine.close()

    run(scenario())


LOOKING = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM entry').fetchall(); c.close()"
)


def test_another_process_that_looks_into_a_store_in_use_takes_nothing_from_under_it(tmp_path: Path) -> None:
    """The last one that closes a file clears its log away: who is still there has to be seen by its locks."""
    path = tmp_path / "store.db"
    log = path.with_name("store.db-wal")

    async def story() -> None:
        engine = await SqliteEngine.open(path)
        await engine.commit([], [Put("a/1", b"1")])
        await engine.get("a/1")
        before = log.stat().st_ino
        subprocess.run([sys.executable, "-c", LOOKING, str(path)], check=True, timeout=60)
        assert log.exists()
        assert log.stat().st_ino == before
        await engine.commit([], [Put("a/2", b"2")])
        await engine.close()
        engine = await SqliteEngine.open(path)
        found = await engine.get("a/2")
        await engine.close()
        assert found is not None
        assert found.value == b"2"

    run(story())
