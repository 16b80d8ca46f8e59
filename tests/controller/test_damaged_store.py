"""Each kind of record in the store damaged in turn: a controller starts, serves the rest, and says what is damaged."""

from __future__ import annotations

import asyncio
import html
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from tests.controller.operations.agents import Members, report
from tests.controller.operations.world import MORE_WEIGHT, SPEC, end_rollout, request
from tests.controller.world import PASSWORD, running

from holdfast.controller.identity.sealing import read_key_file
from holdfast.controller.operations import revisions
from holdfast.controller.operations.desk import Desk
from holdfast.errors import StoreDamaged
from holdfast.protocol import Order, Progress, Verb
from holdfast.rollout.records import OrderRecord, RolloutStore
from holdfast.store.memory import MemoryEngine
from holdfast.store.models import Override, OverrideKind, Registration
from holdfast.store.port import Put

pytestmark = pytest.mark.whole  # a controller for each kind

WAYS = {
    "cut off": lambda value: value[: len(value) // 2],
    "no text at all": lambda value: b"\x00\xff\xfe",
    "of another type": lambda value: b"[17]",
    "of a later version": lambda value: b'{"later": 1}',
}
# Without these nobody could be let in, or no desired state be sent: the start ends, and says so.
ENDS_THE_START = {"identity", "other/authority/all", "other/key/marks"}
# What heals by itself, or is asked for only when it is needed; nobody has to be told before.
UNSEEN = {
    "cluster/shop/other/bundle",  # compiled again
    "cluster/shop/other/bundle-piece",
    "cluster/shop/other/order",  # no agent gets it; who gave it is told that none answered
    "cluster/shop/other/revision-bundles",
    "cluster/shop/report-history/lb01/head",  # counted anew
    "cluster/shop/report-history/lb01/n",  # of one report among fifty
    "cluster/shop/revision/head",
    "event/head",
    "audit/head",
    "fence/leader",
    "other/failed-login",  # counts for nothing any more
    "lock/shop",  # told where somebody applies
    "user/admin",  # told where they log in
}
# Lists show the others, and say of this one that it is damaged.
LISTED = {
    "audit/n": ("audit",),
    "event/n": ("clusters/shop/events",),
    "cluster/shop/revision/n": ("clusters/shop/revisions", "clusters/shop/status"),
}
OF_ALL = ("clusters", "users", "tokens", "audit", "authorities", "sessions")
OF_ONE = (
    "status", "nodes", "nodes/lb01", "revisions", "revisions/1", "rollouts", "rollouts/1", "overrides", "damaged",
    "findings", "events",
)  # fmt: skip
OF_OTHER = ("clusters", "clusters/other/status", "clusters/other/damaged")
PAGES = ("", "clusters/shop", "clusters/shop/nodes", "clusters/shop/revisions")


@dataclass(frozen=True)
class Seed:
    """What a store holds after a while, and the key of what is sealed in it."""

    entries: dict[str, bytes]
    key: bytes


async def _made(folder: Path) -> Seed:
    engine = MemoryEngine()
    async with running(engine, folder) as world:
        admin = await world.admin()
        for name in ("lb01", "lb02"):
            await world.joined(admin, name)
        assert (await admin.post("/api/v1/clusters", json={"name": "other"})).status_code == 201
        assert (await admin.post("/api/v1/tokens", json={"name": "ci", "role": "viewer"})).status_code == 201
        wrong = {"name": "nobody", "password": "what somebody guessed"}
        assert (await world.client().post("/api/v1/session", json=wrong)).status_code == 401
    sealer = read_key_file(folder / "controller.key")
    assert sealer is not None
    await _operated(Desk(world.store, sealer, "user:ada", "192.0.2.7"))
    entries = (await engine.scan("!", "~")).entries
    return Seed({one.key: one.value for one in entries}, (folder / "controller.key").read_bytes())


async def _operated(desk: Desk) -> None:
    kept, known = RolloutStore(desk.store, "shop"), desk.store.cluster("shop")
    await end_rollout(desk, await revisions.apply(desk, "shop", request(SPEC, 0)))
    await end_rollout(desk, await revisions.apply(desk, "shop", request(MORE_WEIGHT, 1)))
    members = Members(desk, "www", ["lb01", "lb02"])
    for one in await kept.assignments.all():
        said = members.status(one.name).model_copy(update={"digest": one.record.digest})
        await report(desk, one.name, status=said, revision=2, progress=Progress.VERIFIED, agent_version="1")
    since, until = desk.now(), desk.now() + timedelta(days=1)
    drained = Override(kind=OverrideKind.DRAINED, target="web01:80", pool="app", who="ada", since=since, until=until)
    await known.overrides.create("drained/web01:80@pool:app", drained)
    await known.register(
        Registration(service="s", instance="i", node="lb01", address="10.0.0.5", port=80, ttl=86_400, since=since)
    )
    order = Order(id="0" * 32, verb=Verb.STATUS, fence=kept.fence(0), within_s=600)
    await kept.orders.create(order.id, OrderRecord(node="lb01", order=order, who="ada", given=since))


def kind_of(key: str) -> str:
    """What one key has in common with all others of its kind."""
    key = re.sub(r"/(n|revision-content|rollout|revision-bundles)/\d+$", r"/\1", key)
    return re.sub(r"/[0-9a-f]{32,}(?:%2F\d+)?$", "", key)


# One kind a test, so that each has a name; the last test holds that no kind is missing here.
KINDS = (
    "audit/head", "audit/n", "event/head", "event/n", "fence/leader", "identity", "known-cluster/other",
    "known-cluster/shop", "lock/shop", "user/admin", "token", "other/authority/all", "other/certificate",
    "other/failed-login", "other/key/marks", "cluster/shop/node/lb01",
    "cluster/shop/override/drained%2Fweb01:80@pool:app", "cluster/shop/registration/s%2Fi",
    "cluster/shop/report/lb01", "cluster/shop/report-history/lb01/head", "cluster/shop/report-history/lb01/n",
    "cluster/shop/revision/head", "cluster/shop/revision/n", "cluster/shop/revision-content",
    "cluster/shop/other/assignment/lb01", "cluster/shop/other/bundle", "cluster/shop/other/bundle-piece",
    "cluster/shop/other/order", "cluster/shop/other/revision-bundles", "cluster/shop/other/rollout",
    "cluster/shop/other/rollout-head/head",
)  # fmt: skip


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Seed:
    return asyncio.run(_made(tmp_path_factory.mktemp("seed")))


async def _engine(entries: dict[str, bytes]) -> MemoryEngine:
    engine = MemoryEngine()
    for key, value in entries.items():
        await engine.commit([], [Put(key, value)])
    return engine


async def _session(client: httpx.AsyncClient, key: str) -> bool:
    answer = await client.post("/api/v1/session", json={"name": "admin", "password": PASSWORD})
    if answer.status_code == 200:
        client.headers["X-CSRF-Token"] = answer.json()["csrf"]
        return True
    _held_to(answer, key)
    return False


def _held_to(answer: httpx.Response, key: str) -> str:
    """What it said; an error names what is damaged, and what to do."""
    if answer.status_code == 200:
        return html.unescape(answer.text)
    assert answer.status_code == 500, answer.text
    if "html" in answer.headers["content-type"]:
        assert key in html.unescape(answer.text)
    else:
        error = answer.json()["error"]
        assert error["code"] == "store_damaged"
        assert key in error["message"]
        assert "restore a dump" in error["hint"]
    return answer.text


async def _looked_at(client: httpx.AsyncClient, kind: str, key: str, pages: tuple[str, ...]) -> str:
    """All that was said, by everything that can be asked for."""
    said = []
    for path in (*OF_ALL, *(f"clusters/shop/{one}" for one in OF_ONE)):
        said.append(_held_to(await client.get(f"/api/v1/{path}"), key))
    for page in pages:
        answer = await client.get(f"/console/{page}", follow_redirects=True)
        assert "html" in answer.headers["content-type"], page
        said.append(_held_to(answer, key))
    for path in LISTED.get(kind, ()):
        assert (await client.get(f"/api/v1/{path}")).status_code == 200, f"one {kind} is in the way of {path}"
    for path in OF_OTHER:
        assert (await client.get(f"/api/v1/{path}")).status_code == 200, f"{kind} is in the way of {path}"
    return "\n".join(said)


@pytest.mark.parametrize("kind", [one for one in KINDS if one not in ENDS_THE_START])
def test_a_controller_starts_serves_the_rest_and_says_what_is_damaged(seed: Seed, kind: str, tmp_path: Path) -> None:
    """Damaged in one way before the start, and in every other way while it runs."""
    (tmp_path / "controller.key").write_bytes(seed.key)
    (tmp_path / "controller.key").chmod(0o600)
    key = next(one for one in seed.entries if kind_of(one) == kind)

    async def story() -> None:
        (_, first), *others = WAYS.items()
        engine = await _engine({**seed.entries, key: first(seed.entries[key])})
        async with running(engine, tmp_path) as world:
            client = world.client()
            while True:
                name = key.removeprefix("cluster/shop/").removeprefix("known-")
                if await _session(client, key):
                    said = await _looked_at(client, kind, key, PAGES if len(others) == len(WAYS) - 1 else ())
                    assert kind in UNSEEN or key in said or name.replace("%2F", "/").split("/", 1)[1] in said
                else:
                    assert kind == "user/admin"
                if not others:
                    return
                _, way = others.pop()
                await engine.commit([], [Put(key, way(seed.entries[key]))])

    asyncio.run(story())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", sorted(ENDS_THE_START))
def test_what_nobody_can_do_without_ends_the_start_with_its_name(
    seed: Seed, kind: str, way: str, tmp_path: Path
) -> None:
    (tmp_path / "controller.key").write_bytes(seed.key)
    (tmp_path / "controller.key").chmod(0o600)

    async def story() -> None:
        engine = await _engine({**seed.entries, kind: WAYS[way](seed.entries[kind])})
        with pytest.raises(StoreDamaged) as refused:
            async with running(engine, tmp_path):
                pass
        assert kind in refused.value.message
        assert "restore a dump" in refused.value.hint

    asyncio.run(story())


def test_no_kind_of_record_is_left_out(seed: Seed) -> None:
    assert {kind_of(one).replace("lb02", "lb01") for one in seed.entries} == set(KINDS)
