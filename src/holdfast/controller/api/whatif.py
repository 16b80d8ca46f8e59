"""What if: who holds each address after failures, and what is left."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from holdfast.protocol.api.whatif import MOST_FAILURES, FailureName, WhatIfView

from ..callers import Allowed, AtDesk
from ..identity import Action, Person
from ..operations import whatif
from .answers import PROBLEMS, ClusterName

router = APIRouter(prefix="/api/v1/clusters/{cluster}", tags=["findings"], responses=PROBLEMS)

Planning = Annotated[Person, Depends(Allowed(Action.PLAN))]
Fail = Annotated[
    tuple[FailureName, ...],
    Query(max_length=MOST_FAILURES, description="One after another: lb1, nginx@lb2, eth0@lb1, front:lb1 (in two)."),
]
Depth = Annotated[int, Query(ge=1, le=2, description="2: pairs of failures, too.")]
Revision = Annotated[int, Query(ge=0, le=10**12, description="0: the newest.")]


@router.get("/whatif", operation_id="what_if")
async def what_if(
    desk: AtDesk,
    who: Planning,
    cluster: ClusterName,
    fail: Fail = (),
    depth: Depth = 1,
    revision: Revision = 0,
) -> WhatIfView:
    """After these failures; without any, after every single one, outages first. Nothing is touched."""
    return whatif.view(cluster, await whatif.what_if(desk, cluster, fail, depth, revision))
