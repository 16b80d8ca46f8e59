"""What is in the store and is not understood: nobody is told that it has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests.controller.world import WITHIN_S, context_of_memory

from holdfast.controller.agents.feed import Feed
from holdfast.controller.agents.stream import _end, _Told, lines
from holdfast.controller.identity import NodeAgent
from holdfast.protocol import TO_AGENT, Desired
from holdfast.rollout.records import Assignment, RolloutStore
from holdfast.store.memory import MemoryEngine
from holdfast.store.models import NodeRecord, Override, OverrideKind
from holdfast.store.port import Put
from holdfast.store.store import Store, override_name

NOW = datetime(2026, 11, 21, tzinfo=UTC)
DRAINED, OUT = override_name(OverrideKind.DRAINED, "web01:80"), override_name(OverrideKind.MAINTENANCE, "lb02")


class Cluster:
    """A node, what it runs and what is overridden."""

    def __init__(self, store: Store) -> None:
        kept = store.cluster("shop")
        self.store, self.nodes, self.overrides = store, kept.nodes, kept.overrides
        self.assignments = RolloutStore(store, "shop").assignments
        self.drained = Override(kind=OverrideKind.DRAINED, target="web01:80", who="ada", since=NOW)

    async def fill(self) -> None:
        await self.nodes.create("lb01", NodeRecord(node="lb01", enrolled=NOW, certificate="1"))
        wanted = Assignment(node="lb01", number=1, revision=1, digest="0" * 64, time=NOW)
        await self.assignments.create("lb01", wanted)
        await self.overrides.create(DRAINED, self.drained)

    async def damage(self, *keys: str) -> None:
        for key in keys:
            await self.store.engine.commit([], [Put(key, b'{"later":1}')])


def agent_of(store: Store) -> NodeAgent:
    return NodeAgent("shop", "lb01", "1", NOW, store.clock.now() + timedelta(days=1))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():
            await asyncio.sleep(0.01)


def test_what_was_known_stays_when_all_is_read_anew_and_some_is_not_understood() -> None:
    async def story() -> None:
        cluster = Cluster(await Store.open(MemoryEngine()))
        await cluster.fill()
        feed = Feed(cluster.store, "shop")
        feed.start()
        await until(lambda: feed.complete)
        await feed.stop()
        keys = (cluster.nodes.key("lb01"), cluster.assignments.key("lb01"), cluster.overrides.key(DRAINED))
        await cluster.damage(*keys)
        feed._known.clear()
        feed.start()  # with all that there is, as after a connection that broke
        await until(lambda: feed.complete)
        assert feed.nodes["lb01"].certificate == "1"
        assert feed.assignments["lb01"].number == 1
        assert [one.server for one in feed.told_overrides(NOW).servers] == ["web01:80"]
        assert not feed.holds_back
        await feed.stop()

    asyncio.run(story())


def test_a_controller_that_never_understood_an_override_tells_nobody_that_there_is_none() -> None:
    async def story() -> None:
        context = await context_of_memory()
        cluster = Cluster(context.store)
        await cluster.fill()
        await cluster.damage(cluster.overrides.key(DRAINED))
        told = lines(context, agent_of(context.store))
        assert TO_AGENT.validate_json(await anext(told)).kind == "ping"
        await until(lambda: context.hub._feeds["shop"].complete)
        assert TO_AGENT.validate_json(await anext(told)).kind == "ping"
        sound = Put(cluster.overrides.key(DRAINED), cluster.drained.model_dump_json().encode())
        await cluster.store.engine.commit([], [sound])
        async with asyncio.timeout(WITHIN_S):
            while not isinstance(one := TO_AGENT.validate_json(await anext(told)), Desired):
                continue
        assert [each.server for each in one.overrides.servers] == ["web01:80"]
        await told.aclose()
        await context.hub.close()

    asyncio.run(story())


def test_a_node_out_for_maintenance_keeps_nobody_from_what_they_are_to_run() -> None:
    """Agents are not told of it: orders carry it out."""

    async def story() -> None:
        cluster = Cluster(await Store.open(MemoryEngine()))
        await cluster.damage(cluster.overrides.key(OUT))
        feed = Feed(cluster.store, "shop")
        feed.start()
        await until(lambda: feed.complete)
        assert not feed.holds_back
        await cluster.damage(cluster.overrides.key(DRAINED))
        await until(lambda: feed.holds_back)
        await feed.stop()

    asyncio.run(story())


def test_a_node_whose_record_is_not_understood_is_not_called_revoked() -> None:
    async def story() -> None:
        context = await context_of_memory()
        cluster = Cluster(context.store)
        await cluster.fill()
        await cluster.damage(cluster.nodes.key("lb01"))
        with context.hub.subscribed("shop", "lb01") as (feed, subscription):
            await until(lambda: feed.complete)
            told = _Told(context.doors.authorities.trusted)
            assert "not understood" in _end(context, agent_of(context.store), feed, subscription, told)
        await context.hub.close()

    asyncio.run(story())
