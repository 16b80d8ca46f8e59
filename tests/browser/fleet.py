"""Agents that speak the real protocol with a controller, over TLS, about nodes that are made up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
from tests.browser.realtime_fleet import telling
from tests.controller.world import Agent, World

from holdfast import __version__
from holdfast.agent.overriding import overridable
from holdfast.agent.pool_servers import pooled, servers_of
from holdfast.agent.weights import weighted
from holdfast.bundle import Bundle, RealServerExpectation, Service
from holdfast.findings import Finding
from holdfast.protocol import (
    TO_AGENT,
    AgentReport,
    Answer,
    ApplyReport,
    Desired,
    Drift,
    Failure,
    GroupFacts,
    MoveReport,
    NodeStatus,
    Order,
    Outcome,
    OverrideReport,
    Overrides,
    PooledServer,
    PoolFacts,
    Progress,
    ServerFacts,
    ServiceFacts,
    TableSaid,
    Verb,
    WeighedServer,
    WhyDown,
)
from holdfast.protocol.realtime import HEEDS_HEADER, WATCH, Watch, Watching
from holdfast.sentences import Sentence, said_of

EVERY_S = 2.0
GIVEN_UP = -254
_ANSWERS = {True: "answers 200", False: Sentence("no answer within %(ms)s ms", ms=500)}  # as the prober says it


@dataclass
class Node:
    """One node: what it is to run, and how it is."""

    name: str
    agent: Agent
    desired: Desired | None = None
    bundle: Bundle | None = None
    progress: Progress | None = None
    applied: ApplyReport | None = None
    silent: bool = False
    watching: tuple[Watching, ...] = ()
    looked_at: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Fleet:
    """All nodes of a cluster. The first member of a group that is not silent and not held back holds it.

    `down` are servers as bundles name them; `pools` say which servers of a pool answer; `open` counts connections.
    """

    world: World
    nodes: dict[str, Node] = field(default_factory=dict)
    held_back: set[tuple[str, str]] = field(default_factory=set)  # group, node
    down: set[str] = field(default_factory=set)
    pools: dict[str, dict[str, bool]] = field(default_factory=dict)
    open: dict[str, int] = field(default_factory=dict)
    answers: str = "connection refused"  # what servers that are down say
    refuses: dict[str, Failure] = field(default_factory=dict)  # the next desired state of a node is, for this
    drift: dict[str, tuple[Drift, ...]] = field(default_factory=dict)  # of a node
    differs: dict[str, tuple[Finding, ...]] = field(default_factory=dict)  # a node's IPVS table from its bundle
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def join(self, admin: httpx.AsyncClient, names: Iterable[str], cluster: str) -> None:
        """Let nodes in, and connect them."""
        for name in names:
            self._connect(name, await self.world.joined(admin, name, cluster))

    async def arrive(self, name: str, token: str) -> None:
        """Somebody pasted the command on a node that nobody had let in before."""
        self._connect(name, await self.world.pasted(token))

    def _connect(self, name: str, agent: Agent) -> None:
        node = self.nodes[name] = Node(name, agent)
        self._tasks += [asyncio.create_task(self._listen(node)), asyncio.create_task(self._tell(node))]
        self._tasks.append(asyncio.create_task(telling(self, node)))

    def tell(self) -> None:
        """Every node says at once how it is."""
        for node in self.nodes.values():
            node.changed.set()

    async def close(self) -> None:
        """Nobody is connected any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def silence(self, name: str) -> None:
        """A node dies."""
        self.nodes[name].silent = True
        self.tell()

    def revive(self, name: str) -> None:
        """It comes back."""
        self.nodes[name].silent = False
        self.tell()

    def holder(self, group: str) -> str | None:
        """Who carries the addresses of a group."""
        members = [
            (each.priority, name)
            for name, node in self.nodes.items()
            for each in (node.bundle.expected.vrrp if node.bundle else ())
            if each.group == group and not node.silent and (group, name) not in self.held_back
        ]
        return max(members)[1] if members else None

    async def _listen(self, node: Node) -> None:
        while not node.agent.client.is_closed:
            with suppress(httpx.HTTPError):
                if not node.silent:
                    await self._stream(node)
            await asyncio.sleep(0.2)

    async def _stream(self, node: Node) -> None:
        async with node.agent.client.stream("GET", "/agent/v1/stream", headers={HEEDS_HEADER: WATCH}) as answer:
            async for line in answer.aiter_lines():
                if node.silent:
                    return
                told = TO_AGENT.validate_json(line)
                if isinstance(told, Desired):
                    await self._take(node, told)
                elif isinstance(told, Order):
                    await self._carry_out(node, told)
                elif isinstance(told, Watch):
                    node.watching = told.watching
                    node.looked_at.set()

    async def _take(self, node: Node, desired: Desired) -> None:
        new = node.desired is None or node.desired.digest != desired.digest
        if new:
            bundle = desired.bundle
            if bundle is None:
                answer = await node.agent.client.get(f"/agent/v1/bundles/{desired.digest}")
                bundle = Bundle.model_validate_json(answer.content)
            if node.name in self.refuses:
                self._refuse(node, desired)
                return
            node.bundle = bundle
        node.desired, node.applied = desired, None
        if new and (desired.together is None or desired.together.go):
            for progress in (Progress.ACCEPTED, Progress.WRITTEN, Progress.APPLIED):
                node.progress = progress
                await self._post(node)
        waits = desired.together is not None and not desired.together.go
        node.progress = Progress.WRITTEN if waits else Progress.VERIFIED
        self.tell()

    def _refuse(self, node: Node, desired: Desired) -> None:
        """It goes on as it was, and says why."""
        node.desired, node.progress = desired, Progress.REFUSED
        failure = self.refuses.pop(node.name)
        node.applied = ApplyReport(node=node.name, outcome=Outcome.REFUSED, digest=desired.digest, failure=failure)
        self.tell()

    async def _carry_out(self, node: Node, order: Order) -> None:
        place = (order.group or "", node.name)
        if order.verb in (Verb.MOVE, Verb.HOLD):
            self.held_back.add(place)
        elif order.verb is not Verb.STATUS:
            self.held_back.discard(place)
        said = Sentence("moved; %(n)s answers took longer than %(s)s s and were cut", n=2, s="10")
        moved = MoveReport(group=order.group, moved=True, detail=said, said=said_of(said)) if order.group else None
        knows = {"heeds_word": True, "knows_lists": True}
        answer = Answer(order=order.id, node=node.name, moved=moved, status=self.status(node), **knows)
        for each in self.nodes.values():
            await self._post(each)
        await node.agent.client.post(
            "/agent/v1/answers", content=answer.model_dump_json(), headers={"content-type": "application/json"}
        )

    async def _tell(self, node: Node) -> None:
        while not node.agent.client.is_closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await node.changed.wait()
            node.changed.clear()
            with suppress(httpx.HTTPError):
                await self._post(node)

    async def _post(self, node: Node) -> None:
        if node.silent:
            return
        report = AgentReport(
            node=node.name,
            time=datetime.now(UTC),
            agent_version=__version__,
            fence=node.desired.fence if node.desired else None,
            revision=node.desired.revision if node.desired else 0,
            progress=node.progress,
            applied=node.applied,
            status=self.status(node),
            overrides=self.table(node),
            knows_lists=True,
            drift=self.drift.get(node.name, ()),
        )
        headers = {"content-type": "application/json"}
        await node.agent.client.post("/agent/v1/reports", content=report.model_dump_json(), headers=headers)

    def status(self, node: Node) -> NodeStatus:
        """The node as it is."""
        bundle = node.bundle
        groups = tuple(
            GroupFacts(
                group=each.group,
                vrid=each.vrid,
                holds=self.holder(each.group) == node.name,
                hold=GIVEN_UP if (each.group, node.name) in self.held_back else 0,
                present=each.addresses if self.holder(each.group) == node.name else (),
                missing=() if self.holder(each.group) == node.name else each.addresses,
            )
            for each in (bundle.expected.vrrp if bundle else ())
        )
        services = bundle.services if bundle else ()
        return NodeStatus(
            node=node.name,
            digest=node.desired.digest if node.desired else None,
            services=tuple(ServiceFacts(service=each, running=True, pid=4711, state="running") for each in services),
            groups=groups,
            table=self.differs.get(node.name, ()),
            table_said=tuple(TableSaid.of(one) for one in self.differs.get(node.name, ())),
            pools=self._pools() if Service.NGINX in services else (),
        )

    def _pools(self) -> tuple[PoolFacts, ...]:
        return tuple(
            PoolFacts(
                pool=name,
                min_servers=1,
                servers=tuple(
                    ServerFacts(
                        name=one,
                        endpoint=one,
                        up=up,
                        in_use=up,
                        last=_ANSWERS[up],
                        last_said={} if up else said_of(_ANSWERS[up]),
                    )
                    for one, up in servers.items()
                ),
            )
            for name, servers in self.pools.items()
        )

    def _why(self, server: RealServerExpectation) -> WhyDown:
        """As agents tell it."""
        now = datetime.now(UTC)
        return WhyDown(
            since=now - timedelta(minutes=4),
            said=f"TCP_CHECK on service [{server.address}]:tcp:{server.port} failed after 2 retries.",
            question="tcp",
            answer=self.answers,
            answer_said=said_of(self.answers),
            asked=now,
        )

    def pooled(self, bundle: Bundle, wanted: Overrides) -> tuple[PooledServer, ...]:
        """What a node's proxies have of servers that are overridden."""
        rows = {(one.server.pool, one.server.name): one for one in pooled(bundle, wanted, datetime.now(UTC))}
        return tuple(
            PooledServer(
                pool=pool,
                engine=one.server.engine.value,
                server=name,
                kind=one.override.kind,
                wanted=one.wanted,
                weight=one.wanted,
                open=self.open.get(name, 0),
            )
            for (pool, name), one in rows.items()
            if one.override is not None
        )

    def table(self, node: Node) -> OverrideReport | None:
        """What a director's kernel has, and a node's proxies."""
        if node.bundle is None or node.desired is None or not overridable(node.bundle):
            return None
        rows = []
        for one in weighted(node.bundle, node.desired.overrides, datetime.now(UTC)):
            weight = None if one.server.name in self.down else one.wanted
            holds = self.holder(one.virtual_server.group) == node.name
            count = self.open.get(one.server.name, 0) if holds else 0
            rows.append(
                WeighedServer(
                    virtual_server=one.virtual_server.name,
                    source=one.virtual_server.source,
                    server=one.server.name,
                    kind=one.override.kind if one.override else None,
                    wanted=one.wanted,
                    weight=weight,
                    holds=holds,
                    open=count,
                    active=count if weight is not None else None,
                    inactive=0 if weight is not None else None,
                    per_s=count // 10 if weight is not None else None,
                    why=self._why(one.server) if weight is None and one.wanted else None,
                )
            )
        return OverrideReport(
            node=node.name,
            done=True,
            servers=tuple(rows),
            knows_pools=True,
            pool_names=tuple(sorted({one.pool for one in servers_of(node.bundle)})),
            pools=self.pooled(node.bundle, node.desired.overrides),
        )
