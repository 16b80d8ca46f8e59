"""The agent at the real controller: joined by its token, let in by its certificate, told by the store."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from tests.agent.daemon.stand_in import KEY, bundle, until
from tests.agent.daemon.test_agent import run
from tests.agent.services.fakes import FakeManager
from tests.controller.world import World, running

from holdfast.agent.credentials import context_from
from holdfast.agent.daemon.enroller import HttpsEnrolment
from holdfast.agent.daemon.loop import Agent
from holdfast.agent.daemon.rotation import Rotation
from holdfast.agent.daemon.wire import Controller
from holdfast.agent.daemon.work import Work
from holdfast.agent.enrolment import join
from holdfast.agent.host.fake import FakeHost
from holdfast.agent.host.port import Places
from holdfast.agent.services.base import Node
from holdfast.bundle import Bundle
from holdfast.protocol import Order, Verb
from holdfast.rollout.bundles import Bundles
from holdfast.rollout.records import Assignment, OrderRecord, RolloutStore
from holdfast.store.memory import MemoryEngine

pytestmark = pytest.mark.whole


async def joined(world: World, admin: httpx.AsyncClient, folder: Path, host: FakeHost) -> Agent:
    """A node that becomes known as a person would make it, and its agent."""
    assert (await admin.post("/api/v1/clusters", json={"name": "shop"})).status_code == 201
    answer = await admin.post("/api/v1/clusters/shop/nodes/lb01/join-token", json={})
    token = SecretStr(answer.json()["token"])
    await join(token, HttpsEnrolment([world.url]), folder / "node.pem", datetime.now(UTC))
    work = Work(Node(host, Places(folder / "root"), FakeManager()), judge=lambda bundle: (), prepare=lambda: None)
    return Agent(
        "shop", "lb01", work, Rotation((world.url,)), lambda url: Controller(url, context_from(folder / "node.pem"))
    )


async def assign(world: World, number: int, wanted: Bundle) -> None:
    await Bundles(world.store, "shop").put(number, {"lb01": wanted})
    records = RolloutStore(world.store, "shop").assignments
    record = Assignment(node="lb01", number=number, revision=number, digest=wanted.digest, time=datetime.now(UTC))
    known = await records.get("lb01")
    step = records.creating("lb01", record) if known is None else records.replacing("lb01", record, known.version)
    await world.store.commit(step)


async def state_of(world: World) -> tuple[int, str]:
    found = await world.store.cluster("shop").reports.get("lb01")
    return (found.record.revision, found.record.state) if found is not None else (0, "")


async def eventually(world: World, revision: int, state: str) -> None:
    async with asyncio.timeout(120):
        while await state_of(world) != (revision, state):
            await asyncio.sleep(0.02)


def test_from_the_token_to_a_verified_revision_and_on_without_a_controller(tmp_path: Path) -> None:
    async def scenario() -> None:
        engine, host = MemoryEngine(), FakeHost()
        host.sysctls = {KEY: "0"}
        async with running(engine, tmp_path) as world:
            agent = await joined(world, await world.admin(), tmp_path, host)
            running_agent = asyncio.create_task(agent.run())
            await assign(world, 1, bundle("1"))
            await eventually(world, 1, "verified")
            assert host.sysctls[KEY] == "1"
            await assign(world, 2, bundle("0", more=40_000))  # too large for a line: it is fetched
            await eventually(world, 2, "verified")
            assert host.sysctls[KEY] == "0"
            records = RolloutStore(world.store, "shop")
            order = Order(fence=records.fence(2), id="0" * 32, verb=Verb.STATUS, within_s=60)
            record = OrderRecord(node="lb01", order=order, who="anna", given=datetime.now(UTC))
            await world.store.commit(records.orders.creating(order.id, record))
            async with asyncio.timeout(120):
                while (answered := await records.answers.get(order.id)) is None:
                    await asyncio.sleep(0.02)
            assert answered.record.answer.status is not None
            assert answered.record.answer.status.digest == bundle("0", more=40_000).digest
        await until(lambda: agent._connection.controller is None)
        assert not running_agent.done()
        assert agent.known.desired is not None
        assert agent.known.desired.revision == 2
        running_agent.cancel()
        await asyncio.wait({running_agent})

    run(scenario())


def test_a_revoked_node_is_shown_out_and_goes_on_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        host = FakeHost()
        host.sysctls = {KEY: "0"}
        async with running(folder=tmp_path) as world:
            admin = await world.admin()
            agent = await joined(world, admin, tmp_path, host)
            running_agent = asyncio.create_task(agent.run())
            await assign(world, 1, bundle("1"))
            await eventually(world, 1, "verified")
            answer = await admin.delete("/api/v1/clusters/shop/nodes/lb01/certificate")
            assert answer.status_code < 300, answer.text
            await until(lambda: agent._connection.controller is None, "the stream ends")
            await assign(world, 2, bundle("0"))
            await asyncio.sleep(0.5)
            assert host.sysctls[KEY] == "1"
            assert not running_agent.done()
            running_agent.cancel()
            await asyncio.wait({running_agent})

    run(scenario())
