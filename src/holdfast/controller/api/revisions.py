"""Findings, plans, revisions and rollbacks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from holdfast.protocol.api.lints import LintRequest, LintView
from holdfast.protocol.api.plans import PlanRequest, ProposalView
from holdfast.protocol.api.revisions import (
    Applied,
    NodeFiles,
    RevisionDetail,
    RevisionDiff,
    RevisionList,
    RevisionRequest,
    RollbackRequest,
)

from ..callers import Allowed, AtDesk, Ctx
from ..identity import Action, Person
from ..operations import checking, history, proposals, revisions
from .answers import PROBLEMS, Before, ClusterName, Limit, NodeName, RevisionNumber

router = APIRouter(prefix="/api/v1/clusters/{cluster}", tags=["revisions"], responses=PROBLEMS)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Planning = Annotated[Person, Depends(Allowed(Action.PLAN))]
Applying = Annotated[Person, Depends(Allowed(Action.APPLY))]


@router.post("/plans", operation_id="plan")
async def plan(desk: AtDesk, who: Planning, cluster: ClusterName, asked: PlanRequest) -> ProposalView:
    """What would become of a spec. Nothing is written."""
    return await proposals.propose(desk, cluster, asked.spec, asked.base, asked.file)


@router.post("/lint", operation_id="lint")
async def lint(context: Ctx, desk: AtDesk, who: Reading, cluster: ClusterName, asked: LintRequest) -> LintView:
    """What is wrong with a spec, or could be better, for whoever is writing it. Asked again, only the newest counts."""
    return await checking.check(desk, context.turns, cluster, asked)


@router.get("/revisions", operation_id="list_revisions")
async def list_revisions(
    context: Ctx, who: Reading, cluster: ClusterName, before: Before = None, limit: Limit = 100
) -> RevisionList:
    """Revisions, newest first."""
    return await history.history(context.store, cluster, before, limit)


@router.post("/revisions", operation_id="apply", status_code=201)
async def apply(desk: AtDesk, who: Applying, cluster: ClusterName, asked: RevisionRequest) -> Applied:
    """A new revision and its rollout. Made from an old one, it is refused with both diffs."""
    return await revisions.apply(desk, cluster, asked)


@router.get("/revisions/{number}", operation_id="revision")
async def revision(context: Ctx, who: Reading, cluster: ClusterName, number: RevisionNumber) -> RevisionDetail:
    """A revision with its spec."""
    return await history.show(context.store, cluster, number)


@router.get("/revisions/{number}/nodes/{node}", operation_id="node_files")
async def node_files(
    desk: AtDesk, who: Reading, cluster: ClusterName, number: RevisionNumber, node: NodeName
) -> NodeFiles:
    """The exact files of a node in a revision, secrets masked."""
    return await history.node_files(desk, cluster, number, node)


@router.get("/revisions/{number}/diff/{other}", operation_id="revision_diff")
async def revision_diff(
    desk: AtDesk, who: Reading, cluster: ClusterName, number: RevisionNumber, other: RevisionNumber
) -> RevisionDiff:
    """Two revisions compared, and what going from one to the other would do."""
    return await history.revision_diff(desk, cluster, number, other)


@router.get("/revisions/{number}/rollback", operation_id="plan_rollback")
async def plan_rollback(desk: AtDesk, who: Planning, cluster: ClusterName, number: RevisionNumber) -> ProposalView:
    """What going back to a revision would do to what the nodes are to run now; nothing is written."""
    return await revisions.plan_rollback(desk, cluster, number)


@router.post("/rollback", operation_id="rollback", status_code=201)
async def rollback(desk: AtDesk, who: Applying, cluster: ClusterName, asked: RollbackRequest) -> Applied:
    """A new revision with the content of an old one, through the same plan and rollout."""
    return await revisions.rollback(desk, cluster, asked)
