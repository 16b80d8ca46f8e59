"""Rehearsals on the controller's machine: begun, watched while they run, stopped, read."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from holdfast.protocol.api.base import LONGEST_SPEC, Asked, Number, SpecText
from holdfast.protocol.api.rehearsals import RehearsalRequest

from ...api.answers import ClusterName
from ...callers import Allowed, AtDesk
from ...identity import Action, Person
from ...operations import rehearsals
from ...operations.desk import Desk
from ..forms import Sent
from ..navigation import PREFIX
from ..pages import HEADERS, Console, Page
from ..pictures.rehearsals import rehearsed, summary_of

router = APIRouter(
    prefix=f"{PREFIX}/clusters/{{cluster}}/rehearsals", include_in_schema=False, default_response_class=HTMLResponse
)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Rehearsing = Annotated[Person, Depends(Allowed(Action.REHEARSE))]
Which = Annotated[int, Path(ge=1, le=10**12)]
_LIST, _NOW = "rehearsals/list.html", "rehearsals/now.html"


class BeginForm(Asked):
    """A proposed spec, or a revision; the newest if neither is given."""

    spec: SpecText | None = None
    revision: Number | None = None


@router.get("", name="console_rehearsals")
async def listed(page: Console, desk: AtDesk, who: Reading, cluster: ClusterName) -> Response:
    """The whole page."""
    title = page.words.say("Rehearsals")
    newest = await page.store.cluster(cluster).revisions.newest_number()
    return await page.show(
        "rehearsals/page.html", here="rehearsals", title=title, newest=newest, most=LONGEST_SPEC,
        **await _list(page, desk, cluster),
    )  # fmt: skip


@router.get("/list", name="console_rehearsals_list")
async def part(page: Console, desk: AtDesk, who: Reading, cluster: ClusterName) -> Response:
    """The part that changes."""
    return page.part(_LIST, **await _list(page, desk, cluster))


async def _list(page: Page, desk: Desk, cluster: str) -> dict[str, Any]:
    here = page.context.rehearsals
    told = await rehearsals.rehearsals(desk, here, page.context.settings.holder, cluster)
    return {
        "told": told,
        "rehearsals": tuple(rehearsed(one, page.words.language) for one in told.rehearsals),
        "busy": here.now is not None,
    }


@router.post("", name="console_begin_rehearsal")
async def begin(
    page: Console,
    desk: AtDesk,
    who: Rehearsing,
    cluster: ClusterName,
    asked: Annotated[BeginForm, Depends(Sent(BeginForm, whole_spec=True))],
) -> Response:
    """Begin one; to it."""
    request = RehearsalRequest(spec=asked.spec, revision=None if asked.spec is not None else asked.revision)
    begun = await rehearsals.begin(desk, page.context.rehearsals, cluster, request)
    return page.go(page.url("console_rehearsal", cluster=cluster, number=begun.id))


@router.get("/{number}", name="console_rehearsal")
async def one(page: Console, desk: AtDesk, who: Reading, cluster: ClusterName, number: Which) -> Response:
    """One of them, while it runs and afterwards."""
    title = page.words.say("Rehearsal %(number)s", number=number)
    context = await _now(page, desk, cluster, number)
    return await page.show("rehearsals/one.html", here="rehearsals", title=title, **context)


@router.get("/{number}/now", name="console_rehearsal_now")
async def now(page: Console, desk: AtDesk, who: Reading, cluster: ClusterName, number: Which) -> Response:
    """The part that changes."""
    return page.part(_NOW, **await _now(page, desk, cluster, number))


async def _now(page: Page, desk: Desk, cluster: str, number: int) -> dict[str, Any]:
    here = page.context.rehearsals
    found = await rehearsals.rehearsal(desk, here, cluster, number)
    summary = None
    if found.report and found.over:
        summary = summary_of(await rehearsals.report(desk, here, cluster, number), page.words.language)
    return {"one": rehearsed(found, page.words.language), "summary": summary}


@router.post("/{number}/stop", name="console_stop_rehearsal")
async def stop(page: Console, desk: AtDesk, who: Rehearsing, cluster: ClusterName, number: Which) -> Response:
    """Stop the one that runs."""
    found = await rehearsals.stop(desk, page.context.rehearsals, cluster, number)
    toast = page.words.say("The rehearsal is being stopped")
    return page.part(_NOW, one=rehearsed(found, page.words.language), summary=None, toast=toast)


@router.get("/{number}/report.html", name="console_rehearsal_report")
async def report(page: Console, desk: AtDesk, who: Reading, cluster: ClusterName, number: Which) -> Response:
    """Its report, to be kept: a page with styles of its own is nothing that runs among ours."""
    content = await rehearsals.report_page(desk, page.context.rehearsals, cluster, number)
    name = f"rehearsal-{cluster}-{number}.html"
    headers = {**HEADERS, "content-disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type="text/html; charset=utf-8", headers=headers)
