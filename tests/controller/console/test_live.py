"""What changes is told, at a bearable pace; what many ask for is made once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
from tests.controller.console.world import CLUSTER, HERE, world
from tests.controller.operations.agents import report
from tests.controller.operations.world import MORE_WEIGHT, Clock
from tests.controller.world import WITHIN_S

from holdfast.controller.api.streams import events
from holdfast.controller.console import live as live_module
from holdfast.controller.console.live import Followed, Live
from holdfast.controller.identity import Person
from holdfast.controller.operations import revisions
from holdfast.errors import StoreUnavailable
from holdfast.protocol.api.revisions import RevisionRequest
from holdfast.store.memory import MemoryEngine
from holdfast.store.models import Role
from holdfast.store.store import Store


async def told_of(kind: str, told: AsyncGenerator[tuple[str, ...], None]) -> None:
    """Wait until a kind was told."""
    async with asyncio.timeout(WITHIN_S):
        async for kinds in told:
            if kind in kinds:
                return


async def settled(followed: Followed) -> None:
    """Wait until all that there is was read: nothing has been counted for a while."""
    before: dict[str, int] = {}
    while before != followed.versions:
        before = dict(followed.versions)
        await asyncio.sleep(0.1)


def test_every_kind_of_change_is_told() -> None:
    async def story() -> None:
        async with world() as made:
            live: Live = made.app.state.console_live
            with live.followed(CLUSTER) as followed:
                await settled(followed)
                told = followed.told()
                await report(made.desk, "lb01", agent_version="1")
                await told_of("status", told)
                await made.desk.store.events.append(made.desk.event("vip.moved", CLUSTER, "it moved"))
                await told_of("events", told)
                kept = RevisionRequest(spec=MORE_WEIGHT, base=1, rollout=False)  # one rollout goes on already
                await revisions.apply(made.desk, CLUSTER, kept)
                await told_of("revisions", told)
                await told.aclose()

    asyncio.run(story())


def test_other_clusters_are_not_told() -> None:
    async def story() -> None:
        async with world() as made:
            live: Live = made.app.state.console_live
            with live.followed(CLUSTER) as followed:
                await settled(followed)
                before = dict(followed.versions)
                await made.desk.store.events.append(made.desk.event("vip.moved", "other", "it moved"))
                await report(made.desk, "lb01", cluster="other", agent_version="1")
                await report(made.desk, "lb01", agent_version="1")
                while before["status"] == followed.versions["status"]:
                    await asyncio.sleep(0.01)
                assert followed.versions["events"] == before["events"]

    asyncio.run(story())


def test_many_who_ask_for_the_same_get_what_was_made_once() -> None:
    async def story() -> None:
        async with world() as made:
            live: Live = made.app.state.console_live
            count = 0

            async def make() -> int:
                nonlocal count
                count += 1
                await asyncio.sleep(0)
                return count

            assert [await live.once(CLUSTER, ("x",), make) for _ in range(3)] == [1, 2, 3]  # nobody follows it
            with live.followed(CLUSTER) as followed:
                await settled(followed)
                many = await asyncio.gather(*(live.once(CLUSTER, ("x",), make) for _ in range(200)))
                assert set(many) == {4}
                assert await live.once(CLUSTER, ("y",), make) == 5
                await report(made.desk, "lb01", agent_version="1")
                before = followed.versions["status"]
                async with asyncio.timeout(WITHIN_S):
                    while followed.versions["status"] == before and await live.once(CLUSTER, ("x",), make) == 4:
                        await asyncio.sleep(0.01)
                assert await live.once(CLUSTER, ("x",), make) > 4

    asyncio.run(story())


def test_what_takes_long_is_not_begun_twice_and_what_is_old_goes() -> None:
    async def story() -> None:
        clock = Clock()
        store = await Store.open(MemoryEngine(clock), clock)
        followed, free, begun = Followed(CLUSTER, store), asyncio.Event(), 0

        async def make() -> str:
            nonlocal begun
            begun += 1
            await free.wait()
            return "x" * 1_000_000

        first = asyncio.create_task(followed.once(("x",), make))
        await asyncio.sleep(0)
        clock.wall += timedelta(seconds=5)
        second = asyncio.create_task(followed.once(("x",), make))
        await asyncio.sleep(0)
        free.set()
        assert len(await first) == len(await second) == 1_000_000
        assert begun == 1
        for number in range(40):
            await followed.once(("many", number), make)
        assert len(followed._made) < 20
        clock.wall += timedelta(seconds=5)
        await followed.once(("y",), make)
        assert len(followed._made) == 1

    asyncio.run(story())


def test_names_that_somebody_invents_make_no_other_table() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser()
            live: Live = made.app.state.console_live
            with live.followed(CLUSTER) as followed:
                await settled(followed)
                for number in range(5):
                    answer = await client.get(f"{HERE}/parts/servers", params={"open": ["*", f"x{number}"]})
                    assert answer.status_code == 200
                    answer = await client.get(f"{HERE}/parts/servers", params={"open": ["-", f"x{number}"]})
                    assert answer.status_code == 200
                keys = {key[-1] for key in followed._made}
                assert keys <= {("*",), ()}, keys

    asyncio.run(story())


def test_nobody_keeps_all_others_from_following() -> None:
    async def silence() -> AsyncGenerator[bytes, None]:
        yield b""

    async def story() -> None:
        async with world() as made:
            context, eager, other = made.context, Person("eager", Role.VIEWER), Person("other", Role.VIEWER)
            most = context.settings.limits.most_followers_each
            streams = []
            for _ in range(most):
                streams.append(events(context, eager, silence())._content)
                await anext(streams[-1])
            with pytest.raises(StoreUnavailable):
                events(context, eager, silence())
            streams.append(events(context, other, silence())._content)
            await anext(streams[-1])
            for stream in streams:
                await stream.aclose()
            assert not context.followers.of
            assert context.followers.count == 0

    asyncio.run(story())


def test_an_error_that_nobody_expected_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "_AGAIN_AFTER_S", 0.01)

    async def story() -> None:
        clock = Clock()
        store = await Store.open(MemoryEngine(clock), clock)
        followed, tried = Followed(CLUSTER, store), 0

        async def events(self: Followed) -> None:
            nonlocal tried
            tried += 1
            raise RuntimeError("no")

        monkeypatch.setattr(Followed, "_events", events)
        followed.start()
        async with asyncio.timeout(WITHIN_S):
            while tried < 3:
                await asyncio.sleep(0.01)
        await followed.stop()
        assert not followed._tasks

    asyncio.run(story())


def test_events_of_before_they_were_followed_are_counted() -> None:
    async def story() -> None:
        clock = Clock()
        store = await Store.open(MemoryEngine(clock), clock)
        followed = Followed(CLUSTER, store)
        followed.start()
        async with asyncio.timeout(WITHIN_S):
            while not (followed.versions["events"] and followed.versions["revisions"]):
                await asyncio.sleep(0.01)
        await followed.stop()

    asyncio.run(story())


def test_what_fails_is_told_to_all_who_asked_and_tried_again() -> None:
    async def story() -> None:
        async with world() as made:
            live: Live = made.app.state.console_live
            count = 0

            async def fail() -> int:
                nonlocal count
                count += 1
                raise OSError("no")

            with live.followed(CLUSTER) as followed:
                await settled(followed)
                for _ in range(2):
                    found = await asyncio.gather(
                        *(live.once(CLUSTER, ("x",), fail) for _ in range(5)), return_exceptions=True
                    )
                    assert {type(one) for one in found} == {OSError}
                assert count == 2
                assert ("x",) not in followed._made

    asyncio.run(story())


def test_many_browsers_are_told_less_often() -> None:
    async def story() -> None:
        async with world() as made:
            followed = Followed(CLUSTER, made.context.store)
            assert followed.pace_s == 0.5
            followed.browsers = 200
            assert followed.pace_s == 4.0
            followed.browsers = 5000
            assert followed.pace_s == 10.0  # pages take a stream that says nothing for 25 s for a dead one

    asyncio.run(story())
