"""Virtual servers with their real servers, and what proxies serve: looked at, drained, suspended, weighed, resumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from holdfast.errors import NotFound, PlanRefused
from holdfast.protocol.api.overrides import OverrideWord
from holdfast.sentences import Sentence

from ...api.answers import ClusterName
from ...callers import Allowed, AtDesk
from ...identity import Action, Person
from ...operations import overrides
from ...operations.situation import situation
from ..forms import Sent
from ..navigation import PREFIX
from ..pages import Console, Page
from ..pictures.opened import ALL, NONE, OPEN_BY_ITSELF, Opened, opened
from ..pictures.proxies import pools_of, proxies_of
from ..pictures.servers import RealServer, VirtualRow, row_of, rows_of
from .overriding import CHANGED, WAIT_S, Began, Kind, OverrideForm, ResumeForm, Server, done, overridden

router = APIRouter(
    prefix=f"{PREFIX}/clusters/{{cluster}}", include_in_schema=False, default_response_class=HTMLResponse
)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Overriding = Annotated[Person, Depends(Allowed(Action.OVERRIDE))]
Wanted = Annotated[list[str] | None, Query(alias="open", max_length=500)]
_TABLE, _POOLS = "servers/table.html", "servers/pools.html"
_ONE, _EMPTYING, _RESULT = "servers/now.html", "servers/emptying.html", "servers/result.html"


@router.get("/servers", name="console_servers")
async def servers(page: Console, who: Reading, cluster: ClusterName, wanted: Wanted = None) -> Response:
    """The whole page."""
    table = await page.shared_text(_TABLE, await _key(page, wanted), lambda: _table(page, cluster, wanted))
    pools = await page.shared_text(_POOLS, (), lambda: _pools(page, cluster))
    return await page.show(
        "servers/page.html", here="servers", title=page.words.say("Virtual servers"), table=table, pools=pools
    )


@router.get("/parts/servers", name="console_servers_table")
async def table(page: Console, who: Reading, cluster: ClusterName, wanted: Wanted = None) -> Response:
    """The part that changes."""
    return await page.shared_part(_TABLE, await _key(page, wanted), lambda: _table(page, cluster, wanted))


async def _key(page: Page, wanted: list[str] | None) -> tuple[str, ...] | None:
    """What is open, as far as it is there: whatever else an address says makes no other table."""
    if not wanted:
        return None
    if ALL in wanted:
        return (ALL,)
    spec = await page.spec() if set(wanted) != {NONE} else None
    return tuple(sorted(set(wanted) & set(spec.virtual_servers))) if spec else ()


async def _table(page: Page, cluster: str, wanted: list[str] | None) -> Mapping[str, object]:
    seen = await situation(page.store, cluster)
    rows = rows_of(seen)
    shown: Opened = opened([(row.name, len(row.servers)) for row in rows], wanted)
    return {"rows": rows, "opened": shown, "newest": seen.told.newest, "most": OPEN_BY_ITSELF}


@router.get("/parts/pools", name="console_pools")
async def pools(page: Console, who: Reading, cluster: ClusterName) -> Response:
    """Proxies and their pools, as they change."""
    return await page.shared_part(_POOLS, (), lambda: _pools(page, cluster))


async def _pools(page: Page, cluster: str) -> Mapping[str, object]:
    seen = await situation(page.store, cluster)
    return {"proxies": proxies_of(seen), "pools": pools_of(seen)}


@router.get("/servers/{name}", name="console_server")
async def server(page: Console, who: Reading, cluster: ClusterName, name: str) -> Response:
    """One virtual server alone."""
    now = await page.shared_text(_ONE, name, lambda: _one(page, cluster, name))
    return await page.show("servers/one.html", here="servers", title=name, now=now, name=name)


@router.get("/servers/{name}/now", name="console_server_now")
async def one(page: Console, who: Reading, cluster: ClusterName, name: str) -> Response:
    """The part of it that changes."""
    return await page.shared_part(_ONE, name, lambda: _one(page, cluster, name))


async def _one(page: Page, cluster: str, name: str) -> Mapping[str, object]:
    return {"row": await _row(page, cluster, name)}


async def _row(page: Page, cluster: str, name: str) -> VirtualRow:
    seen = await situation(page.store, cluster)
    if seen.spec is None or name not in seen.spec.virtual_servers:
        raise NotFound(
            Sentence("there is no virtual server '%(name)s'", name=name[:80]), "look at the list of virtual servers"
        )
    return row_of(seen, seen.spec, name)


def _in(row: VirtualRow, written: str) -> RealServer:
    for one in row.servers:
        if one.written == written:
            return one
    raise NotFound(
        Sentence("%(name)s has no server '%(written)s'", name=row.name, written=written[:80]),
        "look at the list of virtual servers",
    )


@router.get("/servers/{name}/override", name="console_overriding")
async def overriding(
    page: Console, who: Overriding, cluster: ClusterName, name: str, kind: Kind, server: Server
) -> Response:
    """Why, for how long, and what it will do."""
    row = await _row(page, cluster, name)
    return _asking(page, row, _in(row, server), OverrideForm(kind=kind, server=server))


def _asking(page: Page, row: VirtualRow, server: RealServer, form: OverrideForm, refused: str = "") -> Response:
    url = page.url("console_override", cluster=page.cluster, name=row.name)
    return page.part("servers/override.html", row=row, server=server, form=form, refused=refused, form_url=url)


@router.post("/servers/{name}/override", name="console_override")
async def override(
    page: Console,
    desk: AtDesk,
    who: Overriding,
    cluster: ClusterName,
    name: str,
    asked: Annotated[OverrideForm, Depends(Sent(OverrideForm))],
) -> Response:
    """The same operation as the API's; what nobody would be left for is asked once more."""
    row = await _row(page, cluster, name)
    server = _in(row, asked.server)
    where = name if asked.scope == "here" and server.elsewhere else None
    result = await overridden(desk, cluster, asked, virtual_server=where)
    if isinstance(result, PlanRefused):
        return _asking(page, row, server, asked, refused=result.message)
    if asked.kind != "drained" and result.ok:
        return done(page, asked.server, result, asked)
    emptying = await _emptying(page, cluster, name, asked.server, result.open) if asked.kind == "drained" else None
    return page.part(
        _RESULT, row=row, server=asked.server, result=result, kind=asked.kind, emptying=emptying, refresh=CHANGED
    )


@router.get("/servers/{name}/watch", name="console_emptying_shown")
async def watch(page: Console, who: Reading, cluster: ClusterName, name: str, server: Server) -> Response:
    """A dialog with the connections that a drained server still has."""
    row = await _row(page, cluster, name)
    return page.part(
        _RESULT, row=row, server=server, result=None, kind="drained",
        emptying=await _emptying(page, cluster, name, server, 0),
    )  # fmt: skip


@router.get("/servers/{name}/emptying", name="console_emptying")
async def emptying(
    page: Console, who: Reading, cluster: ClusterName, name: str, server: Server, began: Began = 0
) -> Response:
    """How many connections a server still has, as they end."""
    return page.part(_EMPTYING, **await _emptying(page, cluster, name, server, began))


async def _emptying(page: Page, cluster: str, name: str, server: str, began: int) -> dict[str, Any]:
    row = await _row(page, cluster, name)
    found = _in(row, server)
    return {"row": row, "server": found, "began": max(began, found.open or 0)}


@router.post("/servers/{name}/resume", name="console_resume")
async def resume(
    page: Console,
    desk: AtDesk,
    who: Overriding,
    cluster: ClusterName,
    name: str,
    asked: Annotated[ResumeForm, Depends(Sent(ResumeForm))],
) -> Response:
    """Whatever was decided about a server here ends; if something was decided of it everywhere, it ends everywhere."""
    row = await _row(page, cluster, name)
    found = _in(row, asked.server)
    where = found.override.virtual_server if found.override and not found.everywhere else None
    result = await overrides.clear_override(desk, cluster, OverrideWord.ANY, asked.server, where, wait_s=WAIT_S)
    if result.ok:
        return done(page, asked.server, result)
    return page.part(_RESULT, row=row, server=asked.server, result=result, kind="any", emptying=None, refresh=CHANGED)
