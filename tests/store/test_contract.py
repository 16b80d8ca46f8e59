"""The contract of the port: the same tests for every kind of store."""

from __future__ import annotations

import asyncio

import pytest
from tests.store.kinds import Kind, Mirror, compact, run

from holdfast.errors import Conflict, LeaseLost, StoreError, StoreFull, StoreUnavailable
from holdfast.store.port import (
    LARGEST_VALUE,
    MOST_ENTRIES,
    MOST_OPERATIONS,
    Check,
    Delete,
    Engine,
    Page,
    Put,
    Resync,
)


def test_what_was_written_is_read(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            assert await engine.get("a/1") is None
            version = await engine.commit([], [Put("a/1", b"one"), Put("a/2", b"two")])
            entry = await engine.get("a/1")
            assert entry is not None
            assert (entry.key, entry.value, entry.version, entry.created) == ("a/1", b"one", version, version)
            later = await engine.commit([], [Put("a/1", b"uno")])
            assert later > version
            entry = await engine.get("a/1")
            assert entry is not None
            assert (entry.value, entry.version, entry.created) == (b"uno", later, version)
            other = await engine.get("a/2")
            assert other is not None
            assert other.version == version

    run(scenario())


@pytest.mark.parametrize("value", [b"", b"\x00\xff\xfe", "Grüße 你好".encode(), b"x" * LARGEST_VALUE])
def test_values_are_bytes_and_come_back_as_they_were(kind: Kind, value: bytes) -> None:
    async def scenario() -> bytes | None:
        async with kind.open() as engine:
            await engine.commit([], [Put("v", value)])
            entry = await engine.get("v")
            return entry.value if entry else None

    assert run(scenario()) == value


def test_a_commit_compares_before_it_writes(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            first = await engine.commit([Check("a", 0), Check("b", 0)], [Put("a", b"1")])
            with pytest.raises(Conflict) as raised:
                await engine.commit([Check("b", 0), Check("a", 0)], [Put("a", b"2"), Put("b", b"2")])
            assert (raised.value.key, raised.value.expected, raised.value.present) == ("a", 0, first)
            second = await engine.commit([Check("a", first)], [Put("a", b"2")])
            with pytest.raises(Conflict) as raised:
                await engine.commit([Check("a", first)], [Delete("a")])
            assert raised.value.present == second
            await engine.commit([Check("a", second)], [Delete("a")])
            with pytest.raises(Conflict) as raised:
                await engine.commit([Check("a", second)], [Put("a", b"3")])
            assert raised.value.present == 0
            assert await engine.get("a") is None
            assert await engine.get("b") is None

    run(scenario())


def test_a_conflict_leaves_no_trace(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            before = await engine.commit([], [Put("a", b"1")])
            with pytest.raises(Conflict):
                await engine.commit([Check("a", 0)], [Put("b", b"2"), Delete("a")])
            page = await engine.scan("a", "c")
            assert [entry.value for entry in page.entries] == [b"1"]
            assert page.revision == before

    run(scenario())


def test_to_remove_what_is_not_there_is_no_mistake(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            before = await engine.commit([], [Put("a", b"1")])
            assert await engine.commit([], [Delete("b")]) >= before
            assert await engine.commit([], [Delete("b"), Put("c", b"1")]) > before

    run(scenario())


def test_scans_are_in_order_bounded_and_paged(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            for key in ("b/2", "a", "b/10", "c", "b/1", "b"):
                await engine.commit([], [Put(key, key.encode())])
            page = await engine.scan("b/", "b0")
            assert [entry.key for entry in page.entries] == ["b/1", "b/10", "b/2"]
            assert not page.more
            page = await engine.scan("a", "d", 2)
            assert [entry.key for entry in page.entries] == ["a", "b"]
            assert page.more
            assert (await engine.scan("x", "y")).entries == ()
            exactly = await engine.scan("a", "d", 6)
            assert len(exactly.entries) == 6
            assert not exactly.more

    run(scenario())


@pytest.mark.parametrize(
    "checks_and_writes",
    [
        ([], []),
        ([], [Put("", b"")]),
        ([], [Put("a b", b"")]),
        ([], [Put("ü", b"")]),
        ([], [Put("a" * 601, b"")]),
        ([], [Put("a", b"1"), Delete("a")]),
        ([Check("a", 0), Check("a", 1)], [Put("a", b"1")]),
        ([], [Put(f"k{number}", b"") for number in range(MOST_OPERATIONS + 1)]),
    ],
)
def test_what_makes_no_sense_is_refused_alike(kind: Kind, checks_and_writes: tuple[list[Check], list[Put]]) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            with pytest.raises(StoreError) as raised:
                await engine.commit(*checks_and_writes)
            assert raised.value.hint

    run(scenario())


def test_what_is_too_large_is_refused_and_the_largest_commit_is_not(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            with pytest.raises(StoreFull):
                await engine.commit([], [Put("a", b"x" * (LARGEST_VALUE + 1))])
            with pytest.raises(StoreFull):
                await engine.commit([], [Put(f"k{n}", b"x" * 700_000) for n in range(2)])
            keys = [f"{n:0600d}" for n in range(MOST_OPERATIONS)]
            await engine.commit([Check(key, 0) for key in keys], [Put(key, b"x" * 11_900) for key in keys])
            page = await engine.scan(keys[0], "1")
            assert len(page.entries) == MOST_OPERATIONS

    run(scenario())


def test_a_snapshot_is_of_one_moment(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            total = MOST_ENTRIES + 200
            await _fill(engine, total)
            pages: list[Page] = []
            async for page in engine.snapshot("k/"):
                pages.append(page)
                await engine.commit([], [Put("k/00000", b"later"), Put("k/zzz", b"later"), Delete("k/01100")])
            entries = [entry for page in pages for entry in page.entries]
            assert [entry.key for entry in entries] == [f"k/{number:05d}" for number in range(total)]
            assert {entry.value for entry in entries} == {b"x"}
            assert len({page.revision for page in pages}) == 1
            assert [page.more for page in pages] == [True] * (len(pages) - 1) + [False]
            assert [page.entries async for page in engine.snapshot("none/")] == [()]
            everything = [entry.key async for page in engine.snapshot("") for entry in page.entries]
            assert everything == sorted(everything)
            assert len(everything) == total

    run(scenario())


async def _fill(engine: Engine, total: int) -> None:
    for start in range(0, total, MOST_OPERATIONS):
        end = min(start + MOST_OPERATIONS, total)
        await engine.commit([], [Put(f"k/{number:05d}", b"x") for number in range(start, end)])


# ---- leases


def test_what_is_under_a_lease_goes_with_it(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            lease = await engine.grant(2)
            await engine.commit([], [Put("r/1", b"1", lease), Put("r/2", b"2", lease), Put("r/3", b"3")])
            entry = await engine.get("r/1")
            assert entry is not None
            assert entry.lease == lease
            assert await engine.time_to_live(lease) == 2
            for _ in range(3):
                await kind.let_pass(1)
                assert await engine.keep(lease) == 2
            assert await engine.get("r/1")

            async def ended() -> bool:
                return [entry.key for entry in (await engine.scan("r/", "r0")).entries] == ["r/3"]

            await kind.until(ended)
            with pytest.raises(LeaseLost):
                await engine.keep(lease)
            with pytest.raises(LeaseLost):
                await engine.commit([], [Put("r/1", b"1", lease)])
            assert await engine.time_to_live(lease) == 0
            assert await engine.get("r/1") is None

    run(scenario())


def test_a_lease_that_is_given_up_ends_at_once(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            lease, other = await engine.grant(100), await engine.grant(100)
            assert lease != other
            await engine.commit([], [Put("r/1", b"1", lease), Put("r/2", b"2", other)])
            await engine.revoke(lease)
            await engine.revoke(lease)
            assert [entry.key for entry in (await engine.scan("r/", "r0")).entries] == ["r/2"]
            await engine.commit([], [Put("r/2", b"for good")])  # not under the lease any more
            await engine.revoke(other)
            assert await engine.get("r/2")

    run(scenario())


@pytest.mark.parametrize("ttl", [0, -1, 10**9])
def test_leases_last_within_reason(kind: Kind, ttl: int) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            with pytest.raises(StoreError):
                await engine.grant(ttl)

    run(scenario())


# ---- watches


def test_a_watch_begins_with_all_and_goes_on_with_changes(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            await engine.commit([], [Put("w/1", b"1"), Put("x", b"not watched")])
            mirror = Mirror()
            async with engine.watch("w/") as told:
                await mirror.until(told, {"w/1": b"1"})
                await engine.commit([], [Put("w/2", b"2"), Put("y", b"not watched")])
                await mirror.until(told, {"w/1": b"1", "w/2": b"2"})
                await engine.commit([], [Delete("w/1")])
                await mirror.until(told, {"w/2": b"2"})
                lease = await engine.grant(1)
                await engine.commit([], [Put("w/3", b"3", lease)])
                await mirror.until(told, {"w/2": b"2", "w/3": b"3"})
                await kind.let_pass(2)
                await mirror.until(told, {"w/2": b"2"})
            assert mirror.resyncs == 1

    run(scenario())


def test_a_watch_resumes_behind_a_revision(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            before = await engine.commit([], [Put("w/1", b"1"), Put("w/2", b"2")])
            await engine.commit([], [Put("w/2", b"two")])
            await engine.commit([], [Delete("w/1")])
            await engine.commit([], [Put("w/3", b"3")])
            mirror = Mirror()
            mirror.content = {"w/1": b"1", "w/2": b"2"}
            async with engine.watch("w/", before) as told:
                await mirror.until(told, {"w/2": b"two", "w/3": b"3"})
            assert mirror.resyncs == 0

    run(scenario())


def test_a_watch_that_is_told_nothing_waits(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            revision = await engine.commit([], [Put("w/1", b"1")])
            async with engine.watch("w/", revision) as told:
                await engine.commit([], [Put("other", b"1")])
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(told), 0.3)

    run(scenario())


@pytest.mark.parametrize("gone", ["before it resumes", "while it sleeps"])
def test_compaction_under_a_watcher_resyncs_it(kind: Kind, gone: str) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            before = await engine.commit([], [Put("w/1", b"1"), Put("w/2", b"2")])
            mirror = Mirror()
            mirror.content = {"w/1": b"1", "w/2": b"2"}
            if gone == "while it sleeps":
                async with engine.watch("w/") as told:
                    mirror.take(await anext(told))
                    await _change_and_compact(engine)
                    await mirror.until(told, {"w/2": b"2", "w/3": b"3"})
                return
            await _change_and_compact(engine)
            async with engine.watch("w/", before) as told:
                await mirror.until(told, {"w/2": b"2", "w/3": b"3"})
                assert mirror.resyncs == 1
                await engine.commit([], [Put("w/4", b"4")])
                await mirror.until(told, {"w/2": b"2", "w/3": b"3", "w/4": b"4"})

    run(scenario())


async def _change_and_compact(engine: Engine) -> None:
    await engine.commit([], [Delete("w/1")])
    await engine.commit([], [Put("w/3", b"3")])
    for number in range(3):
        last = await engine.commit([], [Put("other", str(number).encode())])
    await compact(engine, last)


def test_a_watcher_from_the_future_of_another_store_is_resynced(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            revision = await engine.commit([], [Put("w/1", b"1")])
            async with engine.watch("w/", revision + 1000) as told:
                first = await asyncio.wait_for(anext(told), 60)
            assert isinstance(first, Resync)
            assert [entry.key for entry in first.entries] == ["w/1"]

    run(scenario())


def test_a_slow_watcher_ends_up_with_the_truth(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            mirror = Mirror()
            async with engine.watch("w/") as told:
                mirror.take(await anext(told))
                for start in range(0, 3000, 50):
                    await engine.commit([], [Put(f"w/{n:05d}", b"x") for n in range(start, start + 50)])
                for start in range(0, 2900, 100):
                    await engine.commit([], [Delete(f"w/{n:05d}") for n in range(start, start + 100)])
                await mirror.until(told, {f"w/{n:05d}": b"x" for n in range(2900, 3000)}, 20)

    run(scenario())


def test_many_watchers_are_told_the_same(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:

            async def watch(mirror: Mirror) -> None:
                async with engine.watch("w/") as told:
                    await mirror.until(told, {f"w/{n}": b"x" for n in range(20)}, 20)

            mirrors = [Mirror() for _ in range(10)]
            tasks = [asyncio.create_task(watch(mirror)) for mirror in mirrors]
            for n in range(20):
                await engine.commit([], [Put(f"w/{n}", b"x")])
                await asyncio.sleep(0)
            await asyncio.gather(*tasks)

    run(scenario())


# ---- several writers


def test_no_update_is_lost_among_writers(kind: Kind) -> None:
    """Each adds to one counter; what each was told, and the counter, must agree."""

    async def scenario() -> None:
        async with kind.open() as engine:
            await engine.commit([], [Put("n", b"0")])

            async def add(times: int) -> list[tuple[int, int]]:
                seen = []
                while len(seen) < times:
                    entry = await engine.get("n")
                    assert entry is not None
                    try:
                        value = int(entry.value) + 1
                        version = await engine.commit([Check("n", entry.version)], [Put("n", str(value).encode())])
                    except Conflict:
                        continue
                    seen.append((version, value))
                return seen

            seen = [one for part in await asyncio.gather(*(add(15) for _ in range(4))) for one in part]
            entry = await engine.get("n")
            assert entry is not None
            assert entry.value == b"60"
            assert [value for _, value in sorted(seen)] == list(range(1, 61))
            assert len({version for version, _ in seen}) == 60

    run(scenario())


def test_health_tells_where_the_store_is(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            await engine.commit([], [Put("a", b"1")])
            health = await engine.health()
            assert health.kind == kind.name
            assert health.writable
            assert health.revision >= 1
            assert health.where

    run(scenario())


def test_a_closed_store_says_so_and_its_watches_end(kind: Kind) -> None:
    async def scenario() -> None:
        engine = await kind.engine()
        async with engine.watch("w/") as told:
            await anext(told)
            await engine.close()
            with pytest.raises(StopAsyncIteration):
                await asyncio.wait_for(anext(told), 60)
        with pytest.raises(StoreUnavailable):
            await engine.get("a")
        with pytest.raises(StoreUnavailable):
            await engine.commit([], [Put("a", b"1")])

    run(scenario())
