"""Two hundred browsers look at one cluster: each sees a change soon, and what they see was rendered a few times."""

from __future__ import annotations

import asyncio
import time
from unittest.mock import patch

import httpx
import pytest
from tests.controller.operations.world import SPEC
from tests.controller.world import WITHIN_S, World, running

from holdfast.controller.console import pages
from holdfast.controller.identity.sealing import KeyFileSealer
from holdfast.controller.operations.desk import Desk
from holdfast.store.models import Override, OverrideKind

pytestmark = pytest.mark.measures
BROWSERS = 200
SEEN_WITHIN_S = 10.0  # by all; they are told every four seconds
HERE = "/console/clusters/shop"
WORD = "it is a new word"


async def look(client: httpx.AsyncClient, ready: asyncio.Event, wanted: str) -> float:
    """One browser: it follows the stream, and fetches the part whenever it is told; when it saw what is wanted."""
    async with client.stream("GET", f"{HERE}/changes", headers={"accept": "text/event-stream"}) as stream:
        assert stream.status_code == 200
        async for line in stream.aiter_lines():
            if line == "event: hello":
                ready.set()
            if line.startswith("event: "):
                part = await client.get(f"{HERE}/now", headers={"hx-request": "true"})
                assert part.status_code == 200
                if wanted in part.text:
                    return time.monotonic()
    raise AssertionError("the stream ended")


async def with_cluster(world: World) -> tuple[httpx.AsyncClient, Desk]:
    """An administrator, and somebody who writes into the store as agents do."""
    admin = await world.admin()
    assert (await admin.post("/api/v1/clusters", json={"name": "shop"})).status_code == 201
    made = await admin.post("/api/v1/clusters/shop/revisions", json={"spec": SPEC, "base": 0})
    assert made.status_code == 201, made.text
    return admin, Desk(world.store, KeyFileSealer(b"k" * 32), "user:ada")


def test_two_hundred_browsers_see_a_change() -> None:
    async def story() -> None:
        rendered = 0
        once = pages.Page._rendered

        def counted(page: pages.Page, template: str, *context: object) -> str:
            nonlocal rendered
            rendered += template == "overview/now.html"
            return once(page, template, *context)  # type: ignore[arg-type]

        async with running() as world:
            admin, desk = await with_cluster(world)
            cookies = {one.name: str(one.value) for one in admin.cookies.jar}
            clients = [world.client(cookies=cookies) for _ in range(BROWSERS)]
            ready = [asyncio.Event() for _ in clients]
            with patch.object(pages.Page, "_rendered", counted):
                looking = [
                    asyncio.create_task(look(client, one, WORD)) for client, one in zip(clients, ready, strict=True)
                ]
                async with asyncio.timeout(WITHIN_S):
                    await asyncio.gather(*(one.wait() for one in ready))
                began, before = time.monotonic(), rendered
                kept = Override(kind=OverrideKind.SUSPENDED, target="web01:80", who="ada", why=WORD, since=desk.now())
                await desk.store.cluster("shop").overrides.create("one", kept)
                seen = await asyncio.gather(*looking)
        assert max(seen) - began < SEEN_WITHIN_S, f"{max(seen) - began:.1f} s"
        assert rendered - before < BROWSERS / 4, f"rendered {rendered - before} times"

    asyncio.run(story())
