"""People's event streams end with whatever they were opened by: a session, a token, a user's rights."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from tests.controller.world import PASSWORD, World, login, running

from holdfast.store.collection import Versioned
from holdfast.store.models import Token

pytestmark = pytest.mark.whole

SOON_S = 20.0  # of a busy machine; it is looked at every two seconds
CHANGES = "/api/v1/clusters/shop/events"
EVENTS = {"accept": "text/event-stream"}


async def ada(world: World, admin: httpx.AsyncClient) -> httpx.AsyncClient:
    """A viewer, logged in with a password of her own."""
    made = (await admin.post("/api/v1/users", json={"name": "ada", "role": "viewer"})).json()
    await login(first := world.client(), "ada", made["password"])
    body = {"old": made["password"], "new": PASSWORD}
    assert (await first.put("/api/v1/session/password", json=body)).status_code == 204
    await login(second := world.client(), "ada", PASSWORD)
    return second


async def expire(world: World, **wanted: Any) -> None:
    """As if the time of ada's sessions or tokens were over."""
    tokens = world.store.tokens
    for one in await tokens.all():
        if one.record.owner == "ada" and one.record.purpose == wanted["purpose"]:
            past = world.store.clock.now() - timedelta(seconds=1)
            await replaced(world, one, one.record.model_copy(update={"expires": past}))


async def replaced(world: World, one: Versioned[Token], after: Token) -> None:
    await world.store.tokens.replace(one.name, after, one.version)


async def disabled(world: World, admin: httpx.AsyncClient, her: httpx.AsyncClient) -> None:
    assert (await admin.patch("/api/v1/users/ada", json={"disabled": True})).status_code == 200


async def removed(world: World, admin: httpx.AsyncClient, her: httpx.AsyncClient) -> None:
    assert (await admin.delete("/api/v1/users/ada")).status_code == 204


async def limited(world: World, admin: httpx.AsyncClient, her: httpx.AsyncClient) -> None:
    assert (await admin.patch("/api/v1/users/ada", json={"clusters": ["other"]})).status_code == 200


async def logged_out(world: World, admin: httpx.AsyncClient, her: httpx.AsyncClient) -> None:
    assert (await her.delete("/api/v1/session")).status_code == 204


async def expired(world: World, admin: httpx.AsyncClient, her: httpx.AsyncClient) -> None:
    await expire(world, purpose="session")


async def token_expired(world: World, admin: httpx.AsyncClient, her: httpx.AsyncClient) -> None:
    await expire(world, purpose="api")


async def token_revoked(world: World, admin: httpx.AsyncClient, her: httpx.AsyncClient) -> None:
    (one,) = [each for each in await world.store.tokens.all() if each.record.purpose == "api"]
    assert (await admin.delete(f"/api/v1/tokens/{one.record.prefix}")).status_code == 204


End = Callable[[World, httpx.AsyncClient, httpx.AsyncClient], Awaitable[None]]


@pytest.mark.parametrize(
    ("end", "by_token"),
    [
        (disabled, False),
        (removed, False),
        (limited, False),
        (logged_out, False),
        (expired, False),
        (token_expired, True),
        (token_revoked, True),
        (disabled, True),
    ],
)
def test_a_stream_ends_with_what_it_was_opened_by(end: End, by_token: bool) -> None:
    async def story() -> None:
        async with running() as world:
            admin = await world.admin()
            await admin.post("/api/v1/clusters", json={"name": "shop"})
            her = await ada(world, admin)
            follower = her
            if by_token:
                asked = {"name": "wall", "role": "viewer", "days": 1}
                secret = (await her.post("/api/v1/tokens", json=asked)).json()["token"]
                follower = world.client(headers={"authorization": f"Bearer {secret}"})
            other = asyncio.create_task(_length(admin))
            began = time.monotonic()
            follows = asyncio.create_task(_length(follower))
            await asyncio.sleep(3)
            assert not follows.done(), "nothing has ended yet"
            await end(world, admin, her)
            await asyncio.wait_for(follows, SOON_S)
            assert time.monotonic() - began >= 3
            assert not other.done(), "it is nobody else's end"
            other.cancel()

    asyncio.run(story())


async def _length(client: httpx.AsyncClient) -> None:
    async with client.stream("GET", CHANGES, headers=EVENTS) as response:
        assert response.status_code == 200
        async for _ in response.aiter_raw():
            continue
