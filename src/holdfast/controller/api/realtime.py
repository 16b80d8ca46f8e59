"""What nodes do at this moment: the kernel's table, nginx and HAProxy, once or as a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import Response

from holdfast.protocol.api.realtime import RealtimeView
from holdfast.protocol.realtime import FASTEST_S, SLOWEST_S
from holdfast.store.store import Store

from ..callers import Allowed, Ctx
from ..identity import Action, Person
from ..operations import realtime as operations
from ..realtime.desk import Realtime
from .answers import PROBLEMS, ClusterName, NodeName
from .streams import EVENTS, events, sent_event, told_as

router = APIRouter(prefix="/api/v1", tags=["operating"], responses=PROBLEMS)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Accept = Annotated[str, Header(max_length=1000, include_in_schema=False)]
Every = Annotated[float, Query(ge=FASTEST_S, le=SLOWEST_S, description="Seconds between two samples of a stream.")]
Find = Annotated[
    str | None,
    Query(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$", description="Connections whose line has these words."),
]
Within = Annotated[float, Query(ge=0, le=30, description="Seconds to wait for a sample; not of a stream.")]
History = Annotated[bool, Query(description="With the last quarter of an hour; of a stream in the first event.")]


@router.get(
    "/clusters/{cluster}/nodes/{node}/realtime",
    operation_id="realtime",
    response_model=RealtimeView,
    responses={
        200: {
            "content": {EVENTS: told_as("sample", RealtimeView)},
            "description": "One sample; as an event stream, one after the other.",
        }
    },
)
async def realtime(
    context: Ctx,
    who: Reading,
    cluster: ClusterName,
    node: NodeName,
    every_s: Every = FASTEST_S,
    find: Find = None,
    within_s: Within = 10.0,
    history: History = False,
    accept: Accept = "",
) -> Response:
    """What a node does: its table of virtual servers, nginx and HAProxy, with rates; connections where asked for."""
    await operations.known_node(context.store, cluster, node)
    desk = context.hub.realtime
    if EVENTS in accept:
        return events(context, who, _followed(context.store, desk, cluster, node, every_s, find, history))
    found = await operations.one(context.store, desk, cluster, node, find, within_s, history=history)
    return Response(found, media_type="application/json")


async def _followed(
    store: Store, desk: Realtime, cluster: str, node: str, every_s: float, find: str | None, history: bool
) -> AsyncGenerator[bytes, None]:
    async with aclosing(operations.followed(desk, cluster, node, every_s, find)) as told:
        async for seen in told:
            whole = history and bool(seen.ring.numbers)
            history = history and not whole
            yield sent_event("sample", await operations.text_of(store, seen, history=whole))
