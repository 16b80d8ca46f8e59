"""A cluster's newest spec beside what its nodes last said: what pages are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from holdfast.protocol.api.status import ClusterStatus
from holdfast.spec.cluster import ClusterSpec
from holdfast.store.store import Store

from .desk import known_cluster
from .reading import spec_of
from .reports import Heard, latest
from .status import status


@dataclass(frozen=True)
class Situation:
    """`spec` is the newest revision's, None while there is none; `heard` is every node's last report."""

    told: ClusterStatus
    spec: ClusterSpec | None
    heard: Mapping[str, Heard]

    @cached_property
    def connected(self) -> frozenset[str]:
        """The nodes whose last report is still so."""
        return frozenset(node.node for node in self.told.nodes if node.connected)


async def situation(store: Store, cluster: str) -> Situation:
    """The cluster as it is meant and as it is seen; NotFound."""
    known = await known_cluster(store, cluster)
    told = await status(store, cluster)
    loaded = await spec_of(store, cluster, told.newest) if told.newest else None
    return Situation(told, loaded.spec if loaded else None, await latest(known))
