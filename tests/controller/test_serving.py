"""The controller as a whole: a real server with TLS, started and stopped."""

from __future__ import annotations

import asyncio

from tests.controller.world import login, running


def test_first_start_to_stop() -> None:
    async def story() -> None:
        async with running() as world:
            client = world.client()
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            assert (await client.get("/readyz")).status_code == 200
            assert world.started.first_password is not None
            me = await login(client, "admin", world.started.first_password.get_secret_value())
            assert me["must_change"] is True
            assert (await client.get("/api/v1/users")).status_code == 403
            admin = await world.admin()
            assert [user["name"] for user in (await admin.get("/api/v1/users")).json()["users"]] == ["admin"]

    asyncio.run(story())
