"""A rollout: followed while it happens, continued, stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.responses import HTMLResponse
from pydantic import Field
from starlette.responses import Response

from holdfast.protocol import SafeName
from holdfast.protocol.api.base import Asked, Line
from holdfast.protocol.api.nodes import NodeSummary
from holdfast.protocol.api.revisions import Applied
from holdfast.protocol.api.rollouts import StopRequest
from holdfast.store.store import Store

from ...api.answers import ClusterName
from ...callers import Allowed, AtDesk
from ...identity import Action, Person
from ...operations import history, rollouts, status
from ..forms import Sent
from ..navigation import PREFIX
from ..pages import Console, Page
from ..pictures.plans import Plan
from ..pictures.rollouts import rollout_of

router = APIRouter(
    prefix=f"{PREFIX}/clusters/{{cluster}}/rollouts/{{number}}",
    include_in_schema=False,
    default_response_class=HTMLResponse,
)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Controlling = Annotated[Person, Depends(Allowed(Action.ROLLOUT_CONTROL))]
Number = Annotated[int, Path(ge=1, le=10**11)]
_NOW = "rollouts/now.html"


class RolloutForm(Asked):
    """What every form asks that begins a rollout; `without` as of RolloutOptions."""

    pause_after_first: bool = False
    without: Annotated[tuple[SafeName, ...], Field(max_length=2000)] = ()


class StopForm(Asked):
    """How to stop: `put_back` takes back what is done."""

    put_back: bool = False
    why: Line = ""


@router.get("", name="console_rollout")
async def one(page: Console, who: Reading, cluster: ClusterName, number: Number) -> Response:
    """The whole page."""
    now = await page.shared_text(_NOW, (number, False), lambda: _now(page.store, cluster, number))
    title = page.words.say("Rollout %(number)s", number=number)
    return await page.show("rollouts/page.html", here="revisions", title=title, now=now)


@router.get("/now", name="console_rollout_part")
async def part(page: Console, who: Reading, cluster: ClusterName, number: Number, inside: bool = False) -> Response:
    """The part that changes; `inside` another page, which has a title of its own."""
    return await page.shared_part(_NOW, (number, inside), lambda: _now(page.store, cluster, number, inside))


async def _now(store: Store, cluster: str, number: int, inside: bool = False) -> Mapping[str, object]:
    found = rollout_of(await rollouts.rollout(store, cluster, number))
    newest = (await history.history(store, cluster, None, 1)).newest if found.may_try_again else 0
    known = () if found.ended else (await status.nodes(store, cluster)).nodes
    silent = tuple(one.node for one in known if not one.connected and one.node in found.unfinished)
    return {"rollout": found, "inside": inside, "newest": newest, "silent": silent}


async def held_up_by(store: Store, cluster: str, plan: Plan) -> tuple[NodeSummary, ...]:
    """Nodes that are to change, and that a rollout would wait for in vain as they are now."""
    changing = {name for group in plan.groups for name in group.names}
    known = (await status.nodes(store, cluster)).nodes if changing else ()
    return tuple(
        one for one in known
        if one.node in changing and one.enrolled and not one.revoked and (one.paused or not one.connected)
    )  # fmt: skip


async def applied_part(page: Page, cluster: str, done: Applied, template: str) -> Response:
    """What was just applied, with its rollout where one looks already: it is followed there."""
    found = await rollouts.rollout(page.store, cluster, done.rollout) if done.rollout is not None else None
    rollout = rollout_of(found) if found is not None else None
    return page.part(
        template, number=done.revision.number, rollout=rollout, inside=True, newest=done.revision.number, silent=()
    )


@router.post("/continue", name="console_rollout_continue")
async def go_on(page: Console, desk: AtDesk, who: Controlling, cluster: ClusterName, number: Number) -> Response:
    """Let it go on."""
    await rollouts.go_on(desk, cluster, number)
    return page.done(page.words.say("Rollout %(number)s goes on", number=number), refresh=("rollouts",))


@router.get("/stop", name="console_rollout_stopping")
async def stopping(page: Console, who: Controlling, cluster: ClusterName, number: Number) -> Response:
    """How it is to be stopped."""
    found = await rollouts.rollout(page.store, cluster, number)
    return page.part(
        "rollouts/stop.html",
        rollout=rollout_of(found),
        form_url=page.url("console_rollout_stop", cluster=cluster, number=number),
    )


@router.post("/stop", name="console_rollout_stop")
async def stop(
    page: Console,
    desk: AtDesk,
    who: Controlling,
    cluster: ClusterName,
    number: Number,
    asked: Annotated[StopForm, Depends(Sent(StopForm))],
) -> Response:
    """End it."""
    await rollouts.stop(desk, cluster, number, StopRequest(put_back=asked.put_back, why=asked.why))
    return page.done(page.words.say("Rollout %(number)s is being stopped", number=number), refresh=("rollouts",))
