"""The clusters that somebody may see; with one alone, that one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from ...callers import Allowed, Ctx
from ...identity import Action, Person
from ...operations import clusters as operations
from ...operations import status
from ..navigation import PREFIX
from ..pages import Console
from ..pictures.home import card_of

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
    looked_at = {one.name for one in known[:_MOST_LOOKED_AT]}
    cards = [
        card_of(one, await status.status(page.store, one.name) if one.name in looked_at else None) for one in known
    ]
    return await page.show("home/page.html", here="", title=page.words.say("Clusters"), cards=cards)
