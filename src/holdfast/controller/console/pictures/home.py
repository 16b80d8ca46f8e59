"""A cluster among others."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.protocol.api.clusters import ClusterView
from holdfast.protocol.api.status import ClusterStatus


@dataclass(frozen=True, slots=True)
class Card:
    """A cluster in the list: `state` is ok, bad, or unknown where nobody has looked or nothing runs."""

    name: str
    description: str
    newest: int
    state: str
    troubles: int
    nodes: int


def card_of(cluster: ClusterView, status: ClusterStatus | None) -> Card:
    """What the list says of a cluster."""
    state = "unknown"
    if status is not None and status.nodes:
        state = "ok" if status.ok else "bad"
    return Card(
        name=cluster.name,
        description=cluster.description,
        newest=cluster.newest,
        state=state,
        troubles=len(status.trouble) if status else 0,
        nodes=len(status.nodes) if status else 0,
    )
