"""Edits of virtual servers and servers: a form, its plan before anything happens, and a revision with its rollout."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from pydantic import Field, ValidationError
from starlette.responses import Response

from holdfast.errors import NotFound, UsageError
from holdfast.protocol.api.base import Digest, HazardClass
from holdfast.protocol.api.rollouts import RolloutOptions
from holdfast.sentences import Sentence

from ...api.answers import ClusterName
from ...callers import Allowed, AtDesk
from ...identity import Action, Person
from ...operations import editing
from ...operations.compiling import content_of
from ...operations.desk import Desk
from ...operations.edits import EDIT, Edit, Section, described
from ...operations.reading import spec_of
from ..forms import Sent
from ..navigation import PREFIX
from ..pages import Console, Page
from ..pictures.edits import SCHEDULERS, TITLES, EditForm, Kind, edit_of, form_of, hosts_of, told_apart
from ..pictures.plans import plan_of, worse_than
from .rollouts import RolloutForm, applied_part, held_up_by

router = APIRouter(
    prefix=f"{PREFIX}/clusters/{{cluster}}/edit", include_in_schema=False, default_response_class=HTMLResponse
)

Planning = Annotated[Person, Depends(Allowed(Action.PLAN))]
Applying = Annotated[Person, Depends(Allowed(Action.APPLY))]
Named = Annotated[str, Query(max_length=300)]
_AT_ONCE = ("remove_server", "remove_virtual_server")  # nothing to fill in: its plan is shown at once


class ApplyForm(RolloutForm):
    """An edit as it was planned: `edit` is its JSON, `digest` of the text that was planned, `hazard` its worst."""

    edit: Annotated[str, Field(max_length=500_000)]
    base: Annotated[int, Field(ge=1, le=10**12)]
    digest: Digest
    hazard: HazardClass | None = None
    message: Annotated[str, Field(max_length=500)] = ""


@router.get("", name="console_edit")
async def edit(
    page: Console,
    desk: AtDesk,
    who: Applying,
    cluster: ClusterName,
    kind: Kind,
    section: Section = "virtual_servers",
    entry: Named = "",
    server: Named = "",
) -> Response:
    """A form, filled in with what the newest revision says; for what is to be deleted, its plan."""
    newest = await page.store.cluster(cluster).revisions.newest_number()
    if not newest:
        raise NotFound(
            Sentence("%(cluster)s has no revision yet", cluster=cluster),
            "apply a spec first: holdfast apply cluster.yaml",
        )
    spec = (await spec_of(page.store, cluster, newest)).spec
    form = form_of(spec, newest, kind, section, entry, server)
    return await page.show(
        "edits/page.html",
        here="servers",
        title=page.words.say(TITLES[kind]),
        form=form,
        groups=list(spec.vrrp),
        hosts=hosts_of(spec),
        schedulers=SCHEDULERS,
        newest=newest,
        **(await _planned(page, desk, cluster, newest, edit_of(form)) if kind in _AT_ONCE else {"planned": None}),
    )


@router.get("/fresh", name="console_edit_fresh")
async def fresh(page: Console, who: Planning, cluster: ClusterName, base: int) -> Response:
    """Whether somebody has made a revision meanwhile."""
    known = page.store.cluster(cluster).revisions
    newest = await known.newest_number()
    made = await known.get(newest) if newest > base else None
    return page.part("edits/fresh.html", base=base, newest=newest, made=made)


@router.post("/plan", name="console_edit_plan")
async def plan(
    page: Console,
    desk: AtDesk,
    who: Planning,
    cluster: ClusterName,
    asked: Annotated[EditForm, Depends(Sent(EditForm))],
) -> Response:
    """What it would do; nothing is written."""
    return page.part("edits/plan.html", **await _planned(page, desk, cluster, asked.base, edit_of(asked)))


async def _planned(page: Page, desk: Desk, cluster: str, base: int, edit: Edit) -> dict[str, Any]:
    planned = await editing.propose_edit(desk, cluster, base, edit)
    before = await content_of(desk.store, cluster, base)
    new, old = told_apart(planned.findings, before.findings)
    plan = plan_of(planned.plan, planned.spec_diff)
    return {
        "new_findings": new,
        "old_findings": old,
        "planned": planned,
        "plan": plan,
        "held_up": await held_up_by(desk.store, cluster, plan),
        "edit": dumped(edit),
        "base": base,
        "message": page.words.tell(described(edit)),
    }


def dumped(edit: Edit) -> str:
    """An edit as JSON, short: what it does not say is as its model has it."""
    said = {"kind": edit.kind, **edit.model_dump(mode="json", exclude_defaults=True)}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


@router.post("/apply", name="console_edit_apply")
async def apply(
    page: Console,
    desk: AtDesk,
    who: Applying,
    cluster: ClusterName,
    asked: Annotated[ApplyForm, Depends(Sent(ApplyForm))],
) -> Response:
    """A revision and its rollout of exactly what was planned; then the rollout itself."""
    try:
        edit = EDIT.validate_json(asked.edit)
    except ValidationError:
        raise UsageError("this is no edit", "load the page again, and look at the plan") from None
    # what nodes run may have changed since: what is worse than what was shown is not done
    options = RolloutOptions(
        pause_after_first=asked.pause_after_first, forbidden=worse_than(asked.hazard), without=asked.without
    )
    message = asked.message or page.words.tell(described(edit))
    done = await editing.apply_edit(desk, cluster, asked.base, edit, asked.digest, message, options)
    shown = await applied_part(page, cluster, done, "edits/applied.html")
    if done.rollout is not None:  # loaded again, the page is the rollout's own: the form has done what it was for
        shown.headers["HX-Push-Url"] = page.url("console_rollout", cluster=cluster, number=done.rollout)
    return shown
