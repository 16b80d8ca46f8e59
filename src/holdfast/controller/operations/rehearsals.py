"""Rehearsals on the controller's own machine: begun, stopped, read; each is audited, and told as events."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from holdfast.compile.lock import Secrets
from holdfast.errors import NotFound, PlanRefused
from holdfast.protocol.api.rehearsals import RehearsalList, RehearsalRequest, RehearsalView
from holdfast.sentences import Sentence, joined
from holdfast.store.revisions import digest_of

from ..rehearsing.runner import Rehearsals
from .compiling import Choices, choices_of, compiled, content_of, placeholder
from .desk import Desk, known_cluster

ELSEWHERE = "holdfast show -o cluster.yaml && sudo holdfast rehearse cluster.yaml --report report"


async def rehearsals(desk: Desk, here: Rehearsals, controller: str, cluster: str) -> RehearsalList:
    """Those of this controller's machine, and why none can be begun, if so."""
    await known_cluster(desk.store, cluster)
    found = await asyncio.to_thread(here.all, cluster)
    return RehearsalList(controller=controller, missing=here.missing(), elsewhere=ELSEWHERE, rehearsals=found)


async def rehearsal(desk: Desk, here: Rehearsals, cluster: str, number: int) -> RehearsalView:
    """One of them; NotFound."""
    await known_cluster(desk.store, cluster)
    return await asyncio.to_thread(here.one, cluster, number)


async def report(desk: Desk, here: Rehearsals, cluster: str, number: int) -> dict[str, Any]:
    """All that its report says; NotFound where it did not come to its end."""
    await known_cluster(desk.store, cluster)
    content = await asyncio.to_thread(here.report, cluster, number, "report.json")
    found: dict[str, Any] = await asyncio.to_thread(json.loads, content)
    return found


async def report_page(desk: Desk, here: Rehearsals, cluster: str, number: int) -> bytes:
    """Its report as a page to be kept; NotFound."""
    await known_cluster(desk.store, cluster)
    return await asyncio.to_thread(here.report, cluster, number, "report.html")


async def begin(desk: Desk, here: Rehearsals, cluster: str, request: RehearsalRequest) -> RehearsalView:
    """Begin one; what cannot be compiled is told first.

    PlanRefused where this controller may or can not, Conflict while another one runs, SpecError, CompileError,
    NotFound. No secret of the cluster goes into a rehearsal: others are made up for it.
    """
    known = await known_cluster(desk.store, cluster)
    missing = here.missing()
    if missing:
        raise PlanRefused("this controller cannot rehearse", joined(missing))
    number: int | None = None
    if request.spec is not None:
        text, file = request.spec, "spec"
    else:
        number = request.revision or await known.revisions.newest_number()
        if not number:
            raise NotFound(
                Sentence("%(cluster)s has no revision yet", cluster=cluster), "apply a spec first, or propose one"
            )
        text, file = (await content_of(desk.store, cluster, number)).spec, f"revision {number}"
    choices = await choices_of(desk, cluster)
    blank = Choices(choices.lock, Secrets(cluster=cluster))
    one = await asyncio.to_thread(compiled, text, file, cluster, blank, new_secret=placeholder, process_events=False)
    who = desk.actor.removeprefix("user:")
    view = RehearsalView(id=1, cluster=cluster, revision=number, state="running", who=who[:1000], started=desk.now())
    files = {"cluster.yaml": text, f"{cluster}.lock": one.lock_text}
    what = Sentence("revision %(number)s", number=number) if number else Sentence("a proposed spec")
    audited = {"of": what, "digest": digest_of(text)}
    # First: nothing is to run as root that nobody could be asked about.
    await desk.store.audit.append(desk.told("rehearsal.begin", f"rehearsal {here.next()}", cluster, after=audited))
    begun = here.begin(view, files, desk.now, lambda told, kind, message: _said(desk, told, kind, message))
    said = Sentence("rehearsal %(id)s of %(what)s, by %(who)s", id=begun.id, what=what, who=who)
    await _said(desk, begun, "rehearsal.begun", said)
    return begun


async def stop(desk: Desk, here: Rehearsals, cluster: str, number: int) -> RehearsalView:
    """Stop the one that runs; StateForbids where it has ended, NotFound."""
    await known_cluster(desk.store, cluster)
    before = here.running(cluster, number)
    told = desk.told("rehearsal.stop", f"rehearsal {number}", cluster, before={"state": before.state})
    await desk.store.audit.append(told)
    return here.stop(cluster, number, desk.actor.removeprefix("user:"))


async def _said(desk: Desk, told: RehearsalView, kind: str, message: str) -> None:
    data = json.dumps({"rehearsal": told.id, "state": told.state})
    await desk.store.events.append(desk.event(kind, told.cluster, message, data=data))
