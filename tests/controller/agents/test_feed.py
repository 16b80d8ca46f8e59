"""What is in the store and is not understood: nobody is told that it has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest
from tests.controller.world import WITHIN_S, context_of_memory

from holdfast.bundle import Bundle, Expectations, RealServerExpectation, VirtualServerExpectation
from holdfast.controller.agents.feed import Feed
from holdfast.controller.agents.losing import concerned, sent_by
from holdfast.controller.agents.stream import _end, _Told, lines
from holdfast.controller.identity import NodeAgent
from holdfast.protocol import TO_AGENT, AgentReport, Desired, NodeStatus
from holdfast.rollout.bundles import Bundles
from holdfast.rollout.records import Assignment, RolloutStore
from holdfast.store.memory import MemoryEngine
from holdfast.store.models import NodeRecord, NodeReport, Override, OverrideKind
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
        assert not feed.lost
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
        assert not feed.lost
        await cluster.damage(cluster.overrides.key(DRAINED))
        await until(lambda: feed.lost == {DRAINED})
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


def bundle_of(*servers: str, source: str = "shop") -> Bundle:
    """A director's bundle with one virtual server; without servers, of a node that directs nothing."""
    rows = tuple(
        RealServerExpectation(
            name=name, address=IPv4Address("10.0.0.7"), port=80, weight=1,
            weight_file=f"/var/lib/holdfast/weights/{name}",
        )
        for name in servers
    )  # fmt: skip
    found = VirtualServerExpectation(
        name=source, source=source, group="www", address=IPv4Address("10.0.0.3"), port=80, family=4, protocol="tcp",
        forward="dr", scheduler="wlc", servers=rows,
    )  # fmt: skip
    expected = Expectations(virtual_servers=(found,) if servers else ())
    return Bundle(cluster="shop", node="lb01", services=(), files=(), expected=expected)


@pytest.mark.parametrize(
    ("wanted", "runs", "waits"),
    [
        (("web01-80",), None, True),  # it would take the server up again
        (("web02-80",), ("web02-80",), False),  # it has other servers
        ((), None, False),  # it directs nothing
        (("web02-80",), ("web01-80",), True),  # it may go back to what it runs
    ],
)
def test_a_lost_override_holds_back_those_alone_who_send_to_its_server(
    wanted: tuple[str, ...], runs: tuple[str, ...] | None, waits: bool
) -> None:
    async def story() -> None:
        context = await context_of_memory()
        cluster = Cluster(context.store)
        await cluster.fill()
        bundles = {"wanted": bundle_of(*wanted), "runs": bundle_of(*(runs or ()))}
        for number, bundle in enumerate(bundles.values(), 1):
            await Bundles(context.store, "shop").put(number, {"lb01": bundle})
        told = Assignment(node="lb01", number=2, revision=1, digest=bundles["wanted"].digest, time=NOW)
        await cluster.assignments.replace("lb01", told, await cluster.assignments.version("lb01"))
        if runs is not None:
            status = NodeStatus(node="lb01", cluster="shop", digest=bundles["runs"].digest)
            said = AgentReport(node="lb01", time=NOW, status=status).model_dump_json()
            report = NodeReport(node="lb01", time=NOW, epoch=1, revision=1, state="", content=said)
            await context.store.cluster("shop").report(report)
        await cluster.damage(cluster.overrides.key(DRAINED))
        opened = lines(context, agent_of(context.store))
        await anext(opened)  # it was let in
        await until(lambda: context.hub._feeds["shop"].complete)
        kind = TO_AGENT.validate_json(await anext(opened)).kind
        assert kind == ("ping" if waits else "desired")
        await opened.aclose()
        await context.hub.close()

    asyncio.run(story())


def test_an_override_whose_very_name_says_nothing_concerns_every_director() -> None:
    directs, none = sent_by(bundle_of("web01-80")), sent_by(bundle_of())
    assert concerned(directs, ["scribble"])
    assert not concerned(none, ["scribble"])
    assert concerned(directs, ["drained/web01:80@shop"])
    assert not concerned(directs, ["drained/web01:80@other"])
