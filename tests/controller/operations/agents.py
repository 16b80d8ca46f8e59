"""Agents in memory: they report what a test wants, and carry out orders over the store as a replica would hand them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.controller.operations.world import Clock

from holdfast.bundle import Service
from holdfast.controller.operations.desk import Desk
from holdfast.protocol import (
    AgentReport,
    Answer,
    GroupFacts,
    MoveReport,
    NodeStatus,
    OverrideKind,
    OverrideReport,
    Progress,
    ServiceFacts,
    Verb,
    WeighedServer,
)
from holdfast.rollout.records import AnswerRecord, RolloutStore
from holdfast.store.models import NodeRecord, NodeReport

GIVEN_UP = -254


@dataclass
class Members:
    """The members of one group, in order of preference: the first that is up and not held back holds it."""

    desk: Desk
    group: str
    nodes: list[str]
    cluster: str = "shop"
    held_back: set[str] = field(default_factory=set)
    down: set[str] = field(default_factory=set)
    deaf: set[str] = field(default_factory=set)  # would hold it, as far as anybody knows, and never do
    silent: set[str] = field(default_factory=set)  # nobody hears their agents
    orders: list[tuple[str, str]] = field(default_factory=list)

    @property
    def holder(self) -> str | None:
        """Who carries the addresses."""
        unable = self.held_back | self.down | self.deaf
        return next((node for node in self.nodes if node not in unable), None)

    def status(self, node: str) -> NodeStatus:
        """The node as it is."""
        facts = GroupFacts(
            group=self.group,
            vrid=51,
            holds=node == self.holder,
            hold=GIVEN_UP if node in self.held_back else 0,
        )
        running = ServiceFacts(service=Service.KEEPALIVED, running=node not in self.down)
        return NodeStatus(node=node, cluster=self.cluster, services=(running,), groups=(facts,))

    def carry_out(self, node: str, verb: Verb, order: str) -> Answer:
        """What becomes of an order."""
        self.orders.append((node, verb.value))
        if verb is Verb.STATUS:
            return Answer(order=order, node=node, status=self.status(node))
        if verb in (Verb.MOVE, Verb.HOLD):
            self.held_back.add(node)
        else:
            self.held_back.discard(node)
        return Answer(order=order, node=node, moved=MoveReport(group=self.group, moved=True))

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Their agents are connected meanwhile."""
        task = asyncio.create_task(self._listen())
        try:
            yield
        finally:
            task.cancel()

    async def _listen(self) -> None:
        kept = RolloutStore(self.desk.store, self.cluster)
        done: set[str] = set()
        async with kept.orders.watch() as updates:
            async for update in updates:
                for name, found in update.items:
                    if found is None or name in done or found.record.node in self.silent:
                        continue
                    done.add(name)
                    answer = self.carry_out(found.record.node, found.record.order.verb, name)
                    record = AnswerRecord(node=answer.node, answer=answer, time=self.desk.now())
                    await kept.answers.create(name, record)


async def enrol(desk: Desk, *nodes: str, cluster: str = "shop") -> None:
    """As if the nodes had joined."""
    for node in nodes:
        await desk.store.cluster(cluster).nodes.create(node, NodeRecord(node=node, enrolled=desk.now()))


async def report(desk: Desk, node: str, time: datetime | None = None, cluster: str = "shop", **said: object) -> None:
    """What a node's agent says, as a replica writes it down."""
    time = time or desk.now()
    told = AgentReport.model_validate({"node": node, "time": time, **said})
    kept = NodeReport(
        node=node, time=time, epoch=1, revision=told.revision, state=told.progress or "",
        content=told.model_dump_json(),
    )  # fmt: skip
    await desk.store.cluster(cluster).report(kept)


async def once_overridden(desk: Desk, cluster: str = "shop") -> None:
    """Waits until somebody has overridden something, and lets a second pass: what is reported now was seen after it."""
    while not await desk.store.cluster(cluster).overrides.all():
        await asyncio.sleep(0.01)
    clock = desk.store.clock
    assert isinstance(clock, Clock)
    clock.wall += timedelta(seconds=1)


def table(node: str, *rows: WeighedServer, holds: bool = True) -> OverrideReport:
    """A director's table."""
    return OverrideReport(node=node, done=True, servers=tuple(row.model_copy(update={"holds": holds}) for row in rows))


def row(server: str, kind: OverrideKind | None = None, weight: int | None = 1, source: str = "shop") -> WeighedServer:
    """One real server in a director's table; `server` as bundles name it (rs01-80)."""
    return WeighedServer(
        virtual_server=source, source=source, server=server, kind=kind, wanted=weight, weight=weight, open=3
    )


VERIFIED = Progress.VERIFIED
