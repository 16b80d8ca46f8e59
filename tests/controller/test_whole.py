"""From a spec to nodes that run it, over the wire alone: two controllers, two nodes, and a leader that goes away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.controller.operations.world import MORE_SERVERS, MORE_WEIGHT, SPEC
from tests.controller.world import PASSWORD, WITHIN_S, Agent, World, eventually, login, running
from tests.rollout.agents import Agents
from tests.store.etcd_cluster import EtcdCluster

from holdfast.agent.enrolment.tls import client_context
from holdfast.controller.serving import Options
from holdfast.protocol import (
    TO_AGENT,
    AgentReport,
    Answer,
    ApplyReport,
    Bundle,
    Desired,
    Order,
    Outcome,
    Progress,
)
from holdfast.store.address import EtcdAddress, EtcdCredentials
from holdfast.store.etcd.engine import EtcdEngine
from holdfast.store.memory import MemoryEngine
from holdfast.store.port import Engine

pytestmark = pytest.mark.whole


@dataclass
class Node:
    """A node that does what it is told at once, and says so, as a real one does: by its stream and by posts."""

    name: str
    client: httpx.AsyncClient
    picture: Agents  # who holds what: all nodes of a test share it
    may_go_on: asyncio.Event
    fences: list[tuple[int, int]] = field(default_factory=list)

    async def run(self) -> None:
        async with self.client.stream("GET", "/agent/v1/stream") as response:
            async for line in response.aiter_lines():
                match TO_AGENT.validate_json(line):
                    case Desired() as desired:
                        await self._apply(desired)
                    case Order() as order:
                        status = self.picture.status(self.name)
                        answer = Answer(order=order.id, node=self.name, status=status, knows_lists=True)
                        await self._post("answers", answer)

    async def _apply(self, desired: Desired) -> None:
        self.fences.append((desired.fence.number, desired.revision))
        await self._say(desired, Progress.ACCEPTED)
        await self.may_go_on.wait()
        bundle = desired.bundle
        if bundle is None:
            found = await self.client.get(f"/agent/v1/bundles/{desired.digest}")
            bundle = Bundle.model_validate_json(found.content)
        assert bundle.digest == desired.digest
        await self._say(desired, Progress.WRITTEN)
        self.picture.running[self.name] = bundle
        await self._say(desired, Progress.APPLIED)
        report = ApplyReport(node=self.name, outcome=Outcome.COMMITTED, digest=desired.digest)
        await self._say(desired, Progress.VERIFIED, report)

    async def _say(self, desired: Desired, progress: Progress, applied: ApplyReport | None = None) -> None:
        status = self.picture.status(self.name) if applied else None
        report = AgentReport(
            node=self.name, time=self.picture.store.clock.now(), fence=desired.fence, revision=desired.revision,
            progress=progress, applied=applied, status=status, knows_lists=True,
        )  # fmt: skip
        await self._post("reports", report)

    async def _post(self, where: str, message: AgentReport | Answer) -> None:
        """As a real agent: again while the store has no leader, and no more where nobody waits any more."""
        while True:
            answer = await self.client.post(f"/agent/v1/{where}", json=message.model_dump(mode="json"))
            if answer.status_code != 503:
                break
            await asyncio.sleep(0.2)
        assert answer.status_code == 204 or (where == "answers" and answer.status_code == 404), answer.text


@asynccontextmanager
async def nodes(world: World, admin: httpx.AsyncClient, elsewhere: World) -> AsyncIterator[dict[str, Node]]:
    """Two nodes that joined at one controller and listen to another one."""
    picture, go_on = Agents(world.store, {"www": "lb01"}), asyncio.Event()
    go_on.set()
    made: dict[str, Node] = {}
    for name in ("lb01", "lb02"):
        agent: Agent = await world.joined(admin, name)
        made[name] = Node(name, elsewhere.client(client_context(agent.identity)), picture, go_on)
    tasks = [asyncio.ensure_future(node.run()) for node in made.values()]
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


async def followed(client: httpx.AsyncClient, rollout: str) -> list[dict[str, Any]]:
    """A rollout as its events tell it, until its end."""
    seen = []
    path = f"/api/v1/clusters/shop/rollouts/{rollout}/events"
    async with asyncio.timeout(WITHIN_S), client.stream("GET", path) as told:
        assert told.headers["content-type"].startswith("text/event-stream")
        async for line in told.aiter_lines():
            if line.startswith("data: "):
                seen.append(json.loads(line.removeprefix("data: ")))
    return seen


async def apply(client: httpx.AsyncClient, spec: str, base: int) -> dict[str, Any]:
    body = {"spec": spec, "base": base, "message": f"made from {base}"}
    answer = await client.post("/api/v1/clusters/shop/revisions", json=body)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


def elsewhere(world: World, admin: httpx.AsyncClient) -> httpx.AsyncClient:
    """The same administrator at another controller."""
    return world.client(cookies=dict(admin.cookies), headers={"X-CSRF-Token": admin.headers["X-CSRF-Token"]})


def patient(options: Options) -> Options:
    """A leader that a slow machine does not depose."""
    return replace(options, settings=replace(options.settings, leader_ttl_s=20))


async def brought_to_nodes(engines: tuple[Engine, Engine], folder: Path) -> None:
    """Two revisions, the second one with another leader in the middle."""
    async with running(engines[0], folder, patient) as one, running(engines[1], folder, patient) as other:
        admin = await one.admin()
        admin_there = elsewhere(other, admin)
        async with nodes(one, admin, other) as found:
            first = await apply(admin, SPEC, 0)
            seen = await followed(admin_there, first["rollout"])
            assert (seen[-1]["phase"], seen[-1]["reason"]) == ("succeeded", "")
            assert {node["progress"] for node in seen[-1]["nodes"]} == {"verified"}
            assert [node.fences[-1][1] for node in found.values()] == [1, 1]

            go_on = found["lb01"].may_go_on
            go_on.clear()
            second = await apply(admin_there, MORE_WEIGHT, 1)
            await eventually(lambda: any(node.fences[-1][1] == 2 for node in found.values()))
            one.started.stop("the leader goes away in the middle")
            await asyncio.wait_for(one.serving, WITHIN_S)
            go_on.set()
            seen = await followed(admin_there, second["rollout"])
            assert (seen[-1]["phase"], seen[-1]["reason"]) == ("succeeded", "")
            for node in found.values():
                assert node.fences[-1][1] == 2
                assert node.fences == sorted(set(node.fences))
        events = await admin_there.get("/api/v1/clusters/shop/events")
        kinds = [event["kind"] for event in events.json()["events"]]
        assert kinds.count("rollout.proposed") == 2
        listed = await admin_there.get("/api/v1/clusters/shop/revisions")
        assert [each["number"] for each in listed.json()["revisions"]] == [2, 1]


def test_a_revision_reaches_its_nodes_and_a_leader_that_stops_is_followed(tmp_path: Path) -> None:
    engine = MemoryEngine()
    asyncio.run(brought_to_nodes((engine, engine), tmp_path))


@pytest.mark.lab
@pytest.mark.xdist_group("etcd")
def test_the_same_on_etcd_and_what_goes_on_without_its_quorum(tmp_path: Path) -> None:
    async def story(cluster: EtcdCluster) -> None:
        address = EtcdAddress(cluster.endpoints, "controllers")
        one, other = (EtcdEngine(address, EtcdCredentials()) for _ in range(2))
        try:
            await brought_to_nodes((one, other), tmp_path)
            async with running(other, tmp_path) as world:
                await without_quorum(world, cluster)
        finally:
            await one.close()
            await other.close()

    cluster = EtcdCluster()
    try:
        cluster.start()
        asyncio.run(story(cluster))
    finally:
        cluster.stop()


async def without_quorum(world: World, cluster: EtcdCluster) -> None:
    """Reading goes on, writing is refused with a sentence; with the quorum back, all is as before."""
    admin = world.client()
    await login(admin, "admin", PASSWORD)
    for member in cluster.members[1:]:
        cluster.kill(member)
    listed = await admin.get("/api/v1/clusters/shop/revisions")
    assert listed.status_code == 200, listed.text
    assert [each["number"] for each in listed.json()["revisions"]] == [2, 1]
    refused = await admin.post("/api/v1/clusters", json={"name": "other"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_unavailable")
    assert (await admin.get("/readyz")).status_code == 503
    assert (await admin.get("/healthz")).status_code == 200
    for member in cluster.members[1:]:
        cluster.start_member(member)
    cluster.wait()
    async with asyncio.timeout(WITHIN_S):
        while (await admin.post("/api/v1/clusters", json={"name": "other"})).status_code != 201:
            await asyncio.sleep(0.2)


def test_two_operators_at_once_and_one_is_shown_both_differences(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(folder=tmp_path) as world:
            admin = await world.admin()
            assert (await admin.post("/api/v1/clusters", json={"name": "shop"})).status_code == 201
            body = [{"spec": spec, "base": 0, "rollout": False} for spec in (MORE_WEIGHT, MORE_SERVERS)]
            answers = await asyncio.gather(*(admin.post("/api/v1/clusters/shop/revisions", json=each) for each in body))
            assert sorted(answer.status_code for answer in answers) == [201, 409]
            (refused,) = [answer.json()["error"] for answer in answers if answer.status_code == 409]
            assert refused["code"] == "outdated"
            assert (refused["outdated"]["base"], refused["outdated"]["newest"]) == (0, 1)
            for sides in (refused["outdated"]["yours"], refused["outdated"]["theirs"]):
                assert ("weight: 3" in sides) != ("web01:81" in sides)

    asyncio.run(story())


def test_events_are_followed_and_resumed(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(folder=tmp_path) as world:
            admin = await world.admin()
            assert (await admin.post("/api/v1/clusters", json={"name": "shop"})).status_code == 201
            body = {"spec": SPEC, "base": 0, "rollout": False}
            headers = {"Accept": "text/event-stream"}
            async with (
                asyncio.timeout(WITHIN_S),
                admin.stream("GET", "/api/v1/clusters/shop/events", headers=headers) as told,
            ):
                lines = told.aiter_lines()
                assert (await anext(lines)).startswith(":")  # it has begun
                assert (await admin.post("/api/v1/clusters/shop/revisions", json=body)).status_code == 201
                identifier = ""
                async for line in lines:
                    identifier = line if line.startswith("id: ") else identifier
                    if line.startswith("data: "):
                        assert json.loads(line.removeprefix("data: "))["kind"] == "revision.made"
                        break
            listed = await admin.get("/api/v1/clusters/shop/events", params={"after": identifier.removeprefix("id: ")})
            assert listed.json()["events"] == []
            assert world.started.stop("over") is None
            assert await asyncio.wait_for(world.serving, WITHIN_S) == "over"

    asyncio.run(story())
