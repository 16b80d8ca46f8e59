"""Realtime: what a node does at this moment, sent whole to whoever looks, and made once for all of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from holdfast.errors import HoldfastError

from ...api.answers import ClusterName
from ...api.streams import events, sent_event
from ...callers import Allowed
from ...identity import Action, Person
from ...operations import realtime as operations
from ...operations.situation import Situation, situation
from ...realtime.seen import Seen
from ..live import Live
from ..navigation import PREFIX
from ..pages import Console, Page
from ..pictures.realtime import INTERVALS, SORTS, Judged, Realtime, Sort, Wanted, is_old, judged, realtime_of
from ..pictures.realtime_charts import HEIGHT, SPARK_HEIGHT, SPARK_WIDTH, WIDTH, X_LABELS, shown
from ..pictures.realtime_nodes import first_of, offered

router = APIRouter(
    prefix=f"{PREFIX}/clusters/{{cluster}}/realtime", include_in_schema=False, default_response_class=HTMLResponse
)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
_LINE = r"^[^\x00-\x1f\x7f]*$"
_NOW = "realtime/now.html"
_DRAWN: dict[str, Any] = {
    "width": WIDTH, "height": HEIGHT, "x_labels": X_LABELS, "spark_width": SPARK_WIDTH, "spark_height": SPARK_HEIGHT,
    "shown": shown,
}  # fmt: skip


def wanted_of(
    node: Annotated[str, Query(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,62})?$")] = "",
    every: Annotated[int, Query(ge=1, le=60)] = 2,
    sort: Sort = Sort.NAME,
    find: Annotated[str, Query(max_length=100, pattern=_LINE)] = "",
    connections: Annotated[str, Query(max_length=10, pattern=_LINE)] = "",
    search: Annotated[str, Query(max_length=100, pattern=_LINE)] = "",
    page: Annotated[str, Query(pattern=r"^[0-9]{0,6}$")] = "",
) -> Wanted:
    """What somebody wants to see; an interval that is not offered becomes the next longer one."""
    every_s = next((one for one in INTERVALS if one >= every), INTERVALS[-1])
    return Wanted(node, every_s, sort, find.strip(), search.strip() if connections else None, max(1, int(page or 1)))


Asked = Annotated[Wanted, Depends(wanted_of)]


@router.get("", name="console_realtime")
async def whole(page: Console, who: Reading, cluster: ClusterName, wanted: Asked) -> Response:
    """The whole page, with what is known already."""
    seen = await situation(page.store, cluster)
    nodes = offered(seen)
    node = wanted.node or first_of(seen, nodes)
    wanted = replace(wanted, node=node)
    known = page.context.hub.realtime.at(cluster, node)
    picture = _picture(page, wanted, known or Seen(cluster, node), judged(seen, node)) if node else None
    return await page.show(
        "realtime/page.html", here="realtime", title=page.words.say("Realtime"), nodes=nodes, wanted=wanted,
        now=picture, sorts=SORTS, intervals=INTERVALS, stream=page.url("console_realtime_stream", cluster=cluster),
        **_DRAWN,
    )  # fmt: skip


@router.get("/stream", name="console_realtime_stream")
async def stream(page: Console, who: Reading, cluster: ClusterName, wanted: Asked) -> Response:
    """Server-sent events: the part that changes, whole each time, so that one that is lost costs nothing."""
    await operations.known_node(page.store, cluster, wanted.node)
    packed = "gzip" in page.request.headers.get("accept-encoding", "")
    return events(page.context, who, _told(page, cluster, wanted), packed=packed)


async def _told(page: Page, cluster: str, wanted: Wanted) -> AsyncGenerator[bytes, None]:
    desk = page.context.hub.realtime
    source = operations.followed(desk, cluster, wanted.node, float(wanted.every_s), wanted.search)
    async with aclosing(source) as told:
        async for seen in told:
            old = is_old(seen.taken, page.store.clock.now(), wanted.every_s)
            key = (page.words.language, wanted, old)
            yield await seen.once(key, partial(_event, page, cluster, wanted, seen))


async def _event(page: Page, cluster: str, wanted: Wanted, seen: Seen) -> bytes:
    picture = _picture(page, wanted, seen, await _health(page, cluster, wanted.node))
    response = page.part(_NOW, now=picture, wanted=wanted, **_DRAWN)
    html = bytes(response.body).decode()
    return sent_event(
        "now", json.dumps({"html": html, "within_s": max(wanted.every_s, seen.pace_s)}, ensure_ascii=False)
    )


def _picture(page: Page, wanted: Wanted, seen: Seen, health: Judged) -> Realtime:
    old = is_old(seen.taken, page.store.clock.now(), wanted.every_s)
    return realtime_of(wanted, seen.sample, seen.taken, seen.ring, health, old=old)


async def _health(page: Page, cluster: str, node: str) -> Judged:
    """Read once for each version of the cluster, however many look; without it, nothing is known of health."""
    live: Live = page.request.app.state.console_live
    try:
        seen: Situation = await live.once(cluster, ("realtime",), partial(situation, page.store, cluster))
        found: Judged = await live.once(cluster, ("realtime", node), partial(_judged, seen, node))
    except HoldfastError:
        return Judged()
    return found


async def _judged(seen: Situation, node: str) -> Judged:
    await asyncio.sleep(0)
    return judged(seen, node)
