"""A cluster's newest spec beside what its nodes last said: what pages are drawn from."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from holdfast.protocol.api.status import ClusterStatus
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.load import LoadedSpec, parse_spec
from holdfast.store.store import Store

from .compiling import content_of
from .desk import known_cluster
from .reports import Heard, latest
from .status import status

_SMALL = 20_000  # characters of a spec that is read within some milliseconds: a thread would take longer


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


async def spec_of(store: Store, cluster: str, number: int) -> LoadedSpec:
    """A revision's spec; NotFound, and SpecError where this version does not understand it any more."""
    content = await content_of(store, cluster, number)
    if len(content.spec) <= _SMALL:
        return _parsed(content.spec, f"revision {number}")
    return await asyncio.to_thread(_parsed, content.spec, f"revision {number}")


@lru_cache(maxsize=16)
def _parsed(text: str, file: str) -> LoadedSpec:
    return parse_spec(text, file)
