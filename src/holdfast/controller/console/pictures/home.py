"""A cluster among others."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.protocol.api.clusters import ClusterView
from holdfast.protocol.api.status import ClusterStatus, ServerHealth

from .trouble import problems_of, worst


@dataclass(frozen=True, slots=True)
class _Server:
    """A server, as far as trouble goes."""

    name: str
    state: str


@dataclass(frozen=True, slots=True)
class Card:
    """A cluster in the list: `state` is ok, warning, bad, or unknown where nobody has looked or nothing runs."""

    name: str
    description: str
    newest: int
    state: str
    troubles: int
    nodes: int


def card_of(cluster: ClusterView, status: ClusterStatus | None) -> Card:
    """What the list says of a cluster."""
    state, tones = "unknown", _tones(status) if status is not None else []
    if status is not None and status.nodes:
        state = worst(tones)
    return Card(
        name=cluster.name,
        description=cluster.description,
        newest=cluster.newest,
        state=state,
        troubles=len(tones),
        nodes=len(status.nodes) if status else 0,
    )


def _tones(status: ClusterStatus) -> list[str]:
    """Of everything that is wrong, as the overview says it; a rollout that goes on is nothing wrong."""
    rows = [(one.kind, one.name, [_Server(each.name, _state(each)) for each in one.servers]) for one in status.services]
    return [one.tone for one in problems_of(status, rows) if one.tone in ("bad", "warning")]


def _state(server: ServerHealth) -> str:
    if server.override is not None:
        return "off"
    return "unknown" if server.up is None else "ok" if server.up else "bad"
