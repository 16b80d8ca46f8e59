"""Virtual IPs: VRRP groups with their holders, and moves from one node to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from holdfast.errors import NotFound
from holdfast.protocol import SafeName
from holdfast.protocol.api.base import Asked
from holdfast.protocol.api.nodes import MoveRequest
from holdfast.sentences import Sentence

from ...api.answers import ClusterName, GroupName
from ...callers import Allowed, AtDesk
from ...identity import Action, Person
from ...operations import moving
from ...operations.situation import situation
from ..forms import Sent
from ..navigation import PREFIX
from ..pages import Console, Page
from ..pictures.addresses import Group, group_picture, groups_of

router = APIRouter(
    prefix=f"{PREFIX}/clusters/{{cluster}}/addresses", include_in_schema=False, default_response_class=HTMLResponse
)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Moving = Annotated[Person, Depends(Allowed(Action.MOVE))]
_TABLE = "addresses/table.html"


class MoveForm(Asked):
    """Where a group is to go: a node, or back to the one that is preferred."""

    node: SafeName | None = None
    back: bool = False


@router.get("", name="console_addresses")
async def addresses(page: Console, who: Reading, cluster: ClusterName) -> Response:
    """The whole page."""
    table = await page.shared_text(_TABLE, (), lambda: _table(page, cluster))
    return await page.show("addresses/page.html", here="addresses", title=page.words.say("Virtual IPs"), table=table)


@router.get("/table", name="console_addresses_table")
async def table(page: Console, who: Reading, cluster: ClusterName) -> Response:
    """The part that changes."""
    return await page.shared_part(_TABLE, (), lambda: _table(page, cluster))


async def _table(page: Page, cluster: str) -> Mapping[str, object]:
    return {"groups": groups_of(await situation(page.store, cluster))}


@router.get("/{group}/move", name="console_moving")
async def asked_where(
    page: Console,
    who: Moving,
    cluster: ClusterName,
    group: GroupName,
    back: Annotated[bool, Query()] = False,
) -> Response:
    """To which node, and what that does."""
    found = await _group(page, cluster, group)
    url = page.url("console_move", cluster=cluster, group=group)
    return page.part("addresses/move.html", group=found, back=back, form_url=url)


@router.post("/{group}/move", name="console_move")
async def move(
    page: Console,
    desk: AtDesk,
    who: Moving,
    cluster: ClusterName,
    group: GroupName,
    asked: Annotated[MoveForm, Depends(Sent(MoveForm))],
) -> Response:
    """The same operation as the API's: refused for the last node that could hold it, and seen to be done."""
    request = MoveRequest(node=None if asked.back else asked.node, back=asked.back)
    done = await moving.move(desk, cluster, group, request)
    return page.part("addresses/moved.html", done=done, refresh=("status",))


async def _group(page: Page, cluster: str, name: str) -> Group:
    seen = await situation(page.store, cluster)
    if seen.spec is None or name not in seen.spec.vrrp:
        raise NotFound(Sentence("there is no VRRP group '%(name)s'", name=name[:80]), "look at the list of virtual IPs")
    return group_picture(seen, seen.spec, name)
