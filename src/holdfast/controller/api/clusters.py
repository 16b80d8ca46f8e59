"""Clusters, and what is chosen once for each."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from holdfast.protocol.api.clusters import ClusterList, ClusterRequest, ClusterView, LockRequest, LockView

from ..callers import Allowed, AtDesk, Ctx
from ..identity import Action, Person
from ..operations import clusters as operations
from .answers import PROBLEMS, ClusterName

router = APIRouter(prefix="/api/v1/clusters", tags=["clusters"], responses=PROBLEMS)

Anywhere = Annotated[Person, Depends(Allowed(Action.READ, anywhere=True))]
Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Managing = Annotated[Person, Depends(Allowed(Action.CLUSTER_MANAGE))]
Locking = Annotated[Person, Depends(Allowed(Action.LOCK_WRITE))]


@router.get("", operation_id="list_clusters")
async def clusters(context: Ctx, who: Anywhere) -> ClusterList:
    """The clusters that one may see."""
    return await operations.clusters(context.store, who.clusters)


@router.post("", operation_id="create_cluster", status_code=201)
async def create_cluster(desk: AtDesk, who: Managing, asked: ClusterRequest) -> ClusterView:
    """Make a cluster known."""
    return await operations.make_cluster(desk, asked)


@router.get("/{cluster}", operation_id="cluster")
async def cluster(context: Ctx, who: Reading, cluster: ClusterName) -> ClusterView:
    """One cluster."""
    return await operations.cluster(context.store, cluster)


@router.get("/{cluster}/lock", operation_id="lock")
async def lock(desk: AtDesk, who: Locking, cluster: ClusterName) -> LockView:
    """CLUSTER.lock; of secrets, only their names."""
    return await operations.read_lock(desk, cluster)


@router.put("/{cluster}/lock", operation_id="write_lock")
async def write_lock(desk: AtDesk, who: Locking, cluster: ClusterName, asked: LockRequest) -> LockView:
    """Replace what is chosen for a cluster by what files say."""
    return await operations.write_lock(desk, cluster, asked)
