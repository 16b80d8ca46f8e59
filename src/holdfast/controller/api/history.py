"""Events and audit: what happened, and who changed what."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from fastapi.responses import JSONResponse
from starlette.responses import Response

from holdfast.protocol.api.events import AuditList, EventList
from holdfast.store.log import Numbered
from holdfast.store.models import AuditRecord, Event
from holdfast.store.store import Store

from ..callers import Allowed, Ctx
from ..identity import Action, Person
from ..operations.desk import known_cluster
from ..operations.told import audit_view, event_view
from .answers import PROBLEMS, After, Before, ClusterName, Limit
from .streams import EVENTS, events, sent_event

router = APIRouter(prefix="/api/v1", tags=["history"], responses=PROBLEMS)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
ClusterAuditing = Annotated[Person, Depends(Allowed(Action.CLUSTER_AUDIT))]
Auditing = Annotated[Person, Depends(Allowed(Action.AUDIT))]
Accept = Annotated[str, Header(max_length=1000, include_in_schema=False)]
LastEvent = Annotated[str, Header(alias="last-event-id", max_length=20, include_in_schema=False)]
_MOST_READ = 10_000  # records that are looked through for one answer
_PAGE = 500


@router.get(
    "/clusters/{cluster}/events",
    operation_id="list_events",
    response_model=EventList,
    responses={200: {"content": {EVENTS: {}}, "description": "Oldest first; as an event stream, followed."}},
)
async def list_events(
    context: Ctx,
    who: Reading,
    cluster: ClusterName,
    after: After = 0,
    limit: Limit = 100,
    accept: Accept = "",
    last_event_id: LastEvent = "",
) -> Response:
    """What happened in a cluster. As an event stream: what is kept behind `after`, and what comes."""
    await known_cluster(context.store, cluster)
    if EVENTS in accept:
        begin = int(last_event_id) if last_event_id.isascii() and last_event_id.isdigit() else after
        return events(context, who, _followed(context.store, cluster, begin))
    found, reached = await _events(context.store, cluster, after, limit)
    answer = EventList(events=tuple(event_view(one) for one in found), after=reached)
    return JSONResponse(answer.model_dump(mode="json"))


@router.get("/clusters/{cluster}/audit", operation_id="cluster_audit")
async def cluster_audit(
    context: Ctx, who: ClusterAuditing, cluster: ClusterName, before: Before = None, limit: Limit = 100
) -> AuditList:
    """Who changed what in a cluster, newest first."""
    await known_cluster(context.store, cluster)
    return await _audit(context.store, cluster, before, limit)


@router.get("/audit", operation_id="audit")
async def audit(context: Ctx, who: Auditing, before: Before = None, limit: Limit = 100) -> AuditList:
    """Who changed what, newest first."""
    return await _audit(context.store, None, before, limit)


async def _events(store: Store, cluster: str, after: int, limit: int) -> tuple[list[Numbered[Event]], int]:
    """Events of a cluster behind a number, and up to which number all were looked at."""
    found: list[Numbered[Event]] = []
    for _ in range(_MOST_READ // _PAGE):
        page = await store.events.oldest(after, _PAGE)
        for one in page:
            after = one.number
            if one.record.cluster == cluster:
                found.append(one)
                if len(found) == limit:
                    return found, after
        if len(page) < _PAGE:
            break
    return found, after


async def _followed(store: Store, cluster: str, after: int) -> AsyncGenerator[bytes, None]:
    async with store.events.follow(after) as told:
        async for one in told:
            if one.record.cluster == cluster:
                yield sent_event("event", event_view(one).model_dump_json(), one.number)


async def _audit(store: Store, cluster: str | None, before: int | None, limit: int) -> AuditList:
    found: list[Numbered[AuditRecord]] = []
    for _ in range(_MOST_READ // _PAGE):
        page = await store.audit.newest(before, _PAGE)
        for one in page:
            before = one.number
            if cluster is None or one.record.cluster == cluster:
                found.append(one)
                if len(found) == limit:
                    return _audit_list(found, before)
        if len(page) < _PAGE:
            return _audit_list(found, None)
    return _audit_list(found, before)


def _audit_list(found: list[Numbered[AuditRecord]], before: int | None) -> AuditList:
    return AuditList(records=tuple(audit_view(one) for one in found), before=before if (before or 0) > 1 else None)
