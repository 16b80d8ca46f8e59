"""Nodes: listed, looked at, taken out for maintenance, let in and shut out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse
from pydantic import AwareDatetime, Field
from starlette.responses import Response

from holdfast.errors import NotFound
from holdfast.protocol import SafeName
from holdfast.protocol.api.base import Asked, Line
from holdfast.protocol.api.nodes import MaintenanceRequest, NodeSummary
from holdfast.sentences import Sentence
from holdfast.store.store import Store

from ...api.answers import ClusterName, NodeName
from ...callers import Allowed, AtDesk, Calling
from ...identity import Action, Person
from ...operations import happened, leaving, moving, status
from ...operations.desk import known_cluster
from ..forms import Sent
from ..navigation import PREFIX
from ..pages import Console, Page
from ..pictures.nodes import VRRP_KINDS, Arrival, arrival_of, node_of, nodes_of

router = APIRouter(
    prefix=f"{PREFIX}/clusters/{{cluster}}/nodes", include_in_schema=False, default_response_class=HTMLResponse
)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Overriding = Annotated[Person, Depends(Allowed(Action.OVERRIDE))]
Inviting = Annotated[Person, Depends(Allowed(Action.NODE_INVITE))]
Revoking = Annotated[Person, Depends(Allowed(Action.NODE_REVOKE))]
_TABLE, _NOW = "nodes/table.html", "nodes/now.html"
_HISTORY = 20  # events
_LOOKED_THROUGH = 2000  # records of the log of events
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(:[0-9]{1,5})?")


class MaintenanceForm(Asked):
    """Why, and for how long: `hours` 0 means until somebody ends it."""

    why: Line = ""
    hours: Annotated[float, Field(ge=0, le=24 * 366, allow_inf_nan=False)] = 0


class InviteForm(Asked):
    """Which node, and how many minutes its token is good for."""

    node: SafeName
    minutes: Annotated[int, Field(ge=1, le=15)] = 15


class RevokeForm(Asked):
    """Why, for the audit."""

    why: Line = ""


@router.get("", name="console_nodes")
async def listed(page: Console, who: Reading, cluster: ClusterName) -> Response:
    """The whole list."""
    table = await page.shared_text(_TABLE, "", lambda: _table(page.store, cluster))
    return await page.show("nodes/page.html", here="nodes", title=page.words.say("Nodes"), table=table)


@router.get("/table", name="console_nodes_table")
async def part(page: Console, who: Reading, cluster: ClusterName) -> Response:
    """The part that changes."""
    return await page.shared_part(_TABLE, "", lambda: _table(page.store, cluster))


async def _table(store: Store, cluster: str) -> Mapping[str, object]:
    return {"nodes": nodes_of((await status.nodes(store, cluster)).nodes)}


@router.get("/invite", name="console_inviting")
async def inviting(page: Console, who: Inviting, cluster: ClusterName, node: str = "") -> Response:
    """Which node is to be let in."""
    await known_cluster(page.store, cluster)
    return page.part("nodes/invite.html", node=node[:63], form_url=page.url("console_invite", cluster=cluster))


@router.post("/invite", name="console_invite")
async def invite(
    page: Console,
    caller: Calling,
    who: Inviting,
    cluster: ClusterName,
    asked: Annotated[InviteForm, Depends(Sent(InviteForm))],
) -> Response:
    """A join token for one node, within the command that is to be run there; shown this once."""
    await known_cluster(page.store, cluster)
    lifetime = timedelta(minutes=asked.minutes)
    found = await _summary(page.store, cluster, asked.node)
    before = found.enrolled if found else None
    token = await page.context.doors.enrolment.invite(who, cluster, asked.node, lifetime, caller.source)
    # By standard input: what stands among a command's own words, everybody on the node can see.
    command = f"echo {token.get_secret_value()} | sudo holdfast agent join - --controller {_address(page)}"
    expires = page.store.clock.now() + lifetime
    return page.part(
        "nodes/invited.html", node=asked.node, command=command, expires=expires, before=before, arrival=Arrival.AWAITED
    )


@router.get("/{node}/arrival", name="console_node_arrival")
async def arrival(
    page: Console, who: Reading, cluster: ClusterName, node: NodeName, before: AwareDatetime | None = None
) -> Response:
    """Whether it has joined since it was let in, and speaks: what whoever pasted the command waits for."""
    found = await _summary(page.store, cluster, node)
    return page.part("nodes/arrival.html", node=node, before=before, arrival=arrival_of(found, before))


async def _summary(store: Store, cluster: str, node: str) -> NodeSummary | None:
    return next((one for one in (await status.nodes(store, cluster)).nodes if one.node == node), None)


def _address(page: Page) -> str:
    """Where agents find this controller: as it was told itself, else as this browser has found it."""
    known = page.context.settings.agents_url
    host = page.request.headers.get("host", "")
    return known or (f"https://{host}" if _HOST.fullmatch(host) else "https://CONTROLLER:PORT")


@router.get("/{node}", name="console_node")
async def one(page: Console, who: Reading, cluster: ClusterName, node: NodeName) -> Response:
    """The whole page of one node."""
    now = await page.shared_text(_NOW, node, lambda: _now(page.store, cluster, node))
    return await page.show("nodes/one.html", here="nodes", title=node, now=now)


@router.get("/{node}/now", name="console_node_now")
async def now(page: Console, who: Reading, cluster: ClusterName, node: NodeName) -> Response:
    """The part that changes."""
    return await page.shared_part(_NOW, node, lambda: _now(page.store, cluster, node))


async def _now(store: Store, cluster: str, node: str) -> Mapping[str, object]:
    detail = await status.node(store, cluster, node)
    found = await happened.happened(store, cluster, VRRP_KINDS, node, limit=_HISTORY, most_read=_LOOKED_THROUGH)
    return {"node": node_of(detail, found.events, await leaving.maintenance_of(store, cluster, node))}


@router.get("/{node}/maintenance", name="console_maintenance")
async def planned(page: Console, desk: AtDesk, who: Overriding, cluster: ClusterName, node: NodeName) -> Response:
    """What would move, before anybody says so."""
    found = await leaving.would_move(desk, cluster, node)
    url = page.url("console_maintenance_begin", cluster=cluster, node=node)
    return page.part("nodes/maintenance.html", leaving=found, form_url=url)


@router.post("/{node}/maintenance", name="console_maintenance_begin")
async def begin(
    page: Console,
    desk: AtDesk,
    who: Overriding,
    cluster: ClusterName,
    node: NodeName,
    asked: Annotated[MaintenanceForm, Depends(Sent(MaintenanceForm))],
) -> Response:
    """The node gives up what it holds, and holds nothing until that ends."""
    until = desk.now() + timedelta(hours=asked.hours) if asked.hours else None
    done = await moving.begin_maintenance(desk, cluster, node, MaintenanceRequest(why=asked.why, until=until))
    moved = ", ".join(f"{each.group} → {each.after}" for each in done.moved)
    said = page.words.say("%(node)s is in maintenance", node=node)
    return page.done(f"{said}: {moved}" if moved else said, refresh=("status", "overrides"))


@router.post("/{node}/maintenance/end", name="console_maintenance_end")
async def end(page: Console, desk: AtDesk, who: Overriding, cluster: ClusterName, node: NodeName) -> Response:
    """The node may hold its groups again."""
    done = await moving.end_maintenance(desk, cluster, node)
    moved = ", ".join(f"{each.group} → {each.after}" for each in done.moved)
    said = page.words.say("%(node)s is in service again", node=node)
    return page.done(f"{said}: {moved}" if moved else said, refresh=("status", "overrides"))


@router.get("/{node}/revoke", name="console_revoking")
async def revoking(page: Console, who: Revoking, cluster: ClusterName, node: NodeName) -> Response:
    """What shutting a node out does."""
    detail = await status.node(page.store, cluster, node)
    url = page.url("console_revoke", cluster=cluster, node=node)
    return page.part("nodes/revoke.html", node=detail.node, form_url=url)


@router.post("/{node}/revoke", name="console_revoke")
async def revoke(
    page: Console,
    caller: Calling,
    who: Revoking,
    cluster: ClusterName,
    node: NodeName,
    asked: Annotated[RevokeForm, Depends(Sent(RevokeForm))],
) -> Response:
    """Its certificate counts no more, at once."""
    kept = await known_cluster(page.store, cluster)
    if await kept.nodes.get(node) is None:
        raise NotFound(
            Sentence("no node %(node)s is enrolled in %(cluster)s", node=node, cluster=cluster),
            "look at the list of nodes",
        )
    await page.context.doors.enrolment.revoke(who, cluster, node, asked.why, caller.source)
    return page.done(page.words.say("%(node)s is shut out", node=node), refresh=("status",))
