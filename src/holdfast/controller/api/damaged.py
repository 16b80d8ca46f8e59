"""Records of a cluster that are not understood."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from holdfast.protocol.api.damaged import ClearRequest, DamagedList, DamagedRecord

from ..callers import Allowed, AtDesk
from ..identity import Action, Person
from ..operations import damaged as operations
from .answers import PROBLEMS, ClusterName

router = APIRouter(prefix="/api/v1/clusters/{cluster}", tags=["operating"], responses=PROBLEMS)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Clearing = Annotated[Person, Depends(Allowed(Action.DAMAGED_CLEAR))]


@router.get("/damaged", operation_id="list_damaged")
async def damaged(desk: AtDesk, who: Reading, cluster: ClusterName) -> DamagedList:
    """Records that are not understood, and what is lost with each."""
    return await operations.damaged(desk, cluster)


@router.post("/damaged/clear", operation_id="clear_damaged")
async def clear(desk: AtDesk, who: Clearing, cluster: ClusterName, asked: ClearRequest) -> DamagedRecord:
    """Remove one of them, or put in its place what is known; the audit keeps what it was."""
    return await operations.clear(desk, cluster, asked)
