"""Agents that tell what their nodes do, while somebody looks, by whichever controller that is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.controller.agents.test_streams import Stream
from tests.controller.world import WITHIN_S, Agent, World, running

from holdfast.agent.enrolment.tls import client_context
from holdfast.controller.realtime.wishes import wishes_of
from holdfast.controller.serving import Options
from holdfast.protocol import Ping
from holdfast.protocol.realtime import HEEDS_HEADER, WATCH, Bucket, Sample, TableService, Watch
from holdfast.store.memory import MemoryEngine

pytestmark = pytest.mark.whole

HEEDS = {HEEDS_HEADER: WATCH}
HERE = "/api/v1/clusters/shop/nodes/lb1/realtime"
EVENTS = {"accept": "text/event-stream"}


@asynccontextmanager
async def stream(agent: Agent, headers: dict[str, str]) -> AsyncIterator[Stream]:
    async with agent.client.stream("GET", "/agent/v1/stream", headers=headers) as response:
        opened = Stream(response)
        assert isinstance(await opened.next(), Ping)
        yield opened


def sample(watch: Watch, **fields: Any) -> Sample:
    history = (Bucket(number=41, values={"ipvs total": (1.0, 2.0, 3.0, 4.0)}),)
    service = TableService(name="tcp 10.0.0.3:80", per_s=(5.0, 0.0, 0.0, 0.0, 0.0))
    return Sample(
        node="lb1", controller=watch.watching[0].controller, number=42, seconds=1.0, directs=True, services=(service,),
        history=history, **fields,
    )  # fmt: skip


async def tell(agent: Agent, said: Sample) -> httpx.Response:
    headers = {"content-type": "application/json"}
    return await agent.client.post("/agent/v1/samples", content=said.model_dump_json(), headers=headers)


async def first_event(admin: httpx.AsyncClient, **params: Any) -> dict[str, Any]:
    async with admin.stream("GET", HERE, params=params, headers=EVENTS) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: ") and (found := json.loads(line.removeprefix("data: ")))["sample"]:
                return found
    raise AssertionError("the stream ended")


def test_who_looks_is_told_to_the_agent_and_what_it_tells_to_who_looks() -> None:
    async def story() -> None:
        async with running() as world:
            admin = await world.admin()
            agent = await world.joined(admin, "lb1")
            async with stream(agent, HEEDS) as opened:
                looking = asyncio.create_task(first_event(admin, every_s=2, find="10.9", history=True))
                watch = await opened.next_of(Watch)
                assert [(one.every_s, one.connections) for one in watch.watching] == [(2.0, ("10.9",))]
                assert (await tell(agent, sample(watch))).status_code == 204
                found = await looking
                assert found["sample"]["services"][0]["per_s"][0] == 5.0
                assert found["history"][0]["values"] == {"ipvs total": [1.0, 2.0, 3.0, 4.0]}
                assert found["sample"]["history"] == []
                once = asyncio.create_task(admin.get(HERE))
                await opened.next_of(Watch)
                while not once.done():
                    assert (await tell(agent, sample(watch))).status_code == 204
                    await asyncio.sleep(0.05)
                assert (await once).json()["sample"]["node"] == "lb1"

    asyncio.run(story())


def test_an_agent_that_does_not_know_what_that_is_is_not_told() -> None:
    async def story() -> None:
        async with running() as world:
            admin = await world.admin()
            agent = await world.joined(admin, "lb1")
            async with stream(agent, {}) as opened:
                answer = await admin.get(HERE, params={"within_s": 0.5})
                assert (answer.status_code, answer.json()["sample"]) == (200, None)
                assert len(await wishes_of(world.store, "shop").all()) == 1  # it was asked for
                async with asyncio.timeout(WITHIN_S):
                    assert isinstance(await opened.next(), Ping)

    asyncio.run(story())


def test_what_nobody_asked_for_or_is_of_another_node_is_not_taken() -> None:
    async def story() -> None:
        async with running() as world:
            agent = await world.joined(await world.admin(), "lb1")
            said = Sample(node="lb1", controller="one")
            assert (await tell(agent, said)).status_code == 404
            assert (await tell(agent, said.model_copy(update={"node": "lb2"}))).status_code == 403

    asyncio.run(story())


def test_a_node_that_is_not_there_and_a_stranger_are_refused() -> None:
    async def story() -> None:
        async with running() as world:
            admin = await world.admin()
            await world.joined(admin, "lb1")
            answer = await admin.get(HERE.replace("lb1", "lb9"))
            assert (answer.status_code, "lb1" in answer.text) == (404, True)
            assert (await world.client().get(HERE)).status_code == 401
            assert (await admin.get(HERE, params={"every_s": 0.1})).status_code == 422

    asyncio.run(story())


def _another(options: Options) -> Options:
    return replace(options, settings=replace(options.settings, holder="two"))


def test_who_looks_by_another_controller_is_told_by_the_one_that_has_the_agent(tmp_path: Path) -> None:
    """The wish goes through the store; the sample goes from the agent to whoever asked, and nowhere else."""

    async def story() -> None:
        engine = MemoryEngine()
        (tmp_path / "one").mkdir()
        async with running(engine, tmp_path / "one") as first:
            admin = await first.admin()
            agent = await first.joined(admin, "lb1")
            key = (tmp_path / "one" / "controller.key").read_bytes()
            (tmp_path / "two").mkdir()
            (tmp_path / "two" / "controller.key").write_bytes(key)
            (tmp_path / "two" / "controller.key").chmod(0o600)
            async with running(engine, tmp_path / "two", _another) as second, stream(agent, HEEDS) as opened:
                other = await _same_admin(admin, second)
                looking = asyncio.create_task(first_event(other))
                watch = await opened.next_of(Watch)
                assert [one.controller for one in watch.watching] == ["two"]
                assert (await tell(agent, sample(watch))).status_code == 404  # here nobody looks
                there = Agent(agent.identity, second.client(client_context(agent.identity)))
                assert (await tell(there, sample(watch))).status_code == 204
                assert (await looking)["sample"]["node"] == "lb1"
                looking.cancel()

    asyncio.run(story())


async def _same_admin(admin: httpx.AsyncClient, world: World) -> httpx.AsyncClient:
    made = world.client()
    made.cookies.update(admin.cookies)
    return made
