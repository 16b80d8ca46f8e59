"""Rehearsals on the controller's own machine."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from holdfast.protocol.api.rehearsals import RehearsalList, RehearsalRequest, RehearsalView

from ..callers import Allowed, AtDesk, Ctx
from ..identity import Action, Person
from ..operations import rehearsals
from .answers import PROBLEMS, ClusterName

router = APIRouter(prefix="/api/v1/clusters/{cluster}/rehearsals", tags=["rehearsals"], responses=PROBLEMS)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Rehearsing = Annotated[Person, Depends(Allowed(Action.REHEARSE))]
Number = Annotated[int, Path(ge=1, le=10**12, examples=[1])]


@router.get("", operation_id="list_rehearsals")
async def list_rehearsals(context: Ctx, desk: AtDesk, who: Reading, cluster: ClusterName) -> RehearsalList:
    """Those of this controller's machine, newest first; and why none can be begun there, if so."""
    return await rehearsals.rehearsals(desk, context.rehearsals, context.settings.holder, cluster)


@router.post("", operation_id="begin_rehearsal", status_code=202)
async def begin(
    context: Ctx, desk: AtDesk, who: Rehearsing, cluster: ClusterName, asked: RehearsalRequest
) -> RehearsalView:
    """Begin one, of the newest revision, another one, or a proposed spec. One at a time; no node is touched.

    What is in the spec runs as root on the controller's machine: only an administrator of every cluster may.
    """
    return await rehearsals.begin(desk, context.rehearsals, cluster, asked)


@router.get("/{number}", operation_id="rehearsal")
async def one(context: Ctx, desk: AtDesk, who: Reading, cluster: ClusterName, number: Number) -> RehearsalView:
    """How far one is, step by step."""
    return await rehearsals.rehearsal(desk, context.rehearsals, cluster, number)


@router.get("/{number}/report", operation_id="rehearsal_report")
async def report(context: Ctx, desk: AtDesk, who: Reading, cluster: ClusterName, number: Number) -> dict[str, Any]:
    """All that was measured, as `holdfast rehearse --report` writes it."""
    return await rehearsals.report(desk, context.rehearsals, cluster, number)


@router.post("/{number}/stop", operation_id="stop_rehearsal")
async def stop(context: Ctx, desk: AtDesk, who: Rehearsing, cluster: ClusterName, number: Number) -> RehearsalView:
    """Stop the one that runs; its lab is taken down. Only an administrator of every cluster may."""
    return await rehearsals.stop(desk, context.rehearsals, cluster, number)
