"""What the tests of operations share: a store in memory, a cluster with two balancers, and who asks."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

from holdfast.controller.identity.sealing import KeyFileSealer
from holdfast.controller.operations import clusters
from holdfast.controller.operations.desk import Desk
from holdfast.protocol.api.clusters import ClusterRequest
from holdfast.protocol.api.revisions import Applied, RevisionRequest
from holdfast.protocol.api.rollouts import RolloutOptions
from holdfast.store.memory import MemoryEngine
from holdfast.store.store import Store

T = TypeVar("T")

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)

SPEC = """\
holdfast: 1
cluster: shop   # ours
networks:
  front: {cidr: 10.0.0.0/24}
nodes: {lb01: 10.0.0.5, lb02: 10.0.0.6, web01: 10.0.0.7, web02: 10.0.0.8}
vrrp:
  www: {addresses: [10.0.0.3/24], nodes: [lb01, lb02], keeps_while: [{process: nginx}]}
pools:
  app:
    servers:
      - web01:80   # the old one
      - {address: 'web02:80', weight: 2}
sites:
  shop: {hosts: [www.example.com], routes: [{to: app}]}
proxies:
  edge: {engine: nginx, nodes: [lb01, lb02], listeners: [{on: 'www:80', sites: [shop]}]}
"""
VERSION_2 = SPEC.replace("keeps_while: [{process: nginx}]", "version: 2, keeps_while: [{process: nginx}]")
MORE_WEIGHT = SPEC.replace("weight: 2", "weight: 3")
MORE_SERVERS = SPEC.replace(
    "      - web01:80   # the old one\n", "      - web01:80   # the old one\n      - web01:81\n"
)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.wall = NOW

    def now(self) -> datetime:
        return self.wall

    def steady(self) -> float:
        return self.wall.timestamp()

    def boot(self) -> str:
        return "first"


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine."""
    return asyncio.run(coroutine)


async def new_desk(cluster: str = "shop") -> Desk:
    """A desk over an empty store that knows the cluster."""
    clock = Clock()
    store = await Store.open(MemoryEngine(clock), clock)
    desk = Desk(store, KeyFileSealer(b"k" * 32), "user:ada", "192.0.2.7")
    await clusters.make_cluster(desk, ClusterRequest(name=cluster))
    return desk


def request(spec: str, base: int, message: str = "", **options: Any) -> RevisionRequest:
    """What is posted to make a revision."""
    return RevisionRequest(spec=spec, base=base, message=message, options=RolloutOptions(**options))


async def end_rollout(desk: Desk, applied: Applied, cluster: str = "shop") -> None:
    """As if the leader had carried it out: each node is told, and the rollout has ended."""
    from holdfast.rollout.records import Assignment, RolloutPhase, RolloutStore, rollout_name

    if applied.rollout is None:
        return
    kept = RolloutStore(desk.store, cluster)
    found = await kept.rollout(applied.rollout)
    assert found is not None
    head, version = await kept.head()
    number = head.last_number
    for node, state in found.record.nodes.items():
        number += 1
        record = Assignment(
            node=node, number=number, revision=found.record.revision, digest=state.new,
            rollout=found.record.id, time=desk.now(),
        )  # fmt: skip
        present = await kept.assignments.get(node)
        await kept.assignments.replace(node, record, present.version if present else 0)
    ended = found.record.model_copy(update={"phase": RolloutPhase.SUCCEEDED, "ended": desk.now()})
    await kept.rollouts.replace(rollout_name(found.record.id), ended, found.version)
    after = head.model_copy(update={"running": None, "last_number": number})
    await kept.heads.replace(kept.HEAD, after, version)
