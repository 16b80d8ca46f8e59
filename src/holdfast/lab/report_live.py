"""What a report says of virtual servers: live connections, and new ones against the weights (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from holdfast.lab.origins import asked_ports
from holdfast.lab.traffic_virtual import listener_name
from holdfast.lab.verdict import StepResult
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.resolve_lvs import taken_by


def live_data(steps: Iterable[StepResult]) -> dict[str, int]:
    """Totals over all steps."""
    found = [step.live for step in steps]
    return {"cut": sum(live.cut for live in found), "live_at_most": max((live.live for live in found), default=0)}


def share_data(spec: ClusterSpec, steps: Iterable[StepResult]) -> dict[str, Any]:
    """By listener of a virtual server: what each server has had of the new connections, and its share by weight.

    Counted in the steps in which nothing was broken or drained on purpose. The weights are the spec's. Behind a tier of
    proxies the answers name their servers, which have no weights here.
    """
    counted: dict[str, Counter[str]] = {}
    for step in steps:
        if step.name in _UNDISTURBED:
            for name, shares in step.live.shares.items():
                counted.setdefault(name, Counter()).update(shares)
    return {
        name: {
            "virtual_server": source,
            "scheduler": spec.virtual_servers[source].scheduler.name,
            "persistence": spec.virtual_servers[source].persistence is not None,
            "servers": _servers(spec, source, port, counted.get(name, Counter())),
        }
        for name, (source, port) in _listeners(spec).items()
    }


_UNDISTURBED = ("steady traffic",)


def _listeners(spec: ClusterSpec) -> dict[str, tuple[str, int]]:
    found: dict[str, tuple[str, int]] = {}
    for source, virtual in spec.virtual_servers.items():
        for taken in taken_by(spec, source):
            for port in asked_ports(taken):
                found.setdefault(listener_name(str(taken.address), port, virtual.protocol), (source, port))
    return found


def _servers(spec: ClusterSpec, source: str, port: int, counted: Mapping[str, int]) -> dict[str, dict[str, float]]:
    weights = {f"{s.host}:{s.port or port}": s.weight for s in spec.virtual_servers[source].servers}
    total, sum_of_weights = sum(counted.values()), sum(weights.values())
    return {
        name: {
            "weight": weights.get(name, 0),
            "connections": counted.get(name, 0),
            "share": round(counted.get(name, 0) / total, 4) if total else 0.0,
            "by_weight": round(weights.get(name, 0) / sum_of_weights, 4),
        }
        for name in dict.fromkeys([*weights, *counted])
    }
