"""What if this failed: chosen by links, shown in the overview's picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from holdfast.protocol.api.whatif import MOST_FAILURES, FailureName

from ...api.answers import ClusterName
from ...callers import Allowed, AtDesk
from ...identity import Action, Person
from ...operations import whatif
from ...operations.desk import Desk
from ..navigation import PREFIX
from ..pages import Console
from ..pictures.layout import drawn, shown_marks
from ..pictures.whatif import asked_of, choices_of, pairs_of, picture_of, promises_of, singles_of, toggles_of

router = APIRouter(
    prefix=f"{PREFIX}/clusters/{{cluster}}/whatif", include_in_schema=False, default_response_class=HTMLResponse
)

Planning = Annotated[Person, Depends(Allowed(Action.PLAN))]
Fail = Annotated[tuple[FailureName, ...], Query(max_length=MOST_FAILURES)]
Pairs = Annotated[bool, Query()]
_NOW = "whatif/now.html"


@router.get("", name="console_whatif")
async def page_of_it(
    page: Console, desk: AtDesk, who: Planning, cluster: ClusterName, fail: Fail = (), pairs: Pairs = False
) -> Response:
    """The whole page."""
    now = await page.shared_text(_NOW, (fail, pairs), lambda: _now(desk, cluster, fail, pairs))
    return await page.show("whatif/page.html", here="whatif", title=page.words.say("What if"), now=now)


@router.get("/now", name="console_whatif_now")
async def part(
    page: Console, desk: AtDesk, who: Planning, cluster: ClusterName, fail: Fail = (), pairs: Pairs = False
) -> Response:
    """The part that follows new revisions."""
    return await page.shared_part(_NOW, (fail, pairs), lambda: _now(desk, cluster, fail, pairs))


async def _now(desk: Desk, cluster: str, fail: tuple[str, ...], pairs: bool) -> Mapping[str, object]:
    query = [*(("fail", one) for one in fail), *([("pairs", "true")] if pairs else [])]
    if not await desk.store.cluster(cluster).revisions.newest_number():
        return {"number": 0, "query": query}
    played = await whatif.what_if(desk, cluster, fail, depth=2 if pairs else 1)
    report = played.report
    shown = report.asked or report.normal
    picture, choices = picture_of(played, shown, desk.now()), choices_of(played)
    singles, more = singles_of(report.singles)
    return {
        "number": played.number,
        "query": query,
        "pairs": pairs,
        "choices": choices,
        "toggles": toggles_of(choices),
        "asked": asked_of(report.asked, report.steps) if report.asked else None,
        "normal": asked_of(report.normal, ()),
        "singles": singles,
        "more": more,
        "outages": sum(one.harmful for one in singles),
        "partitions": singles_of(report.partitions)[0],
        "combined": pairs_of(report.combined),
        "promises": promises_of(played),
        "left_out": report.left_out,
        "unplayed": report.unplayed,
        "moves": bool(played.model.places),
        "picture": picture,
        "drawing": drawn(picture),
        "shown_marks": shown_marks,
    }
