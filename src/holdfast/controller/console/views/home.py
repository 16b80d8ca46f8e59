"""The clusters that somebody may see; with one alone, that one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from holdfast.protocol.api.clusters import ClusterView
from holdfast.protocol.api.status import ClusterStatus

from ...callers import Allowed, Ctx
from ...identity import Action, Person
from ...operations import clusters as operations
from ...operations import status
from ..live import Live
from ..navigation import PREFIX
from ..pages import Console, Page
from ..pictures.home import Card, card_of

router = APIRouter(prefix=PREFIX, include_in_schema=False, default_response_class=HTMLResponse)

Anywhere = Annotated[Person, Depends(Allowed(Action.READ, anywhere=True))]
_MOST_LOOKED_AT = 50  # clusters whose state is told here; of more, their names alone


@router.get("", name="console_start")
async def start(page: Console) -> Response:
    """The console without its last slash."""
    return page.go(f"{PREFIX}/")


@router.get("/", name="console_home")
async def home(page: Console, context: Ctx, who: Anywhere) -> Response:
    """All clusters, each with what is wrong there."""
    known = (await operations.clusters(context.store, who.clusters)).clusters
    if len(known) == 1:
        return page.go(page.url("console_overview", cluster=known[0].name))
    cards = await _cards(page, known)
    return await page.show("home/page.html", here="", title=page.words.say("Clusters"), cards=cards)


@router.get("/cards", name="console_home_cards")
async def part(page: Console, context: Ctx, who: Anywhere) -> Response:
    """The part that changes."""
    known = (await operations.clusters(context.store, who.clusters)).clusters
    return page.part("home/cards.html", cards=await _cards(page, known))


async def _cards(page: Page, known: Sequence[ClusterView]) -> list[Card]:
    looked_at = {one.name for one in known[:_MOST_LOOKED_AT]}
    return [card_of(one, await _status(page, one.name) if one.name in looked_at else None) for one in known]


async def _status(page: Page, cluster: str) -> ClusterStatus:
    """Read once for all browsers that show the list: it is the same for everybody who may see the cluster."""
    live: Live = page.request.app.state.console_live
    found: ClusterStatus = await live.for_a_moment(cluster, ("home",), lambda: status.status(page.store, cluster))
    return found
