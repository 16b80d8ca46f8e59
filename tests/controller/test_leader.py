"""One leads, and when it is gone another one does; what the leader clears up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.controller.world import WITHIN_S, context_of_memory, eventually

from holdfast.controller import duties
from holdfast.controller.context import Context
from holdfast.controller.duties import end_overrides
from holdfast.controller.leader import NAME, Leader
from holdfast.errors import Conflict, StoreUnavailable
from holdfast.store.holding import Held
from holdfast.store.memory import MemoryEngine
from holdfast.store.models import ClusterRecord, Override, OverrideKind
from holdfast.store.port import Health
from holdfast.store.store import Store, override_name

pytestmark = pytest.mark.whole


class Duties:
    """Counts who is at it; never two at a time."""

    def __init__(self) -> None:
        self.at_work: list[int] = []
        self.begun = 0
        self.fails = False

    async def __call__(self, held: Held) -> None:
        assert not self.at_work, "two lead at a time"
        self.at_work.append(held.holding.fencing)
        self.begun += 1
        try:
            if self.fails:
                raise ValueError("a duty that breaks")
            await asyncio.Event().wait()
        finally:
            self.at_work.clear()


async def controllers(count: int, duties: Callable[[Held], Awaitable[None]]) -> list[tuple[Context, Leader]]:
    """Controllers of one store."""
    first = await context_of_memory()
    contexts = [
        Context(first.store, first.doors, replace(first.settings, holder=f"c{number}"), first.hub)
        for number in range(count)
    ]
    return [(context, Leader(context, duties)) for context in contexts]


def test_one_of_three_leads_and_is_followed() -> None:
    async def story() -> None:
        duties = Duties()
        running = [(*each, asyncio.ensure_future(each[1].run())) for each in await controllers(3, duties)]
        for fencing in (1, 2, 3):
            await eventually(lambda fencing=fencing: duties.at_work == [fencing])  # type: ignore[misc]
            (leading,) = [each for each in running if each[1].leads]
            leading[0].stopping.stop("over")
            await asyncio.wait_for(leading[2], WITHIN_S)
            running.remove(leading)
        assert running == []

    asyncio.run(story())


def test_a_leader_that_lost_its_lease_stops_at_once() -> None:
    async def story() -> None:
        duties = Duties()
        ((context, leader),) = await controllers(1, duties)
        task = asyncio.ensure_future(leader.run())
        await eventually(lambda: leader.leads)
        present = await context.store.holdings.holder(NAME)
        assert present is not None
        await context.store.engine.revoke(present.lease)
        await eventually(lambda: duties.begun == 2)  # it came to lead again, as a new holder
        assert duties.at_work == [2]
        context.stopping.stop("over")
        await asyncio.wait_for(task, WITHIN_S)
        assert await context.store.holdings.holder(NAME) is None

    asyncio.run(story())


def test_a_leader_without_a_store_steps_down_before_it_is_followed() -> None:
    class Deaf(MemoryEngine):
        deaf = False

        async def keep(self, lease: int) -> int:
            if self.deaf:
                raise StoreUnavailable("nobody answers", "wait")
            return await super().keep(lease)

    async def story() -> None:
        duties = Duties()
        engine = Deaf()

        first = await context_of_memory()
        store = await Store.open(engine)
        context = Context(store, first.doors, first.settings, first.hub)
        leader = Leader(context, duties)
        task = asyncio.ensure_future(leader.run())
        await eventually(lambda: leader.leads)
        engine.deaf = True
        await eventually(lambda: not leader.leads)
        engine.deaf = False
        await eventually(lambda: duties.begun == 2)
        context.stopping.stop("over")
        await asyncio.wait_for(task, WITHIN_S)

    asyncio.run(story())


def test_a_duty_that_breaks_is_begun_anew(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        duties = Duties()
        duties.fails = True
        ((context, leader),) = await controllers(1, duties)
        task = asyncio.ensure_future(leader.run())
        await eventually(lambda: duties.begun == 1)
        duties.fails = False
        await eventually(lambda: duties.at_work == [2])
        context.stopping.stop("over")
        await asyncio.wait_for(task, WITHIN_S)

    asyncio.run(story())
    assert "failed at a duty" in caplog.text


def test_overrides_end_with_their_time_and_only_by_who_leads() -> None:
    async def story() -> None:
        context = await context_of_memory()
        store = context.store
        now = store.clock.now()
        await store.clusters.create("shop", ClusterRecord(name="shop", created=now))
        overrides = store.cluster("shop").overrides
        hour = timedelta(hours=1)
        for target, kind, until in (
            ("web01:80", OverrideKind.DRAINED, now - hour),
            ("web02:80", OverrideKind.DRAINED, now + hour),
            ("web03:80", OverrideKind.SUSPENDED, None),
            ("lb1", OverrideKind.MAINTENANCE, now - hour),
        ):
            record = Override(kind=kind, target=target, who="user:admin", since=now - 2 * hour, until=until)
            await overrides.create(override_name(kind, target), record)
        old = await store.holdings.acquire(NAME, "old", 60)
        assert old is not None
        await store.holdings.release(old)
        held = await store.holdings.acquire(NAME, "new", 60)
        assert held is not None
        await end_overrides(context, old)
        assert len(await overrides.all()) == 4  # it does not lead any more
        await end_overrides(context, held)
        assert {one.record.target for one in await overrides.all()} == {"web02:80", "web03:80", "lb1"}
        (event,) = [one.record for one in await store.events.newest()]
        assert (event.kind, event.cluster) == ("override.over", "shop")
        assert (await store.audit.newest(limit=1))[0].record.action == "override.over"
        with pytest.raises(Conflict):
            await store.commit(overrides.creating("x", record), guard=old)

    asyncio.run(story())


def test_an_etcd_that_others_use_is_left_alone_which_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Shared(MemoryEngine):
        ours = False

        def __init__(self) -> None:
            super().__init__()
            self.asked: list[int] = []

        async def health(self) -> Health:
            return replace(await super().health(), kind="etcd", revision=7)

        async def compact(self, revision: int) -> bool:
            self.asked.append(revision)
            return self.ours

    async def story() -> None:
        monkeypatch.setattr(duties, "COMPACT_EVERY_S", 0.001)
        context, engine = await context_of_memory(), Shared()
        context.store.engine = engine
        running = asyncio.ensure_future(duties._compaction(context))
        await eventually(lambda: len(engine.asked) > 3)
        assert engine.asked[0] == 1  # which forgets nothing: it is known at once, not in half an hour
        assert set(engine.asked[1:]) == {7}  # what was the newest a round before
        assert [one.message for one in caplog.records].count(duties.LEFT_ALONE) == 1
        engine.ours, seen = True, len(engine.asked)
        await eventually(lambda: len(engine.asked) > seen + 1)
        engine.ours, seen = False, len(engine.asked)
        await eventually(lambda: len(engine.asked) > seen + 1)
        assert [one.message for one in caplog.records].count(duties.LEFT_ALONE) == 2  # somebody has come since
        running.cancel()

    asyncio.run(story())
