"""Dumps: whole stores between any two kinds, and every way in which a dump can be damaged."""

from __future__ import annotations

import io
import itertools
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.store.conftest import ETCD
from tests.store.etcd_cluster import EtcdCluster
from tests.store.kinds import Kind, ManualClock, run
from tests.store.test_records import audit, draft, event, user

from holdfast.errors import Conflict, PlanRefused, StoreDamaged, StoreError
from holdfast.store.dump import dump
from holdfast.store.memory import MemoryEngine
from holdfast.store.models import ClusterLock, Registration
from holdfast.store.port import Engine, Put
from holdfast.store.restore import load
from holdfast.store.sqlite import SqliteEngine
from holdfast.store.store import IDENTITY, Store, read_identity

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAIRS = [
    pytest.param(*pair, marks=ETCD if "etcd" in pair else ())
    for pair in itertools.product(("memory", "sqlite", "etcd"), repeat=2)
]


async def dumped(engine: Engine) -> bytes:
    return b"".join([line async for line in dump(engine, ManualClock())])


async def content(engine: Engine) -> dict[str, bytes]:
    return {
        entry.key: entry.value async for page in engine.snapshot("") for entry in page.entries if entry.key != IDENTITY
    }


async def a_store() -> MemoryEngine:
    engine = MemoryEngine(ManualClock())
    store = await Store.open(engine, ManualClock())
    await store.commit(store.users.creating("anna", user("anna")), audit=[audit("x")], events=[event(1)])
    await store.cluster("shop").revisions.add(draft(0))
    return engine


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_whole_store_goes_from_any_kind_to_any_other(
    source: str, target: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kinds = []
    for number, name in enumerate((source, target)):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        if name == "etcd":
            cluster: EtcdCluster = request.getfixturevalue("etcd")
            folder = Path(f"dump-{source}-{target}-{number}")
            kinds.append(Kind(name, folder, cluster.endpoints))
        else:
            kinds.append(Kind(name, folder))
    registration = Registration(
        service="web", instance="i-1", node="vm1", address="10.0.0.7", port=80, ttl=60, since=NOW
    )

    async def scenario() -> None:
        async with kinds[0].open() as old, kinds[1].open() as new:
            store = await Store.open(old, kinds[0].clock)
            shop = store.cluster("shop")
            for base in range(5):
                await shop.revisions.add(draft(base, "Grüße: 你好\n" * 50))
            for number in range(130):
                step = store.users.creating(f"user{number}", user(f"user{number}"))
                await store.commit(step, audit=[audit("user.create")], events=[event(number)])
            await store.locks.create("shop", ClusterLock(lock="{}"))
            await old.commit([], [Put("other/bytes", b"\x00\xff\xfe"), Put("other/large", b"x" * 900_000)])
            await shop.register(registration)
            held = await store.holdings.acquire("leader", "c1", 60)
            assert held is not None
            text = await dumped(old)

            restored = await load(new, io.BytesIO(text), kinds[1].clock)
            before, after = await content(old), await content(new)
            assert {key: value for key, value in before.items() if not key.startswith("holding/")} == after
            assert restored.entries == len(after)
            again = await Store.open(new, kinds[1].clock)
            assert again.identity.store_id == store.identity.store_id
            assert again.identity.epoch == restored.epoch > store.identity.epoch
            (one,) = await again.cluster("shop").registrations.all()
            assert await new.time_to_live(one.lease) == 60
            leader = await again.holdings.acquire("leader", "c2", 60)
            assert leader is not None
            assert leader.holding.fencing == 2  # an old leader's number is not given twice
            added = await again.cluster("shop").revisions.add(draft(5))
            assert added.number == 6

    run(scenario(), 60)


KEYS = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40).filter(
    lambda key: key != IDENTITY and not key.startswith("holding/")
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(KEYS, st.binary(max_size=200) | st.text(max_size=100).map(str.encode), max_size=12))
@example({"a": b"", "~": "\u2028\r\n\x00".encode(), "!": b'{"end": 1}', "b": b"\xff"})
def test_whatever_it_holds_it_comes_back(entries: dict[str, bytes]) -> None:
    async def scenario() -> None:
        old = MemoryEngine(ManualClock())
        await Store.open(old)
        if entries:
            await old.commit([], [Put(key, value) for key, value in entries.items()])
        text = await dumped(old)
        with tempfile.TemporaryDirectory() as folder:
            new = await SqliteEngine.open(Path(folder) / "store.db", ManualClock())
            await load(new, io.BytesIO(text), ManualClock())
            assert await content(new) == entries
            second = await dumped(new)
            assert second.splitlines()[1:-1] == text.splitlines()[1:-1]
            await new.close()

    run(scenario())


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_goes_unseen_and_nothing_is_touched(data: st.DataObject) -> None:
    async def scenario() -> None:
        text = bytearray(await dumped(await a_store()))
        at = data.draw(st.integers(0, len(text) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "add", "line twice", "line gone"]))
        if kind == "flip":
            text[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del text[at:]
        elif kind == "add":
            text += b"{}\n"
        else:
            lines = bytes(text).splitlines(keepends=True)
            number = data.draw(st.integers(1, len(lines) - 2))
            lines[number : number + 1] = [lines[number]] * (2 if kind == "line twice" else 0)
            text = bytearray(b"".join(lines))
        target = MemoryEngine(ManualClock())
        with pytest.raises(StoreDamaged) as raised:
            await load(target, io.BytesIO(bytes(text)), ManualClock())
        assert raised.value.hint
        assert await read_identity(target) == (None, 0)

    run(scenario())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"no dump at all\n",
        b'{"holdfast_dump": 2}\n',
        b"\x00" * 10_000,
        b"x" * 9_000_000,
    ],
)
def test_what_is_no_dump_is_said(text: bytes) -> None:
    async def scenario() -> None:
        target = MemoryEngine(ManualClock())
        with pytest.raises(StoreDamaged):
            await load(target, io.BytesIO(text), ManualClock())
        assert await content(target) == {}

    run(scenario())


def test_a_store_that_holds_something_must_be_named(kind: Kind) -> None:
    async def scenario() -> None:
        text = await dumped(await a_store())
        async with kind.open() as engine:
            present = await Store.open(engine, kind.clock)
            await present.users.create("bert", user("bert"))
            name = present.identity.store_id
            for wrong in ("", name[:7], "00000000", "f" * 32):
                with pytest.raises(PlanRefused) as raised:
                    await load(engine, io.BytesIO(text), kind.clock, wrong)
                assert raised.value.hint
            assert await present.users.get("bert")
            restored = await load(engine, io.BytesIO(text), kind.clock, name[:8])
            store = await Store.open(engine, kind.clock)
            assert [one.name for one in await store.users.all()] == ["anna"]
            assert store.identity.store_id == restored.store_id != name
            twice = await load(engine, io.BytesIO(text), kind.clock, restored.store_id)
            assert twice.epoch > restored.epoch

    run(scenario())


def test_a_store_that_was_only_opened_is_empty() -> None:
    async def scenario() -> None:
        engine = MemoryEngine(ManualClock())
        await Store.open(engine)
        await load(engine, io.BytesIO(await dumped(await a_store())), ManualClock())
        assert (await Store.open(engine)).identity.epoch > 1

    run(scenario())


def test_a_load_that_is_cut_off_leaves_a_store_that_nobody_opens() -> None:
    class Breaking(MemoryEngine):
        commits = 0

        async def commit(self, checks, writes):  # type: ignore[no-untyped-def]
            self.commits += 1
            if self.commits == 2:
                raise StoreError("cut off")
            return await super().commit(checks, writes)

    async def scenario() -> None:
        text = await dumped(await a_store())
        engine = Breaking(ManualClock())
        with pytest.raises(StoreError, match="cut off"):
            await load(engine, io.BytesIO(text), ManualClock())
        with pytest.raises(StoreDamaged, match="did not end") as raised:
            await Store.open(engine)
        with pytest.raises(StoreDamaged):
            await dumped(engine)
        named = raised.value.hint.rsplit(" ", 1)[1]
        await load(engine, io.BytesIO(text), ManualClock(), named)
        assert (await Store.open(engine)).identity.epoch > 1

    run(scenario())


def test_who_writes_during_a_load_is_found() -> None:
    class Interfering(MemoryEngine):
        async def grant(self, ttl: int) -> int:
            await self.commit([], [Put("user/anna", b"{}")])
            return await super().grant(ttl)

    async def scenario() -> None:
        engine = await a_store()
        await engine.commit([], [Put("leased", b"x", await engine.grant(60))])
        text = await dumped(engine)
        with pytest.raises(Conflict, match="user/anna was written by somebody else") as raised:
            await load(Interfering(ManualClock()), io.BytesIO(text), ManualClock())
        assert "stop all controllers" in raised.value.hint

    run(scenario())


def test_an_epoch_is_greater_than_all_before_even_if_the_clock_went_back() -> None:
    async def scenario() -> None:
        text = await dumped(await a_store())
        clock = ManualClock()
        first = await load(MemoryEngine(clock), io.BytesIO(text), clock)
        clock.seconds += 60
        elsewhere = await load(MemoryEngine(clock), io.BytesIO(text), clock)
        assert elsewhere.epoch > first.epoch
        clock.wall = datetime(1990, 1, 1, tzinfo=UTC)
        engine = MemoryEngine(clock)
        third = await load(engine, io.BytesIO(text), clock)
        assert third.epoch >= 2
        again = await load(engine, io.BytesIO(await dumped(engine)), clock, third.store_id)
        assert again.epoch > third.epoch

    run(scenario())


def test_an_empty_store_is_not_dumped() -> None:
    with pytest.raises(StoreError, match="never been used"):
        run(dumped(MemoryEngine(ManualClock())))
