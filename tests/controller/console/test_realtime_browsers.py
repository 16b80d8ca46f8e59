"""Two hundred browsers look at one node: it is asked once, and what they see is rendered once for each sample."""

from __future__ import annotations

import asyncio
import json
import time
from unittest.mock import patch

import httpx
import pytest
from tests.controller.agents.test_realtime import HEEDS, sample, stream, tell
from tests.controller.world import WITHIN_S, running

from holdfast.controller.console import pages
from holdfast.protocol.realtime import Watch

pytestmark = pytest.mark.measures
BROWSERS = 200
HERE = "/console/clusters/shop/realtime/stream?node=lb1&every=1"
LEAST = 2  # samples that each of them sees


async def look(client: httpx.AsyncClient) -> int:
    """Bytes of what one browser was sent until it had seen enough."""
    seen, size = 0, 0
    async with client.stream("GET", HERE, headers={"accept": "text/event-stream"}) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            if line.startswith("data: ") and "telling" in json.loads(line.removeprefix("data: "))["html"]:
                seen, size = seen + 1, size + len(line)
                if seen >= LEAST:
                    return size
    raise AssertionError("the stream ended")


def test_two_hundred_browsers_share_what_is_sampled_and_rendered() -> None:
    async def story() -> None:
        rendered = told = 0
        once = pages.Page._rendered

        def counted(page: pages.Page, template: str, *context: object) -> str:
            nonlocal rendered
            rendered += template == "realtime/now.html"
            return once(page, template, *context)  # type: ignore[arg-type]

        async with running() as world:
            admin = await world.admin()
            agent = await world.joined(admin, "lb1")
            with patch.object(pages.Page, "_rendered", counted):
                async with stream(agent, HEEDS) as opened:
                    began = time.monotonic()
                    cookies = {one.name: str(one.value) for one in admin.cookies.jar}
                    clients = [world.client(cookies=cookies) for _ in range(BROWSERS)]
                    browsers = [asyncio.create_task(look(client)) for client in clients]
                    watch = await opened.next_of(Watch)
                    while not all(one.done() for one in browsers):
                        assert time.monotonic() - began < WITHIN_S
                        assert (await tell(agent, sample(watch))).status_code == 204
                        told += 1
                        await asyncio.sleep(1)
                    assert all(one.result() > 0 for one in browsers)
        assert rendered <= told + 2  # before the first sample there is a picture, too

    asyncio.run(story())
