"""`holdfast plan` about what a controller keeps: two revisions, or a spec against what the nodes are to run now."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from holdfast.plan import Hazard
from holdfast.protocol.api.plans import ChangeView, NodeChangeView, PlanRequest, PlanView
from holdfast.spec import load_spec

from .output import print_findings, stderr
from .remote import connect
from .revision_diff import compared, numbers

LIVE = "live"


def asked_of_controller(old: str, new: str, cluster: str | None, controller: str | None) -> PlanView | None:
    """The controller's plan; None where both states are files."""
    if old == LIVE:
        loaded = load_spec(Path(new))
        of = connect(controller).cluster(cluster or loaded.spec.cluster)
        found = of.plan(PlanRequest(spec=loaded.text, file=new[-300:]))
        print_findings(found.findings, stderr())
        return found.plan
    both = numbers(old, new)
    return compared(*both, cluster, controller).plan if both else None


def document(plan: PlanView, forbidden: Collection[Hazard]) -> dict[str, Any]:
    """For machines: with the keys that a plan of two files has, as far as a controller tells it."""
    named = {hazard.slug: hazard.value for hazard in Hazard}
    return {
        "ok": not occurring(plan, forbidden),
        "changed": plan.changed,
        "class": named[plan.hazard] if plan.hazard else None,
        "classes": {named[hazard]: number for hazard, number in plan.counts.items()},
        "forbidden": [hazard.value for hazard in occurring(plan, forbidden)],
        "waves": [{"nodes": list(step.nodes), "at_once": step.at_once, "why": step.why} for step in plan.steps],
        "too_old": list(plan.too_old),
        "nodes": {node.node: _node(node, named) for node in plan.nodes},
    }


def _node(node: NodeChangeView, named: dict[str, str]) -> dict[str, Any]:
    changes = [_change(change, named) for change in node.changes]
    return {"kind": node.kind, "class": named[node.hazard], "changes": changes}


def _change(change: ChangeView, named: dict[str, str]) -> dict[str, Any]:
    return {
        "change": f"{change.where}: {change.what}" if change.what else change.where,
        "where": change.where,
        "what": change.what,
        "how": change.how,
        "class": named[change.hazard],
        "why": change.why,
        "safer": change.safer or None,
        "rule": change.rule,
        "service": change.service,
        "at_once": list(change.groups),
    }


def occurring(plan: PlanView, forbidden: Collection[Hazard]) -> list[Hazard]:
    """Of the forbidden classes, those that occur, the worst first."""
    found = [hazard for hazard in set(forbidden) if hazard.slug in plan.counts]
    return sorted(found, key=lambda hazard: -hazard.rank)


def nodes_with(plan: PlanView, hazard: Hazard) -> list[str]:
    """The nodes on which a class occurs."""
    return [node.node for node in plan.nodes if any(change.hazard == hazard.slug for change in node.changes)]
