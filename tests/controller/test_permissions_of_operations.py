"""Every operation asks who calls, and whether they may: walked over the application's own list of operations."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIRouter
from starlette.routing import Route
from tests.controller.world import PASSWORD, World, context_of_memory, login, running

from holdfast.controller.app import OPEN, ROUTERS, create_app
from holdfast.controller.callers import Allowed, AllowedNode
from holdfast.controller.identity import Action, Person
from holdfast.controller.identity.permissions import TABLE, Scope, Via, may
from holdfast.store.models import Role

pytestmark = pytest.mark.whole

OPERATIONS = {route.operation_id or route.name: route for router in ROUTERS for route in router.routes}  # type: ignore[attr-defined]
PARAMETERS = {"number": "1", "other": "2", "kind": "drained", "prefix": "hfa_abcdefgh", "digest": "0" * 64}


def gates(dependant: Dependant) -> Iterator[Allowed | AllowedNode]:
    """What an operation demands of its caller."""
    if isinstance(dependant.call, Allowed | AllowedNode):
        yield dependant.call
    for inner in dependant.dependencies:
        yield from gates(inner)


def gate(operation: str) -> Allowed | AllowedNode:
    (found,) = gates(OPERATIONS[operation].dependant)
    return found


def test_there_is_no_other_way_in() -> None:
    """What is walked below is all that there is: no route of the application is beside its routers."""

    async def made() -> None:
        app = create_app(await context_of_memory())
        assert [route.path for route in app.routes if isinstance(route, Route)] == ["/api/openapi.json"]
        documented = {one["operationId"] for path in app.openapi()["paths"].values() for one in path.values()}
        assert documented == set(OPERATIONS)

    asyncio.run(made())
    assert all(isinstance(route, APIRoute) for router in ROUTERS for route in router.routes)
    assert all(isinstance(router, APIRouter) and not router.on_startup for router in ROUTERS)


@pytest.mark.parametrize("operation", sorted(OPERATIONS.keys() - OPEN))
def test_every_operation_asks_for_one_permission(operation: str) -> None:
    found = gate(operation)
    scope, _ = TABLE[found.action]
    path = OPERATIONS[operation].path
    assert isinstance(found, AllowedNode) == (scope is Scope.NODE) == path.startswith("/agent/")
    if scope is Scope.CLUSTER:
        assert "{cluster}" in path or (isinstance(found, Allowed) and found.anywhere)


def test_reading_changes_nothing() -> None:
    """No operation that only needs to read is done with a method that writes, and the other way round."""
    reading = {Action.READ, Action.WHO_AM_I, Action.BUNDLE_FETCH}
    of_a_text = {"lint"}  # which is too long for an address
    for name, route in OPERATIONS.items():
        if name not in OPEN and gate(name).action in reading:
            assert route.methods == ({"POST"} if name in of_a_text else {"GET"}), name


@dataclass
class Caller:
    """Somebody, what is known of them, and how they come."""

    person: Person | None
    client: httpx.AsyncClient


async def callers(world: World) -> list[Caller]:
    """A stranger; each role, unlimited, limited to one cluster, and as a token; somebody who must change a password."""
    admin = await world.admin()
    found = [Caller(None, world.client()), Caller(Person("admin", Role.ADMIN), admin)]
    for role in Role:
        for clusters in (None, ["shop"]):
            name = f"{role.value}-{'all' if clusters is None else 'shop'}"
            made = await admin.post("/api/v1/users", json={"name": name, "role": role.value, "clusters": clusters})
            first = world.client()
            await login(first, name, made.json()["password"])
            limits = None if clusters is None else frozenset(clusters)
            if role is Role.ADMIN and clusters is None:
                found.append(Caller(Person(name, role, limits, must_change=True), first))
                continue
            body = {"old": made.json()["password"], "new": PASSWORD}
            assert (await first.put("/api/v1/session/password", json=body)).status_code == 204
            session = world.client()
            await login(session, name, PASSWORD)
            made = await session.post("/api/v1/tokens", json={"name": "t", "role": role.value, "clusters": clusters})
            token = world.client(headers={"Authorization": f"Bearer {made.json()['token']}"})
            found.append(Caller(Person(name, role, limits), session))
            found.append(Caller(Person(name, role, limits, Via.TOKEN, "t"), token))
    return found


def expected(operation: str, person: Person | None, cluster: str) -> set[int]:
    """The statuses that mean what the table says; empty where it says yes."""
    found = gate(operation)
    if person is None or isinstance(found, AllowedNode):
        return {401}
    of = cluster if not found.anywhere else next(iter(person.clusters or ("any",)))
    return set() if may(person, found.action, of) else {403}


def filled(path: str, cluster: str) -> str:
    """A path with something in the place of each parameter."""
    values = {**PARAMETERS, "cluster": cluster}
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], "nobody"), path)


def test_the_table_is_what_happens() -> None:
    """Every operation, as everybody, in a cluster that one may and in one that one may not."""

    async def story() -> None:
        async with running() as world:
            everybody = await callers(world)
            for operation in sorted(OPERATIONS.keys() - OPEN - {"logout"}):
                route = OPERATIONS[operation]
                (method,) = route.methods or set()
                for cluster in ("shop", "other") if "{cluster}" in route.path else ("shop",):
                    path = filled(route.path, cluster)
                    for caller in everybody:
                        answer = await caller.client.request(method, path, json={} if method != "GET" else None)
                        wanted = expected(operation, caller.person, cluster)
                        told = f"{operation} in {cluster} as {caller.person}: {answer.status_code} {answer.text[:300]}"
                        assert answer.status_code in wanted if wanted else answer.status_code not in (401, 403), told
                        assert answer.status_code < 500, told
                        if wanted:
                            assert answer.json()["error"]["message"], told

    asyncio.run(story())


def test_a_write_by_cookie_needs_the_header() -> None:
    """Another site's page can send the cookie along, but does not know what goes into the header."""

    async def story() -> None:
        async with running() as world:
            admin = await world.admin()
            right = admin.headers.pop("X-CSRF-Token")
            body = {"name": "shop"}
            assert (await admin.post("/api/v1/clusters", json=body)).status_code == 403
            wrong = {"X-CSRF-Token": right[::-1]}
            assert (await admin.post("/api/v1/clusters", json=body, headers=wrong)).status_code == 403
            assert (await admin.get("/api/v1/clusters")).json() == {"clusters": []}
            assert (await admin.post("/api/v1/clusters", json=body, headers={"X-CSRF-Token": right})).status_code == 201
            cookies = [one for one in admin.cookies.jar if "session" in one.name]
            assert [(one.secure, one.has_nonstandard_attr("HttpOnly"), one.path) for one in cookies] == [
                (True, True, "/")
            ]

    asyncio.run(story())


def test_a_session_ends_at_once() -> None:
    async def story() -> None:
        async with running() as world:
            admin = await world.admin()
            cookies = dict(admin.cookies)
            assert (await admin.delete("/api/v1/session")).status_code == 204
            again = world.client(cookies=cookies)
            assert (await again.get("/api/v1/session")).status_code == 401

    asyncio.run(story())
