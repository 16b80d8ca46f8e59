"""Whether this controller is alive, and whether it can do its work: for whoever watches over it, without a login."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from starlette.responses import JSONResponse

from holdfast.protocol.api.base import Told

from ..callers import Ctx
from ..problems import plain
from .answers import PROBLEMS

router = APIRouter(tags=["health"], responses={503: PROBLEMS[503]})


class Alive(Told):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(Alive):
    """It can be sent work. `remark` is what an operator should look after all the same: nothing is lost yet."""

    remark: str = ""


@router.get("/healthz", operation_id="healthz")
async def healthz() -> Alive:
    """Whether the process answers at all; it asks nobody else."""
    return Alive()


@router.get("/readyz", operation_id="readyz", response_model=Ready)
async def readyz(context: Ctx) -> Ready | JSONResponse:
    """Whether it should be sent work: it does not stop, and its store takes writes."""
    if context.stopping.begun:
        return plain(503, "this controller stops", "ask another one", "stopping")
    health = await context.store.engine.health()
    if not health.writable:
        # Reads may work, and nodes that run go on; but whoever balances between controllers should take another one.
        return plain(503, "the store cannot be written", "look at the controller's log", "store_unavailable")
    return Ready(remark=health.remark)
