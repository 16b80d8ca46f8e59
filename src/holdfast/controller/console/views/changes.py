"""The stream that tells browsers that something has changed; what it is now, they ask for."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from ...api.answers import ClusterName
from ...api.streams import events, sent_event
from ...callers import Allowed, Ctx
from ...identity import Action, Person
from ...operations.desk import known_cluster
from ..live import Live
from ..navigation import PREFIX

router = APIRouter(prefix=PREFIX, include_in_schema=False)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]


@router.get("/clusters/{cluster}/changes", name="console_changes")
async def changes(request: Request, context: Ctx, who: Reading, cluster: ClusterName) -> Response:
    """Server-sent events without data, named after what has changed."""
    await known_cluster(context.store, cluster)
    return events(context, who, _told(request.app.state.console_live, cluster))


async def _told(live: Live, cluster: str) -> AsyncGenerator[bytes, None]:
    with live.followed(cluster) as followed:
        told = followed.told()
        yield sent_event("hello", "{}")
        async for kinds in told:
            yield b"".join(sent_event(kind, "{}") for kind in kinds)
