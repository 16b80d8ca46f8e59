"""Events and audit: what happened, and who changed what."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import JSONResponse
from pydantic import StringConstraints
from starlette.responses import Response

from holdfast.protocol.api.base import Moment
from holdfast.protocol.api.damaged import DamagedPlace
from holdfast.protocol.api.events import AuditList, EventList, EventView
from holdfast.store.log import Unread
from holdfast.store.store import Store

from ..callers import Allowed, Ctx
from ..identity import Action, Person
from ..operations.desk import known_cluster
from ..operations.happened import ALL, Wanted, audited, is_event
from ..operations.told import damaged_place, event_view
from .answers import PROBLEMS, After, Before, ClusterName, Limit
from .streams import EVENTS, events, sent_event, told_as

router = APIRouter(prefix="/api/v1", tags=["history"], responses=PROBLEMS)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
ClusterAuditing = Annotated[Person, Depends(Allowed(Action.CLUSTER_AUDIT))]
Auditing = Annotated[Person, Depends(Allowed(Action.AUDIT))]
Accept = Annotated[str, Header(max_length=1000, include_in_schema=False)]
LastEvent = Annotated[str, Header(alias="last-event-id", max_length=20, include_in_schema=False)]
_MOST_READ = 10_000  # records that are looked through for one answer
_PAGE = 500
_KIND = r"^[a-z0-9_]{1,40}\.?[a-z0-9_]{0,40}$"
Kinds = Annotated[
    tuple[Annotated[str, StringConstraints(pattern=_KIND)], ...],
    Query(
        max_length=20, description="Whole kinds, or their beginnings with a dot at the end.", examples=[["rollout."]]
    ),
]
Thing = Annotated[str, Query(max_length=200, description="A part of what it is about, with or without capitals.")]
By = Annotated[str, Query(max_length=200, description="A part of the name of who did it.")]
Outcome = Annotated[Literal["done", "refused", "failed"] | None, Query()]
Since = Annotated[Moment | None, Query(description="Not before this time.")]
Until = Annotated[Moment | None, Query(description="Before this time.")]


def events_wanted(kind: Kinds = (), thing: Thing = "", since: Since = None, until: Until = None) -> Wanted:
    """What is looked for among events."""
    return Wanted(kinds=kind, thing=thing, since=since, until=until)


def records_wanted(
    action: Kinds = (),
    by: By = "",
    thing: Thing = "",
    outcome: Outcome = None,
    since: Since = None,
    until: Until = None,
) -> Wanted:
    """What is looked for in the audit."""
    return Wanted(kinds=action, who=by, thing=thing, outcome=outcome or "", since=since, until=until)


EventsWanted = Annotated[Wanted, Depends(events_wanted)]
RecordsWanted = Annotated[Wanted, Depends(records_wanted)]


@router.get(
    "/clusters/{cluster}/events",
    operation_id="list_events",
    response_model=EventList,
    responses={
        200: {
            "content": {EVENTS: told_as("event", EventView)},
            "description": "Oldest first; as an event stream, followed.",
        }
    },
)
async def list_events(
    context: Ctx,
    who: Reading,
    cluster: ClusterName,
    wanted: EventsWanted,
    after: After = 0,
    limit: Limit = 100,
    accept: Accept = "",
    last_event_id: LastEvent = "",
) -> Response:
    """What happened in a cluster. As an event stream: what is kept behind `after`, and what comes."""
    await known_cluster(context.store, cluster)
    if EVENTS in accept:
        begin = int(last_event_id) if last_event_id.isascii() and last_event_id.isdigit() else after
        return events(context, who, _followed(context.store, cluster, begin, wanted))
    return JSONResponse((await _events(context.store, cluster, after, limit, wanted)).model_dump(mode="json"))


@router.get("/clusters/{cluster}/audit", operation_id="cluster_audit")
async def cluster_audit(
    context: Ctx,
    who: ClusterAuditing,
    cluster: ClusterName,
    wanted: RecordsWanted,
    before: Before = None,
    limit: Limit = 100,
) -> AuditList:
    """Who changed what in a cluster, newest first."""
    return await audited(context.store, cluster, wanted, before, limit, _MOST_READ)


@router.get("/audit", operation_id="audit")
async def audit(
    context: Ctx, who: Auditing, wanted: RecordsWanted, before: Before = None, limit: Limit = 100
) -> AuditList:
    """Who changed what, newest first."""
    return await audited(context.store, None, wanted, before, limit, _MOST_READ)


async def _events(store: Store, cluster: str, after: int, limit: int, wanted: Wanted = ALL) -> EventList:
    """Events of a cluster behind a number, and up to which number all were looked at."""
    found: list[EventView] = []
    damaged: list[DamagedPlace] = []
    for _ in range(_MOST_READ // _PAGE):
        page = await store.events.oldest_told(after, _PAGE)
        for one in page:
            after = one.number
            if isinstance(one, Unread):
                damaged.append(damaged_place(one))
            elif one.record.cluster == cluster and is_event(one.record, wanted):
                found.append(event_view(one))
                if len(found) == limit:
                    return EventList(events=tuple(found), after=after, damaged=tuple(damaged))
        if len(page) < _PAGE:
            break
    return EventList(events=tuple(found), after=after, damaged=tuple(damaged))


async def _followed(store: Store, cluster: str, after: int, wanted: Wanted) -> AsyncGenerator[bytes, None]:
    async with store.events.follow(after) as told:
        async for one in told:
            if one.record.cluster == cluster and is_event(one.record, wanted):
                yield sent_event("event", event_view(one).model_dump_json(), one.number)
