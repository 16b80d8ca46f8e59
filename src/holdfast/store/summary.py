"""What a store holds, in a few numbers."""

from __future__ import annotations

from collections import Counter

from .models import Count, Record
from .port import Engine
from .store import read_identity


class ClusterSummary(Record):
    """A cluster, its newest revision, and how many nodes were enrolled."""

    name: str
    revision: Count
    nodes: Count


class Summary(Record):
    """`store_id` is empty for a store that was never used; `size` is in bytes."""

    kind: str
    where: str
    writable: bool
    detail: str
    revision: Count
    size: Count
    store_id: str = ""
    epoch: Count = 0
    loading: bool = False
    counts: dict[str, int] = {}
    clusters: tuple[ClusterSummary, ...] = ()


_KINDS = {"user": "users", "token": "tokens", "audit": "audit records", "event": "events", "lock": "cluster locks"}
_OF_CLUSTERS = {"revision": "revisions", "override": "overrides", "registration": "registrations", "node": "nodes"}


async def summarise(engine: Engine) -> Summary:
    """Ask a store what it holds; changes nothing. Goes through all keys: for people, not for loops."""
    health = await engine.health()
    identity, _ = await read_identity(engine)
    counts: Counter[str] = Counter()
    revisions: Counter[str] = Counter()
    nodes: Counter[str] = Counter()
    async for page in engine.snapshot(""):
        for entry in page.entries:
            _count(entry.key.split("/"), counts, revisions, nodes)
    names = sorted(revisions.keys() | nodes.keys())
    return Summary(
        kind=health.kind,
        where=health.where,
        writable=health.writable,
        detail=health.detail,
        revision=health.revision,
        size=health.size,
        store_id=identity.store_id if identity else "",
        epoch=identity.epoch if identity else 0,
        loading=identity.loading if identity else False,
        counts=dict(sorted(counts.items())),
        clusters=tuple(ClusterSummary(name=n, revision=revisions[n], nodes=nodes[n]) for n in names),
    )


def _count(parts: list[str], counts: Counter[str], revisions: Counter[str], nodes: Counter[str]) -> None:
    if parts[-1] == "head" and len(parts) > 1:  # how many there are, not one of them
        return
    if parts[0] in _KINDS:
        counts[_KINDS[parts[0]]] += 1
    elif parts[0] == "cluster" and len(parts) > 3 and parts[2] in _OF_CLUSTERS:
        counts[_OF_CLUSTERS[parts[2]]] += 1
        if parts[2] == "revision":
            revisions[parts[1]] = max(revisions[parts[1]], int(parts[-1]))
        elif parts[2] == "node":
            nodes[parts[1]] += 1
