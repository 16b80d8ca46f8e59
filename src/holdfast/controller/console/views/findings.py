"""What will go wrong with a cluster, and the rules that say so."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from ...api.answers import ClusterName
from ...callers import Allowed, AtDesk
from ...identity import Action, Person
from ...operations import findings, rules
from ...operations.desk import Desk
from ..navigation import PREFIX
from ..pages import Console
from ..pictures.findings import SEVERITIES, findings_of

router = APIRouter(
    prefix=f"{PREFIX}/clusters/{{cluster}}/findings", include_in_schema=False, default_response_class=HTMLResponse
)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Severity = Annotated[str, Query(max_length=10)]
Code = Annotated[str, Path(max_length=40)]
_LIST = "findings/list.html"


@router.get("", name="console_findings")
async def listed(page: Console, desk: AtDesk, who: Reading, cluster: ClusterName, severity: Severity = "") -> Response:
    """The whole page."""
    found = await page.shared_text(_LIST, severity, lambda: _list(desk, cluster, severity))
    title = page.words.say("Findings")
    return await page.show("findings/page.html", here="findings", title=title, list=found)


@router.get("/list", name="console_findings_list")
async def part(page: Console, desk: AtDesk, who: Reading, cluster: ClusterName, severity: Severity = "") -> Response:
    """The part that changes."""
    return await page.shared_part(_LIST, severity, lambda: _list(desk, cluster, severity))


async def _list(desk: Desk, cluster: str, severity: str) -> dict[str, object]:
    severity = severity if severity in SEVERITIES else ""
    told = await findings.findings(desk, cluster)
    return {"picture": findings_of(told, severity), "severity": severity, "severities": SEVERITIES}


@router.get("/rules/{code}", name="console_rule")
async def rule(page: Console, who: Reading, cluster: ClusterName, code: Code) -> Response:
    """What a rule finds, with a bad and a good example."""
    found = rules.rule_view(code)
    return await page.show(
        "findings/rule.html", here="findings", title=found.id, rule=found, severities=SEVERITIES,
        comment=f"# holdfast: ignore[{found.id}] ",
    )  # fmt: skip
