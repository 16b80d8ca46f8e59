"""Revisions: listed, shown, compared, and gone back to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from pydantic import Field
from starlette.responses import Response

from holdfast.errors import CompileError, HoldfastError, SpecError
from holdfast.protocol.api.base import Asked, Count, HazardClass, Message, Number, worse_than
from holdfast.protocol.api.revisions import RollbackRequest
from holdfast.protocol.api.rollouts import RolloutOptions
from holdfast.store.store import Store

from ...api.answers import Before, ClusterName, NodeName, RevisionNumber
from ...callers import Allowed, AtDesk
from ...identity import Action, Person
from ...operations import history, revisions, rollouts, status
from ...operations.desk import Desk
from ..forms import Sent
from ..navigation import PREFIX
from ..pages import Console
from ..pictures.plans import plan_of
from ..pictures.revisions import history_of, spec_of
from .rollouts import RolloutForm, held_up_by

router = APIRouter(
    prefix=f"{PREFIX}/clusters/{{cluster}}/revisions", include_in_schema=False, default_response_class=HTMLResponse
)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Planning = Annotated[Person, Depends(Allowed(Action.PLAN))]
Applying = Annotated[Person, Depends(Allowed(Action.APPLY))]
Revision = Annotated[int, Query(ge=1, le=10**12)]
_LIST = "revisions/list.html"
_PAGE = 30


class RollbackForm(RolloutForm):
    """Going back, confirmed: `base` is the revision that was the newest when the plan was shown, `hazard` its worst."""

    base: Count
    hazard: HazardClass | None = None
    message: Message = ""
    put_back: bool = False
    forbidden: Annotated[tuple[HazardClass, ...], Field(max_length=5)] = ()


class CompareForm(Asked):
    """Which two."""

    old: Number
    new: Number


@router.get("", name="console_revisions")
async def listed(page: Console, who: Reading, cluster: ClusterName, before: Before = None) -> Response:
    """The whole list."""
    found = await page.shared_text(_LIST, before, lambda: _list(page.store, cluster, before))
    newest = await page.store.cluster(cluster).revisions.newest_number()
    title = page.words.say("Revisions")
    return await page.show("revisions/page.html", here="revisions", title=title, list=found, newest=newest)


@router.get("/list", name="console_revisions_list")
async def part(page: Console, who: Reading, cluster: ClusterName, before: Before = None) -> Response:
    """The part that changes."""
    return await page.shared_part(_LIST, before, lambda: _list(page.store, cluster, before))


async def _list(store: Store, cluster: str, before: int | None) -> Mapping[str, object]:
    found = await history.history(store, cluster, before, _PAGE)
    lowest = min((*(one.number for one in found.revisions), *(one.number for one in found.damaged)), default=1)
    carried = await rollouts.of_revisions(store, cluster, lowest)
    nodes = await status.nodes(store, cluster)
    return {"history": history_of(found, carried, nodes.nodes), "begin": before}


@router.get("/compare", name="console_compare")
async def compare(page: Console, who: Reading, cluster: ClusterName, old: Revision, new: Revision) -> Response:
    """To the comparison of two revisions."""
    return page.go(page.url("console_revision_diff", cluster=cluster, number=old, other=new))


@router.get("/{number}", name="console_revision")
async def one(page: Console, desk: AtDesk, who: Reading, cluster: ClusterName, number: RevisionNumber) -> Response:
    """A revision: its spec, with what is to be said of it, and which nodes get something."""
    found = await history.show(page.store, cluster, number)
    listed = await history.history(page.store, cluster, number + 1, 1)
    carried = [each for each in await rollouts.of_revisions(page.store, cluster, number) if each.revision == number]
    present = (await status.nodes(page.store, cluster)).nodes
    row = history_of(listed.model_copy(update={"revisions": (found.revision,)}), carried, present).rows[0]
    nodes, problem = await _nodes(desk, cluster, number)
    title = page.words.say("Revision %(number)s", number=number)
    return await page.show(
        "revisions/one.html", here="revisions", title=title,
        row=row, message=found.revision.message, spec=spec_of(found), newest=listed.newest,
        nodes=nodes, problem=problem,
    )  # fmt: skip


async def _nodes(desk: Desk, cluster: str, number: int) -> tuple[tuple[str, ...], HoldfastError | None]:
    """Old revisions may not compile any more: that is said, and the spec is shown all the same."""
    try:
        return await history.nodes_of(desk, cluster, number), None
    except (CompileError, SpecError) as error:
        return (), error


@router.get("/{number}/nodes/{node}", name="console_revision_node")
async def node_files(
    page: Console, desk: AtDesk, who: Reading, cluster: ClusterName, number: RevisionNumber, node: NodeName
) -> Response:
    """The exact files of a node in a revision, secrets masked."""
    found = await history.node_files(desk, cluster, number, node)
    nodes = await history.nodes_of(desk, cluster, number)
    title = page.words.say("%(node)s in revision %(number)s", node=node, number=number)
    return await page.show("revisions/node.html", here="revisions", title=title, found=found, nodes=nodes)


@router.get("/{number}/diff/{other}", name="console_revision_diff")
async def diff(
    page: Console, desk: AtDesk, who: Reading, cluster: ClusterName, number: RevisionNumber, other: RevisionNumber
) -> Response:
    """Two revisions compared."""
    found = await history.revision_diff(desk, cluster, number, other)
    newest = (await history.history(page.store, cluster, None, 1)).newest
    title = page.words.say("Revisions %(old)s and %(new)s", old=number, new=other)
    plan = plan_of(found.plan, found.spec_diff)
    return await page.show(
        "revisions/diff.html", here="revisions", title=title,
        old=number, new=other, newest=newest, plan=plan,
    )  # fmt: skip


@router.get("/{number}/rollback", name="console_rollback")
async def rollback_plan(
    page: Console, desk: AtDesk, who: Applying, cluster: ClusterName, number: RevisionNumber
) -> Response:
    """What going back would do, before anybody says so."""
    found = await revisions.plan_rollback(desk, cluster, number)
    old = await history.show(page.store, cluster, number)
    title = page.words.say("Back to revision %(number)s", number=number)
    if number == found.newest:
        title = page.words.say("Revision %(number)s again", number=number)
    plan = plan_of(found.plan, found.spec_diff)
    return await page.show(
        "revisions/rollback.html", here="revisions", title=title,
        number=number, old=old.revision, newest=found.newest, plan=plan,
        held_up=await held_up_by(page.store, cluster, plan), findings=found.findings,
    )  # fmt: skip


@router.post("/{number}/rollback", name="console_roll_back")
async def rollback(
    page: Console,
    desk: AtDesk,
    who: Applying,
    cluster: ClusterName,
    number: RevisionNumber,
    asked: Annotated[RollbackForm, Depends(Sent(RollbackForm))],
) -> Response:
    """A new revision with the content of an old one; to its rollout."""
    # what nodes run may have changed since: what is worse than what was shown is not done
    forbidden = tuple(dict.fromkeys((*asked.forbidden, *worse_than(asked.hazard))))
    options = RolloutOptions(
        put_back=asked.put_back,
        pause_after_first=asked.pause_after_first,
        forbidden=forbidden,
        without=asked.without,
    )
    request = RollbackRequest(revision=number, base=asked.base, message=asked.message, options=options)
    done = await revisions.rollback(desk, cluster, request)
    if done.rollout is None:
        return page.go(page.url("console_revision", cluster=cluster, number=done.revision.number))
    return page.go(page.url("console_rollout", cluster=cluster, number=done.rollout))
