"""Agents at a real controller: let in by certificate, told what to run and do, heard, and shown out."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.controller.world import CHEAP, FREE, WITHIN_S, Agent, World, running

from holdfast.agent.enrolment.identity import certificate_request, make_key
from holdfast.bundle import Bundle, BundleFile, Service
from holdfast.controller.agents import stream as agents_stream
from holdfast.controller.identity import Person, open_doors
from holdfast.controller.serving import Options
from holdfast.controller.settings import Rate
from holdfast.protocol import (
    TO_AGENT,
    AgentReport,
    Answer,
    Desired,
    Drift,
    DriftKind,
    NodeStatus,
    Order,
    Ping,
    Progress,
    Verb,
)
from holdfast.rollout.bundles import Bundles
from holdfast.rollout.records import Assignment, OrderRecord, RolloutStore
from holdfast.store.models import Override, OverrideKind, Role
from holdfast.store.store import Store, override_name

pytestmark = pytest.mark.whole


class Stream:
    """An open stream: the messages, one after the other."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self) -> Desired | Order | Ping | None:
        """The next message; None at the end."""
        async with asyncio.timeout(WITHIN_S):
            line = await anext(self._lines, None)
        return None if line is None else TO_AGENT.validate_json(line)

    async def next_of(self, kind: type) -> Any:
        """The next message of a kind."""
        while True:
            found = await self.next()
            assert found is not None, "the stream ended"
            if isinstance(found, kind):
                return found

    async def rest(self) -> list[Any]:
        """Everything until the stream ends."""
        found = []
        while (one := await self.next()) is not None:
            found.append(one)
        return found


@asynccontextmanager
async def stream(agent: Agent) -> AsyncIterator[Stream]:
    """An agent's stream; its first line says that it was let in."""
    async with agent.client.stream("GET", "/agent/v1/stream") as response:
        assert response.status_code == 200, await response.aread()
        opened = Stream(response)
        assert isinstance(await opened.next(), Ping)
        yield opened


async def assign(store: Store, node: str, number: int, revision: int = 1, size: int = 0) -> Bundle:
    """What a rollout does: keep a bundle, and say that a node should run it."""
    content = "# " + "".join(secrets.token_hex(64) + "\n# " for _ in range(size // 130)) + f"{number}\n"
    file = BundleFile(path="/etc/holdfast/nginx/nginx.conf", content=content)
    bundle = Bundle(cluster="shop", node=node, files=(file,), services=(Service.NGINX,))
    await Bundles(store, "shop").put(revision, {node: bundle})
    records = RolloutStore(store, "shop").assignments
    found = await records.get(node)
    now = store.clock.now()
    wanted = Assignment(node=node, number=number, revision=revision, digest=bundle.digest, time=now, rollout=1)
    await records.replace(node, wanted, found.version if found else 0)
    return bundle


async def order(store: Store, node: str, verb: Verb, given: timedelta = timedelta()) -> str:
    """What a switchover does: give an order, `given` ago."""
    kept = RolloutStore(store, "shop")
    one = Order(fence=kept.fence(1), id=secrets.token_hex(16), verb=verb, within_s=30)
    record = OrderRecord(node=node, order=one, who="user:admin", given=store.clock.now() - given)
    await kept.orders.create(one.id, record, await store.engine.grant(60))
    return one.id


def test_what_a_node_should_run_comes_at_once_and_again_after_a_reconnection() -> None:
    async def story() -> None:
        async with running() as world:
            agent = await world.joined(await world.admin(), "lb1")
            async with stream(agent) as opened:
                first = await assign(world.store, "lb1", 1)
                told = await opened.next_of(Desired)
                assert (told.fence.number, told.digest, told.node, told.cluster) == (1, first.digest, "lb1", "shop")
                assert told.fence.store_id == world.store.identity.store_id
                assert told.bundle == first
                second = await assign(world.store, "lb1", 2, revision=2)
                told = await opened.next_of(Desired)
                assert (told.fence.number, told.revision, told.bundle) == (2, 2, second)
            async with stream(agent) as opened:
                assert (await opened.next_of(Desired)).fence.number == 2

    asyncio.run(story())


def test_a_node_reads_its_own_bundle_alone() -> None:
    """Large ones are fetched by digest: one's own, the present one, and no other."""

    async def story() -> None:
        async with running() as world:
            admin = await world.admin()
            one, other = await world.joined(admin, "lb1"), await world.joined(admin, "lb2")
            earlier = await assign(world.store, "lb1", 1)
            large = await assign(world.store, "lb1", 2, size=400_000)
            async with stream(one) as opened:
                told = await opened.next_of(Desired)
                assert (told.bundle, told.digest) == (None, large.digest)
            got = await one.client.get(f"/agent/v1/bundles/{large.digest}")
            assert Bundle.model_validate_json(got.content) == large
            for client, digest in ((other.client, large.digest), (one.client, earlier.digest), (one.client, "0" * 64)):
                assert (await client.get(f"/agent/v1/bundles/{digest}")).status_code == 404
            assert (await world.client().get(f"/agent/v1/bundles/{large.digest}")).status_code == 401
            assert (await admin.get(f"/agent/v1/bundles/{large.digest}")).status_code == 401

    asyncio.run(story())


def test_overrides_come_with_the_same_fence_and_end_with_their_time() -> None:
    async def story() -> None:
        async with running() as world:
            agent = await world.joined(await world.admin(), "lb1")
            await assign(world.store, "lb1", 7)
            now = world.store.clock.now()
            kept = world.store.cluster("shop").overrides
            over = Override(kind=OverrideKind.DRAINED, target="web09:80", who="a", since=now, until=now)
            await kept.create(override_name(OverrideKind.DRAINED, "web09:80"), over)
            node = Override(kind=OverrideKind.MAINTENANCE, target="lb2", who="a", since=now)
            await kept.create(override_name(OverrideKind.MAINTENANCE, "lb2"), node)
            async with stream(agent) as opened:
                assert (await opened.next_of(Desired)).overrides.servers == ()
                drained = Override(kind=OverrideKind.DRAINED, target="web01:80", who="user:admin", why="x", since=now)
                name = override_name(OverrideKind.DRAINED, "web01:80")
                version = await kept.create(name, drained)
                told = await opened.next_of(Desired)
                assert told.fence.number == 7
                assert [(one.server, one.kind.value, one.who) for one in told.overrides.servers] == [
                    ("web01:80", "drained", "user:admin")
                ]
                await kept.delete(name, version)
                assert (await opened.next_of(Desired)).overrides.servers == ()

    asyncio.run(story())


def test_orders_are_told_in_time_and_answered_once() -> None:
    async def story() -> None:
        async with running() as world:
            admin = await world.admin()
            agent, other = await world.joined(admin, "lb1"), await world.joined(admin, "lb2")
            await order(world.store, "lb1", Verb.MOVE, given=timedelta(minutes=5))  # its time is over
            async with stream(agent) as opened:
                number = await order(world.store, "lb1", Verb.STATUS)
                told = await opened.next_of(Order)
                assert (told.id, told.verb) == (number, Verb.STATUS)
                assert 0 < told.within_s <= 30
                answer = Answer(order=number, node="lb1", status=NodeStatus(node="lb1"))
                body = answer.model_dump(mode="json")
                assert (await other.client.post("/agent/v1/answers", json=body)).status_code == 403
                forged = body | {"node": "lb2"}
                assert (await other.client.post("/agent/v1/answers", json=forged)).status_code == 404
                for _ in range(2):  # the second one after a connection that broke in the middle
                    assert (await agent.client.post("/agent/v1/answers", json=body)).status_code == 204
                kept = await RolloutStore(world.store, "shop").answers.get(number)
                assert kept is not None
                assert (kept.record.node, kept.record.answer) == ("lb1", answer)
            async with stream(agent) as opened:
                later = await order(world.store, "lb1", Verb.STATUS)
                assert (await opened.next_of(Order)).id == later  # what was answered does not come again

    asyncio.run(story())


def test_a_revoked_node_is_shown_out_at_once() -> None:
    async def story() -> None:
        async with running() as world:
            admin = await world.admin()
            agent, other = await world.joined(admin, "lb1"), await world.joined(admin, "lb2")
            async with stream(agent) as opened, stream(other) as goes_on:
                gone = await admin.delete("/api/v1/clusters/shop/nodes/lb1/certificate", params={"reason": "stolen"})
                assert gone.status_code == 204
                assert all(isinstance(one, Ping) for one in await opened.rest())
                await assign(world.store, "lb2", 1)
                assert (await goes_on.next_of(Desired)).node == "lb2"
            refused = await agent.client.get("/agent/v1/stream")
            assert refused.status_code == 401
            assert "revoked" in refused.json()["error"]["message"]
            report = AgentReport(node="lb1", time=world.store.clock.now()).model_dump(mode="json")
            assert (await agent.client.post("/agent/v1/reports", json=report)).status_code == 401

    asyncio.run(story())


def test_a_withdrawn_authority_ends_streams_and_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rotation makes every node come again, and it is let in; a withdrawal keeps out who did not join anew.

    Both are done at another controller.
    """
    monkeypatch.setattr(agents_stream, "PING_EVERY_S", 0.1)

    async def story() -> None:
        async with running(folder=tmp_path) as world:
            agent = await world.joined(await world.admin(), "lb1")
            doors = await open_doors(world.store, tmp_path / "controller.key", cost=CHEAP)
            person, old = Person("admin", Role.ADMIN), doors.authorities.current.fingerprint
            async with stream(agent) as opened:
                await doors.authorities.rotate(person)
                assert isinstance((await opened.rest())[-1], Ping)
            async with stream(agent) as opened:
                await doors.authorities.withdraw(person, old)
                assert isinstance((await opened.rest())[-1], Ping)
            report = await agent.client.post("/agent/v1/reports", json=report_of(world))
            assert report.status_code == 401

    asyncio.run(story())


def test_a_second_stream_of_a_node_ends_the_first() -> None:
    async def story() -> None:
        async with running() as world:
            agent = await world.joined(await world.admin(), "lb1")
            async with stream(agent) as first, stream(agent) as second:
                assert isinstance((await first.rest())[-1], Ping)
                await assign(world.store, "lb1", 1)
                assert (await second.next_of(Desired)).fence.number == 1

    asyncio.run(story())


def test_streams_end_whole_when_the_controller_stops() -> None:
    """A last line and a proper end: an agent sees that it was meant, and goes to another controller at once."""

    async def story() -> None:
        async with running() as world:
            agent = await world.joined(await world.admin(), "lb1")
            async with stream(agent) as opened:
                world.started.stop("told to")
                rest = await opened.rest()  # httpx raises for a response that breaks off
                assert isinstance(rest[-1], Ping)
            assert await asyncio.wait_for(world.serving, WITHIN_S) == "told to"

    asyncio.run(story())


def report_of(world: World, **fields: Any) -> dict[str, Any]:
    fence = RolloutStore(world.store, "shop").fence(3)
    told = AgentReport(node="lb1", time=world.store.clock.now(), fence=fence, revision=2, **fields)
    return told.model_dump(mode="json")


def test_reports_are_kept_with_events_for_drift() -> None:
    async def story() -> None:
        async with running() as world:
            agent = await world.joined(await world.admin(), "lb1")
            drift = Drift(kind=DriftKind.FILE, what="/etc/holdfast/nginx/nginx.conf", since=world.store.clock.now())
            for body in (
                report_of(world, progress=Progress.APPLIED),
                report_of(world, progress=Progress.VERIFIED, drift=(drift,)),
                report_of(world, progress=Progress.VERIFIED, drift=(drift,)),
                report_of(world, progress=Progress.VERIFIED),
            ):
                assert (await agent.client.post("/agent/v1/reports", json=body)).status_code == 204
            kept = await world.store.cluster("shop").reports.get("lb1")
            assert kept is not None
            assert (kept.record.revision, kept.record.state) == (2, "verified")
            assert AgentReport.model_validate_json(kept.record.content).progress is Progress.VERIFIED
            events = [one.record.kind for one in await world.store.events.newest() if one.record.node == "lb1"]
            assert events == ["node.drift_gone", "node.drift", "node.joined"]

    asyncio.run(story())


def test_a_clock_that_jumps_back_does_not_silence_a_node() -> None:
    async def story() -> None:
        async with running() as world:
            agent = await world.joined(await world.admin(), "lb1")
            first = report_of(world, progress=Progress.APPLIED) | {"time": "2090-01-01T00:00:00Z"}
            second = report_of(world, progress=Progress.VERIFIED) | {"time": "2001-01-01T00:00:00Z"}
            for body in (first, second):
                assert (await agent.client.post("/agent/v1/reports", json=body)).status_code == 204
            kept = await world.store.cluster("shop").reports.get("lb1")
            assert kept is not None
            assert kept.record.state == "verified"

    asyncio.run(story())


def test_a_report_that_is_too_long_is_cut_and_kept() -> None:
    async def story() -> None:
        async with running() as world:
            agent = await world.joined(await world.admin(), "lb1")
            now = world.store.clock.now()
            many = tuple(
                Drift(kind=DriftKind.FILE, what=f"/etc/{number}" + "x" * 200, diff="+" * 20_000, since=now)
                for number in range(150)
            )
            body = report_of(world, progress=Progress.VERIFIED, drift=many)
            assert (await agent.client.post("/agent/v1/reports", json=body)).status_code == 204
            kept = await world.store.cluster("shop").reports.get("lb1")
            assert kept is not None
            assert len(AgentReport.model_validate_json(kept.record.content).drift) == 150
            forged = body | {"node": "lb2", "drift": []}
            assert (await agent.client.post("/agent/v1/reports", json=forged)).status_code == 403

    asyncio.run(story())


def test_a_node_does_not_renew_its_certificate_over_and_over() -> None:
    """Each time is a certificate that is kept, and a record in an audit that keeps so many and no more."""
    limits = replace(FREE, node_renewals=Rate(0.000_001, 3))

    def change(options: Options) -> Options:
        return replace(options, settings=replace(options.settings, limits=limits))

    async def story() -> list[str]:
        async with running(change=change) as world:
            admin = await world.admin()
            one, other = await world.joined(admin, "lb1"), await world.joined(admin, "lb2")
            body = {"certificate_request": certificate_request(make_key())}
            answers = [await one.client.post("/agent/v1/renew", json=body) for _ in range(5)]
            answers.append(await other.client.post("/agent/v1/renew", json=body))
            return [answer.json()["error"]["code"] for answer in answers]

    young, many = "enrolment_refused", "too_many_attempts"
    assert asyncio.run(story()) == [young, young, young, many, many, young]
