"""Servers of pools: drained, suspended, weighed and resumed, behind all proxies that send to them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from holdfast.errors import NotFound, PlanRefused
from holdfast.protocol.api.overrides import OverrideRequest, OverrideWord

from ...api.answers import ClusterName
from ...callers import Allowed, AtDesk
from ...identity import Action, Person
from ...operations import overrides
from ...operations.situation import situation
from ..forms import Sent
from ..navigation import PREFIX
from ..pages import Console, Page
from ..pictures.proxies import PoolRow, PoolServer, pool_of
from .servers import Began, Kind, OverrideForm, ResumeForm, Server

router = APIRouter(
    prefix=f"{PREFIX}/clusters/{{cluster}}", include_in_schema=False, default_response_class=HTMLResponse
)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Overriding = Annotated[Person, Depends(Allowed(Action.OVERRIDE))]
_WAIT_S = 4.0  # what proxies say later is seen in the table
_CHANGED = ("status", "overrides")


async def _found(page: Page, cluster: str, name: str, written: str) -> tuple[PoolRow, PoolServer]:
    pool = pool_of(await situation(page.store, cluster), name)
    if pool is None:
        raise NotFound(f"there is no pool '{name[:80]}'", "look at the list of pools")
    for one in pool.servers:
        if one.written == written:
            return pool, one
    raise NotFound(f"pool {name} has no server '{written[:80]}'", "look at the list of pools")


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
    request = OverrideRequest(
        pool=name,
        weight=asked.weight,
        why=asked.why,
        until=desk.now() + timedelta(minutes=asked.minutes) if asked.minutes else None,
        force=asked.force,
        wait_s=_WAIT_S,
    )
    try:
        result = await overrides.set_override(desk, cluster, OverrideWord(asked.kind), asked.server, request)
    except PlanRefused as error:
        if asked.force:
            raise
        return _asking(page, pool, server, asked, refused=error.message)
    return page.part(
        "pools/result.html", pool=pool, server=asked.server, result=result, kind=asked.kind,
        emptying=await _emptying(page, cluster, name, asked.server, result.open) if asked.kind == "drained" else {},
        refresh=_CHANGED,
    )  # fmt: skip


@router.get("/pools/{name}/watch", name="console_pool_emptying_shown")
async def watch(page: Console, who: Reading, cluster: ClusterName, name: str, server: Server) -> Response:
    """A dialog with what a drained server still has."""
    emptying = await _emptying(page, cluster, name, server, 0)
    return page.part(
        "pools/result.html", pool=emptying["pool"], server=server, result=None, kind="drained", emptying=emptying
    )


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
    result = await overrides.clear_override(desk, cluster, OverrideWord.ANY, asked.server, pool=name, wait_s=_WAIT_S)
    if result.ok:
        said = page.words.say(
            "%(server)s is as the spec says: %(nodes)s show it",
            server=asked.server, nodes=", ".join(result.directors),
        )  # fmt: skip
        return page.done(said, refresh=_CHANGED)
    return page.part(
        "pools/result.html", pool=pool, server=asked.server, result=result, kind="any", emptying={}, refresh=_CHANGED
    )
