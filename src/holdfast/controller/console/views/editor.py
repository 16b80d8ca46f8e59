"""The editor of the spec: its text with what is to be said of it, its plan on the side, and its rollout in place."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import Field, StringConstraints
from starlette.responses import JSONResponse, Response

from holdfast.protocol.api.base import LONGEST_SPEC, Asked, Count, Digest, HazardClass
from holdfast.protocol.api.lints import LintRequest
from holdfast.protocol.api.rollouts import RolloutOptions

from ...api.answers import ClusterName
from ...callers import Allowed, AtDesk
from ...identity import Action, Person
from ...operations import editing
from ...operations.checking import check
from ...operations.compiling import content_of
from ...operations.desk import known_cluster
from ...operations.proposals import propose
from ..forms import Sent
from ..navigation import PREFIX
from ..pages import Console, Page
from ..pictures.editor import PHRASES, SAID, first_spec, language, titles_in
from ..pictures.edits import told_apart
from ..pictures.plans import plan_of, worse_than
from .rollouts import RolloutForm, applied_part, held_up_by

router = APIRouter(prefix=PREFIX, include_in_schema=False, default_response_class=HTMLResponse)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Anywhere = Annotated[Person, Depends(Allowed(Action.READ, anywhere=True))]
Planning = Annotated[Person, Depends(Allowed(Action.PLAN))]
Applying = Annotated[Person, Depends(Allowed(Action.APPLY))]
Base = Annotated[int, Query(ge=0, le=10**12)]
_FOREVER = "private, max-age=31536000, immutable"
_HERE = "/clusters/{cluster}/editor"


class TextForm(Asked):
    """A whole spec as it was written; `base` is the revision that it was made from, 0: there was none."""

    spec: Annotated[str, StringConstraints(max_length=LONGEST_SPEC)] = ""
    base: Count = 0


class ApplyTextForm(TextForm, RolloutForm):
    """The same as it was planned: `digest` of the text, `hazard` the worst that was shown."""

    digest: Digest
    hazard: HazardClass | None = None
    message: Annotated[str, Field(max_length=500)] = ""


@router.get("/editor/language.json", name="console_editor_language")
async def schema(request: Request, who: Anywhere, v: str = "") -> Response:
    """What completion knows; with its digest in the address, it may be kept for a year."""
    found = language()
    packed = "gzip" in request.headers.get("accept-encoding", "")
    headers = {"cache-control": _FOREVER if v == found.digest else "no-cache", "vary": "Accept-Encoding, Cookie"}
    if packed:
        headers["content-encoding"] = "gzip"
    return Response(found.packed if packed else found.content, media_type=found.media, headers=headers)


@router.get(_HERE, name="console_editor")
async def editor(page: Console, who: Planning, cluster: ClusterName) -> Response:
    """The whole page, with the newest revision's text."""
    known = await known_cluster(page.store, cluster)
    newest = await known.revisions.newest_number()
    text = (await content_of(page.store, cluster, newest)).spec if newest else first_spec(cluster)
    return await page.show(
        "editor/page.html",
        here="editor",
        title=page.words.say("Editor"),
        text=text,
        base=newest,
        newest=newest,
        made=None,
        settings={
            "words": {one: page.words.say(one) for one in (*PHRASES, *SAID)},
            "titles": titles_in(page.words),
            "language": page.url("console_editor_language", {"v": language().digest}),
            "lint": page.url("console_editor_lint", cluster=cluster),
            "fresh": page.url("console_editor_fresh", cluster=cluster),
            "draft": f"holdfast-draft {cluster} {who.name}",
            "longest": LONGEST_SPEC,
        },
    )


@router.get(f"{_HERE}/fresh", name="console_editor_fresh")
async def fresh(page: Console, who: Reading, cluster: ClusterName, base: Base) -> Response:
    """Whether somebody has made a revision meanwhile."""
    known = page.store.cluster(cluster).revisions
    newest = await known.newest_number()
    made = await known.get(newest) if newest > base else None
    return page.part("editor/fresh.html", base=base, newest=newest, made=made)


@router.post(f"{_HERE}/lint", name="console_editor_lint")
async def lint(
    page: Console,
    desk: AtDesk,
    who: Planning,
    cluster: ClusterName,
    asked: Annotated[TextForm, Depends(Sent(TextForm, whole_spec=True))],
) -> Response:
    """What the API says of a spec that is being written, in the page's language; `foreign`: it is not said in that."""
    found = await check(desk, page.context.turns, cluster, LintRequest(spec=asked.spec))
    told = found.model_dump(mode="json")
    for one, finding in zip(told["findings"], found.findings, strict=True):
        one["foreign"] = not page.words.knows(finding.message)
        one["message"], one["hint"] = page.words.tell(finding.message), page.words.tell(finding.hint)
    return JSONResponse(told, headers={"cache-control": "no-store"})


@router.post(f"{_HERE}/plan", name="console_editor_plan")
async def plan(
    page: Console,
    desk: AtDesk,
    who: Planning,
    cluster: ClusterName,
    asked: Annotated[TextForm, Depends(Sent(TextForm, whole_spec=True))],
) -> Response:
    """What it would do; nothing is written."""
    return page.part("editor/plan.html", **await _planned(page, desk, cluster, asked))


async def _planned(page: Page, desk: AtDesk, cluster: str, asked: TextForm) -> dict[str, Any]:
    planned = await propose(desk, cluster, asked.spec, asked.base)
    before = (await content_of(page.store, cluster, asked.base)).findings if asked.base else ()
    new, old = told_apart(planned.findings, before)
    plan = plan_of(planned.plan, planned.spec_diff)
    return {
        "new_findings": new,
        "old_findings": old,
        "planned": planned,
        "plan": plan,
        "held_up": await held_up_by(page.store, cluster, plan),
        "base": asked.base,
    }


@router.post(f"{_HERE}/merge", name="console_editor_merge")
async def merge(
    page: Console,
    desk: AtDesk,
    who: Planning,
    cluster: ClusterName,
    asked: Annotated[TextForm, Depends(Sent(TextForm, whole_spec=True))],
) -> Response:
    """Brought together with what others have made meanwhile; nothing is written."""
    found = await editing.merge(desk, page.context.turns, cluster, asked.base, asked.spec)
    return page.part("editor/merge.html", merging=found, base=asked.base)


@router.post(f"{_HERE}/apply", name="console_editor_apply")
async def apply(
    page: Console,
    desk: AtDesk,
    who: Applying,
    cluster: ClusterName,
    asked: Annotated[ApplyTextForm, Depends(Sent(ApplyTextForm, whole_spec=True))],
) -> Response:
    """A revision and its rollout of exactly what was planned; then the rollout itself."""
    options = RolloutOptions(
        pause_after_first=asked.pause_after_first, forbidden=worse_than(asked.hazard), without=asked.without
    )
    done = await editing.apply_text(desk, cluster, asked.base, asked.spec, asked.digest, asked.message, options)
    return await applied_part(page, cluster, done, "editor/applied.html")
