"""Running a cluster: how it is, overrides, planned moves, maintenance, what is live on a node."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query

from holdfast.protocol.api.nodes import (
    MaintenanceRequest,
    MaintenanceResult,
    MovedGroup,
    MoveRequest,
    NodeConfiguration,
    NodeDetail,
    NodeList,
)
from holdfast.protocol.api.overrides import OverrideList, OverrideRequest, OverrideResult, OverrideWord
from holdfast.protocol.api.status import ClusterStatus

from ..callers import Allowed, AtDesk, Ctx
from ..identity import Action, Person
from ..operations import moving, overrides, status
from .answers import PROBLEMS, ClusterName, GroupName, NodeName

router = APIRouter(prefix="/api/v1/clusters/{cluster}", tags=["operating"], responses=PROBLEMS)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Overriding = Annotated[Person, Depends(Allowed(Action.OVERRIDE))]
Moving = Annotated[Person, Depends(Allowed(Action.MOVE))]
OfServer = Literal[OverrideWord.DRAINED, OverrideWord.SUSPENDED, OverrideWord.WEIGHT]
Target = Annotated[str, Path(max_length=200, examples=["web01:80"])]
OfVirtualServer = Annotated[str | None, Query(max_length=63, description="Of this virtual server alone.")]
OfPool = Annotated[str | None, Query(max_length=63, description="A server of this pool.")]
Wait = Annotated[float, Query(ge=0, le=60, description="Seconds to wait for the directors.")]


@router.get("/status", operation_id="status")
async def cluster_status(context: Ctx, who: Reading, cluster: ClusterName) -> ClusterStatus:
    """All that matters now: nodes, addresses and their holders, servers, health, findings."""
    return await status.status(context.store, cluster)


@router.get("/nodes", operation_id="list_nodes")
async def nodes(context: Ctx, who: Reading, cluster: ClusterName) -> NodeList:
    """Every node, and how it is."""
    return await status.nodes(context.store, cluster)


@router.get("/nodes/{node}", operation_id="node")
async def one_node(context: Ctx, who: Reading, cluster: ClusterName, node: NodeName) -> NodeDetail:
    """One node with its agent's last report."""
    return await status.node(context.store, cluster, node)


@router.get("/nodes/{node}/config", operation_id="node_config")
async def config(context: Ctx, who: Reading, cluster: ClusterName, node: NodeName) -> NodeConfiguration:
    """What is live on a node, and what differs from what was applied."""
    return await status.configuration(context.store, cluster, node)


@router.get("/overrides", operation_id="list_overrides")
async def list_overrides(context: Ctx, who: Reading, cluster: ClusterName) -> OverrideList:
    """All that is overridden, and what the directors make of it."""
    return await overrides.overrides(context.store, cluster)


@router.put("/overrides/{kind}/{target}", operation_id="set_override")
async def set_override(
    desk: AtDesk, who: Overriding, cluster: ClusterName, kind: OfServer, target: Target, asked: OverrideRequest
) -> OverrideResult:
    """Drain or suspend a server, or give it another weight; without a reload."""
    return await overrides.set_override(desk, cluster, kind, target, asked)


@router.delete("/overrides/{kind}/{target}", operation_id="clear_override")
async def clear_override(
    desk: AtDesk,
    who: Overriding,
    cluster: ClusterName,
    kind: OverrideWord,
    target: Target,
    virtual_server: OfVirtualServer = None,
    pool: OfPool = None,
    wait_s: Wait = 10.0,
) -> OverrideResult:
    """What was decided about a server ends: it is as the spec says."""
    return await overrides.clear_override(desk, cluster, kind, target, virtual_server, pool, wait_s)


@router.post("/groups/{group}/move", operation_id="move")
async def move(desk: AtDesk, who: Moving, cluster: ClusterName, group: GroupName, asked: MoveRequest) -> MovedGroup:
    """Let another node hold a VRRP group, without a lost answer; refused for the last one that could."""
    return await moving.move(desk, cluster, group, asked)


@router.put("/nodes/{node}/maintenance", operation_id="begin_maintenance")
async def begin_maintenance(
    desk: AtDesk, who: Overriding, cluster: ClusterName, node: NodeName, asked: MaintenanceRequest
) -> MaintenanceResult:
    """A node gives up all its groups and holds none until maintenance ends."""
    return await moving.begin_maintenance(desk, cluster, node, asked)


@router.delete("/nodes/{node}/maintenance", operation_id="end_maintenance")
async def end_maintenance(desk: AtDesk, who: Overriding, cluster: ClusterName, node: NodeName) -> MaintenanceResult:
    """A node may hold its groups again."""
    return await moving.end_maintenance(desk, cluster, node)
