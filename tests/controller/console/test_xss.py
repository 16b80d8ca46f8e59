"""What anybody may type, or any agent may say, is shown as text: every form, every address, everything that is kept."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from tests.controller.console.world import CLUSTER, World, part, world
from tests.controller.operations.agents import report, row, table
from tests.controller.operations.world import SPEC as PLAIN
from tests.controller.operations.world import request
from tests.controller.test_permissions_of_operations import PARAMETERS

from holdfast.controller.console.forms import Sent
from holdfast.controller.console.routes import OPEN, ROUTERS
from holdfast.controller.operations import revisions
from holdfast.protocol import WhyDown
from holdfast.store.models import Event, Override, OverrideKind, Role

ROUTES = {route.name: route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)}
MARK = "xyzzy"
EVIL = f"<img src=x onerror=alert('{MARK}')>\"'{{{{7*7}}}}</script><script>{MARK}()</script>"
SPEC = f"{PLAIN}virtual_servers:\n  shop: {{on: 'www:81', forward: nat, servers: [web01:81], check: {{tcp: true}}}}\n"
_PARAMETERS = {**PARAMETERS, "cluster": CLUSTER, "node": "lb01", "name": "shop", "group": "www", "user": "admin"}
_NEVER = {"rehears"}  # one that began would go on after this test
ENDLESS = {"console_changes"}
_RAW = re.compile(rf"<(img|script)[^>]*{MARK}|<script>{MARK}|onerror=alert\('{MARK}'\)>[^<]*\"'")
_ENDS = {"console_logout", "console_change_password", "console_end_other_sessions"}


def models(dependant: Dependant) -> Iterator[type[BaseModel]]:
    """The forms that a route reads."""
    if isinstance(dependant.call, Sent):
        yield dependant.call.model
    for inner in dependant.dependencies:
        yield from models(inner)


def queries(dependant: Dependant) -> Iterator[str]:
    """What may stand behind the question mark of a route's address."""
    yield from (one.alias for one in dependant.query_params)
    for inner in dependant.dependencies:
        yield from queries(inner)


def typed(model: type[BaseModel]) -> dict[str, Any]:
    """Evil wherever a text may stand; of fixed words the first, so that the form is not refused for those."""
    return {name: _value(field.annotation) for name, field in model.model_fields.items()}


def _value(annotation: Any) -> str:
    kinds = [one for one in get_args(annotation) if one is not type(None)] or [annotation]
    if get_origin(annotation) is Literal:
        return str(get_args(annotation)[0])
    for kind in kinds:
        if get_origin(kind) is Literal:
            return str(get_args(kind)[0])
        if kind in (int, float):
            return "1"
        if kind is bool:
            return "true"
    return EVIL


async def kept(made: World) -> None:
    """Evil in everything that is kept and shown."""
    store, now = made.context.store, made.desk.now()
    await store.events.append(Event(time=now, kind="node.drift", cluster=CLUSTER, node="lb01", message=EVIL))
    await store.audit.append(made.desk.told("override.set", EVIL, CLUSTER, before={EVIL: EVIL}, after={"why": EVIL}))
    made_override = Override(kind=OverrideKind.DRAINED, target="web01:80", who=EVIL, why=EVIL, since=now)
    await store.cluster(CLUSTER).overrides.create("one", made_override)
    asked = request(f"{SPEC}# {EVIL}\n", 1, EVIL).model_copy(update={"rollout": False})
    await revisions.apply(made.desk, CLUSTER, asked)
    why = WhyDown(said=EVIL, question=EVIL, answer=EVIL, asked=now)
    down = row("web01-81", weight=None, source="shop").model_copy(update={"wanted": 1, "why": why})
    log = [{"time": now, "level": "error", "text": EVIL}]
    for node in ("lb01", "lb02"):
        await report(made.desk, node, overrides=table(node, down), log=log, agent_version=EVIL[:40], revision=1)


def harmless(name: str, answer: httpx.Response) -> None:
    """Nothing of it is there as markup, and no template was run. Data is no page to any browser, whatever is in it."""
    text = answer.text
    if answer.headers.get("content-type") == "application/json":
        assert answer.headers["x-content-type-options"] == "nosniff", name
        assert json.loads(text) is not None, name
        return
    found = _RAW.search(text)
    assert found is None, f"{name}: …{text[max(0, found.start() - 200) : found.end() + 100]}…"
    assert "alert('xyzzy')>\"'49" not in text, name


def test_every_form_and_every_page_shows_text() -> None:
    async def story() -> None:
        async with world(SPEC) as made:
            client = await made.browser(Role.ADMIN)
            await kept(made)
            shown = 0
            for name, route in ROUTES.items():
                if name in ENDLESS | _ENDS or (name in OPEN and name != "console_log_in"):
                    continue
                if "POST" in route.methods and any(one in name for one in _NEVER):
                    continue
                path = re.sub(r"\{(\w+)\}", lambda found: _PARAMETERS.get(found[1], "nobody"), route.path)
                asked = dict.fromkeys(queries(route.dependant), EVIL)
                forms = list(models(route.dependant)) or [None]
                for model in forms:
                    if "POST" in route.methods:
                        data = typed(model) if model else {"name": EVIL, "password": EVIL, "next": EVIL}
                        answer = await client.post(path, data=data, headers=part(client))
                        harmless(name, answer)
                    else:
                        for query in ({}, asked):
                            answer = await client.get(path, params=query, headers=part(client))
                            harmless(name, answer)
                            shown += MARK in answer.text
            assert shown > 5, "it is nowhere to be seen, so this test shows nothing"
            for path in (
                "/console/audit",
                f"/console/clusters/{CLUSTER}/events",
                f"/console/clusters/{CLUSTER}/revisions",
            ):
                page = await client.get(path)
                assert MARK in page.text, path
                harmless(path, page)

    asyncio.run(story())


def test_this_would_be_found() -> None:
    with pytest.raises(AssertionError):
        harmless("x", httpx.Response(200, html=f"<p>{EVIL}</p>"))
    with pytest.raises(AssertionError):
        harmless("x", httpx.Response(200, html=f'<p title="{EVIL}">'))
