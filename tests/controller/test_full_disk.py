"""A disk that is full below a controller: refused clearly, nothing half done, and it goes on once there is room."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import httpx
import pytest
from tests.controller.operations.world import MORE_WEIGHT, SPEC
from tests.controller.world import WITHIN_S, World, login, running
from tests.disk import fill, small_disk

from holdfast.controller.agents import stream as agents_stream
from holdfast.errors import StoreFull
from holdfast.protocol import AgentReport
from holdfast.store.port import Engine, Put
from holdfast.store.sqlite import SqliteEngine

pytestmark = pytest.mark.lab


async def fill_up(engine: Engine, disk: Path) -> Path:
    """Until not even a small commit finds room: SQLite has some in its log."""
    ballast = fill(disk)
    for size in (300_000, 30_000, 3000, 1):
        with contextlib.suppress(StoreFull):
            for number in range(1000):
                await engine.commit([], [Put(f"zz/{size}/{number:04d}", os.urandom(size))])
    return ballast


async def content(engine: Engine) -> dict[str, int]:
    """Everything that outlives a moment, by its version: who is connected and who leads goes with time."""
    pages = [page async for page in engine.snapshot("")]
    return {entry.key: entry.version for page in pages for entry in page.entries if not entry.lease}


async def ended(client: httpx.AsyncClient, revision: int) -> None:
    """Until the rollout of a revision is over."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            told = (await client.get("/api/v1/clusters/shop/rollouts")).json()["rollouts"]
            if any(one["revision"] == revision and one["ended"] for one in told):
                return
            await asyncio.sleep(0.05)


async def refused(world: World, admin: httpx.AsyncClient, agent: httpx.AsyncClient) -> None:
    """Whoever wants to write is told what to do; whoever reads is served."""
    stranger = world.client()
    report = AgentReport(node="lb09", time=world.store.clock.now(), agent_version="0")
    for answer in (
        await admin.post("/api/v1/clusters/shop/revisions", json={"spec": MORE_WEIGHT, "base": 1, "message": "more"}),
        await admin.post("/api/v1/clusters", json={"name": "another"}),
        await admin.post("/api/v1/clusters/shop/nodes/lb10/join-token", json={}),
        await stranger.post("/api/v1/session", json={"name": "admin", "password": "a password that nobody else knows"}),
        await agent.post("/agent/v1/reports", json=report.model_dump(mode="json")),
    ):
        assert answer.status_code == 507, (answer.request.url, answer.text)
        assert "the disk is full" in answer.json()["error"]["message"]
        assert "make room" in answer.json()["error"]["hint"]
    listed = await admin.get("/api/v1/clusters/shop/revisions")
    assert [one["number"] for one in listed.json()["revisions"]] == [1]
    assert (await admin.get("/api/v1/clusters/shop/status")).status_code == 200
    assert (await admin.get("/readyz")).status_code == 503
    assert (await admin.get("/healthz")).status_code == 200


def test_a_full_disk_is_said_harms_nothing_and_is_over_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents_stream, "PING_EVERY_S", 0.2)

    async def story(disk: Path) -> None:
        engine = await SqliteEngine.open(disk / "store.db")
        async with running(engine, tmp_path) as world:
            admin = await world.admin()
            agent = (await world.joined(admin, "lb09")).client
            body = {"spec": SPEC, "base": 0, "message": "first"}
            assert (await admin.post("/api/v1/clusters/shop/revisions", json=body)).status_code == 201
            await ended(admin, 1)
            async with agent.stream("GET", "/agent/v1/stream") as response:
                lines = response.aiter_lines()
                await anext(lines)
                ballast = await fill_up(engine, disk)
                before = await content(engine)
                await refused(world, admin, agent)
                assert await content(engine) == before
                for _ in range(5):  # an agent's stream goes on meanwhile
                    await asyncio.wait_for(anext(lines), WITHIN_S)
                ballast.unlink()
                body = {"spec": MORE_WEIGHT, "base": 1, "message": "more"}
                assert (await admin.post("/api/v1/clusters/shop/revisions", json=body)).status_code == 201
            await ended(admin, 2)  # whoever leads now carries it out
            await login(world.client(), "admin", "a password that nobody else knows")
            assert (await admin.get("/readyz")).status_code == 200
        await engine.close()

    with small_disk(tmp_path / "disk", 24) as disk:
        asyncio.run(story(disk))
