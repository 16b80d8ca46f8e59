"""Servers of pools: drained, suspended, weighed and resumed, behind all proxies that send to them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
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
from ..pictures.proxies import PoolRow, PoolServer, pool_of
from .overriding import CHANGED, WAIT_S, Began, Kind, OverrideForm, ResumeForm, Server, done, overridden

router = APIRouter(
    prefix=f"{PREFIX}/clusters/{{cluster}}", include_in_schema=False, default_response_class=HTMLResponse
)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Overriding = Annotated[Person, Depends(Allowed(Action.OVERRIDE))]
_RESULT = "pools/result.html"


async def _found(page: Page, cluster: str, name: str, written: str) -> tuple[PoolRow, PoolServer]:
    pool = pool_of(await situation(page.store, cluster), name)
    if pool is None:
        raise NotFound(Sentence("there is no pool '%(name)s'", name=name[:80]), "look at the list of pools")
    for one in pool.servers:
        if one.written == written:
            return pool, one
    raise NotFound(
        Sentence("pool %(name)s has no server '%(written)s'", name=name, written=written[:80]),
        "look at the list of pools",
    )


@router.get("/pools/{name}/override", name="console_pool_overriding")
async def overriding(
    page: Console, who: Overriding, cluster: ClusterName, name: str, kind: Kind, server: Server
) -> Response:
    """Why, for how long, and what it will do."""
    pool, found = await _found(page, cluster, name, server)
    return _asking(page, pool, found, OverrideForm(kind=kind, server=server))


def _asking(page: Page, pool: PoolRow, server: PoolServer, form: OverrideForm, refused: str = "") -> Response:
    url = page.url("console_pool_override", cluster=page.cluster, name=pool.name)
    return page.part("pools/override.html", pool=pool, server=server, form=form, refused=refused, form_url=url)


@router.post("/pools/{name}/override", name="console_pool_override")
async def override(
    page: Console,
    desk: AtDesk,
    who: Overriding,
    cluster: ClusterName,
    name: str,
    asked: Annotated[OverrideForm, Depends(Sent(OverrideForm))],
) -> Response:
    """The same operation as the API's; what would leave too few is asked once more."""
    pool, server = await _found(page, cluster, name, asked.server)
    result = await overridden(desk, cluster, asked, pool=name)
    if isinstance(result, PlanRefused):
        return _asking(page, pool, server, asked, refused=result.message)
    if asked.kind != "drained" and result.ok:
        return done(page, asked.server, result, asked)
    emptying = await _emptying(page, cluster, name, asked.server, result.open) if asked.kind == "drained" else None
    return page.part(
        _RESULT, pool=pool, server=asked.server, result=result, kind=asked.kind, emptying=emptying, refresh=CHANGED
    )


@router.get("/pools/{name}/watch", name="console_pool_emptying_shown")
async def watch(page: Console, who: Reading, cluster: ClusterName, name: str, server: Server) -> Response:
    """A dialog with what a drained server still has."""
    emptying = await _emptying(page, cluster, name, server, 0)
    return page.part(_RESULT, pool=emptying["pool"], server=server, result=None, kind="drained", emptying=emptying)


@router.get("/pools/{name}/emptying", name="console_pool_emptying")
async def emptying(
    page: Console, who: Reading, cluster: ClusterName, name: str, server: Server, began: Began = 0
) -> Response:
    """How much a server still has, as it ends."""
    return page.part("pools/emptying.html", **await _emptying(page, cluster, name, server, began))


async def _emptying(page: Page, cluster: str, name: str, server: str, began: int) -> dict[str, Any]:
    pool, found = await _found(page, cluster, name, server)
    return {"pool": pool, "server": found, "began": max(began, found.open or 0)}


@router.post("/pools/{name}/resume", name="console_pool_resume")
async def resume(
    page: Console,
    desk: AtDesk,
    who: Overriding,
    cluster: ClusterName,
    name: str,
    asked: Annotated[ResumeForm, Depends(Sent(ResumeForm))],
) -> Response:
    """Whatever was decided about a server of the pool ends."""
    pool, _ = await _found(page, cluster, name, asked.server)
    result = await overrides.clear_override(desk, cluster, OverrideWord.ANY, asked.server, pool=name, wait_s=WAIT_S)
    if result.ok:
        return done(page, asked.server, result)
    return page.part(_RESULT, pool=pool, server=asked.server, result=result, kind="any", emptying=None, refresh=CHANGED)
