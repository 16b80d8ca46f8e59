"""A console without a server around it: the application on a store in memory, and somebody who looks at pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI
from tests.controller.operations.agents import enrol
from tests.controller.operations.world import SPEC, request
from tests.controller.world import PASSWORD, context_of_memory, login

from holdfast.controller.app import create_app
from holdfast.controller.context import Context
from holdfast.controller.identity import Person
from holdfast.controller.operations import clusters, revisions
from holdfast.controller.operations.desk import Desk
from holdfast.protocol.api.clusters import ClusterRequest
from holdfast.protocol.api.revisions import Applied
from holdfast.store.models import Role

ROOT = Person("root", Role.ADMIN)
URL = "https://console.test"
CLUSTER = "shop"
HERE = f"/console/clusters/{CLUSTER}"


@dataclass
class World:
    """One application; `desk` writes as anybody."""

    app: FastAPI
    context: Context
    desk: Desk

    def stranger(self, **headers: str) -> httpx.AsyncClient:
        """A browser that has not logged in."""
        made = httpx.ASGITransport(app=self.app, client=("192.0.2.7", 1234))
        said = {"sec-fetch-site": "same-origin", "accept": "text/html", **headers}
        return httpx.AsyncClient(transport=made, base_url=URL, headers=said, timeout=60)

    async def browser(self, role: Role = Role.OPERATOR, limits: tuple[str, ...] | None = None) -> httpx.AsyncClient:
        """Somebody with a role who has logged in; writes carry the header that pages send."""
        name = f"{role.value}-{len(await self.context.store.users.all())}"
        first = await self.context.doors.users.create(ROOT, name, role, limits, "")
        client = self.stranger()
        await login(client, name, first.get_secret_value())
        body = {"old": first.get_secret_value(), "new": PASSWORD}
        assert (await client.put("/api/v1/session/password", json=body)).status_code == 204
        await login(client, name, PASSWORD)
        return client

    async def applied(self, spec: str = SPEC, base: int = 0, **asked: Any) -> Applied:
        """A spec, applied."""
        return await revisions.apply(self.desk, CLUSTER, request(spec, base, **asked))


@asynccontextmanager
async def world(spec: str | None = SPEC) -> AsyncIterator[World]:
    """An application; with a spec, a cluster that has it as its revision 1, and whose balancers have joined."""
    context = await context_of_memory()
    desk = Desk(context.store, context.doors.sealer, "user:ada", "192.0.2.7")
    made = World(create_app(context), context, desk)
    if spec is not None:
        await clusters.make_cluster(desk, ClusterRequest(name=CLUSTER))
        await made.applied(spec)
        await enrol(desk, "lb01", "lb02")
    try:
        yield made
    finally:
        await made.app.state.console_live.close()
        await context.hub.close()


def part(client: httpx.AsyncClient, current: str = f"{URL}{HERE}/") -> dict[str, str]:
    """The headers of what htmx asks for."""
    return {"hx-request": "true", "hx-current-url": current}
