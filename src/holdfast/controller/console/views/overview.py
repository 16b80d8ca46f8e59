"""The cluster as a picture, alive, and what is wrong there first."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from ...api.answers import ClusterName
from ...callers import Allowed
from ...identity import Action, Person
from ...operations.situation import situation
from ..navigation import PREFIX
from ..pages import Console, Page
from ..pictures.layout import drawn, shown_marks
from ..pictures.overview import focused, overview_of

router = APIRouter(
    prefix=f"{PREFIX}/clusters/{{cluster}}", include_in_schema=False, default_response_class=HTMLResponse
)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Only = Annotated[str, Query(alias="group", max_length=63)]
_NOW = "overview/now.html"


@router.get("/", name="console_overview")
async def overview(page: Console, who: Reading, cluster: ClusterName, only: Only = "") -> Response:
    """The whole page."""
    now = await page.shared_text(_NOW, only, lambda: _now(page, cluster, only))
    spec = await page.spec()
    return await page.show(
        "overview/page.html",
        here="overview",
        title=page.words.say("Overview"),
        now=now,
        groups=list(spec.vrrp) if spec else [],
        only=only,
    )


@router.get("/now", name="console_overview_now")
async def now(page: Console, who: Reading, cluster: ClusterName, only: Only = "") -> Response:
    """The part that changes."""
    return await page.shared_part(_NOW, only, lambda: _now(page, cluster, only))


async def _now(page: Page, cluster: str, only: str) -> dict[str, object]:
    seen = await situation(page.store, cluster)
    picture = focused(overview_of(seen), only) if only else overview_of(seen)
    return {
        "status": seen.told,
        "picture": picture,
        "drawing": drawn(picture),
        "only": only,
        "connected": sum(one.connected for one in seen.told.nodes),
        "up": sum(one.state == "ok" for one in picture.servers),
        "unknown": sum(one.state == "unknown" for one in picture.servers),
        "shown_marks": shown_marks,
    }
