"""Findings: what is to be said of a cluster's revisions and of what its nodes run; the rules behind them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from holdfast.protocol.api.findings import FindingsView, RuleView

from ..callers import Allowed, AtDesk
from ..identity import Action, Person
from ..operations import findings, rules
from .answers import PROBLEMS, ClusterName, RevisionNumber

router = APIRouter(prefix="/api/v1", tags=["findings"], responses=PROBLEMS)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
ReadingAnywhere = Annotated[Person, Depends(Allowed(Action.READ, anywhere=True))]
Code = Annotated[str, Path(pattern=r"^[A-Za-z]{2,12}[0-9]{3}$", examples=["VRRP101"])]


@router.get("/clusters/{cluster}/findings", operation_id="findings")
async def of_cluster(desk: AtDesk, who: Reading, cluster: ClusterName) -> FindingsView:
    """Of the newest revision, and of what the nodes run; with what agents told of their machines."""
    return await findings.findings(desk, cluster)


@router.get("/clusters/{cluster}/revisions/{number}/findings", operation_id="findings_of_revision")
async def of_revision(desk: AtDesk, who: Reading, cluster: ClusterName, number: RevisionNumber) -> FindingsView:
    """Of one revision, as lint sees it today."""
    return await findings.of_revision(desk, cluster, number)


@router.get("/rules/{code}", operation_id="rule")
async def rule(who: ReadingAnywhere, code: Code) -> RuleView:
    """What a rule finds, what would happen, what to write instead."""
    return rules.rule_view(code)
