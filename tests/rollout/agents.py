"""Agents that exist in memory only: they hear and speak through the store, as real ones do by way of a controller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.rollout.bundles import bundle

from holdfast.bundle import Bundle
from holdfast.protocol import (
    AgentReport,
    Answer,
    ApplyReport,
    Failure,
    GroupFacts,
    MoveReport,
    NodeStatus,
    Outcome,
    Progress,
    ServiceFacts,
    Verb,
)
from holdfast.rollout.bundles import Bundles
from holdfast.rollout.records import AnswerRecord, Assignment, OrderRecord, RolloutStore
from holdfast.store.models import NodeRecord, NodeReport
from holdfast.store.store import Store


@dataclass
class Agents:
    """What each node runs, and what went on there. `refuses` holds (node, revision) pairs that its programs refuse."""

    store: Store
    holders: dict[str, str | None]
    cluster: str = "shop"
    refuses: set[tuple[str, int]] = field(default_factory=set)
    breaks: set[tuple[str, int]] = field(default_factory=set)  # neither the new nor the old state runs then
    dies: set[tuple[str, int]] = field(default_factory=set)  # as soon as it is told this revision
    silent: set[str] = field(default_factory=set)  # they hear nothing, and say nothing
    mute: set[str] = field(default_factory=set)  # they do as they are told, and their reports get lost
    paused: set[str] = field(default_factory=set)
    pauses_meanwhile: set[str] = field(default_factory=set)  # once they have answered that they are not
    restarts: set[str] = field(default_factory=set)  # once, while they wait for the word
    deaf: set[str] = field(default_factory=set)  # of a version that does not know of the word
    older: set[str] = field(default_factory=set)  # of a version that knows no lists of servers
    dies_ready: set[str] = field(default_factory=set)  # as soon as they have said that they are
    unhearing: set[str] = field(default_factory=set)  # the word does not reach them, all else does
    both_hold: set[int] = field(default_factory=set)  # at these revisions every node holds every group
    waiting: dict[str, int] = field(default_factory=dict)  # node → the number that it waits with
    too_early: list[str] = field(default_factory=list)  # nodes that went while another one was not ready
    loses: dict[str, str] = field(default_factory=dict)  # node → group that it loses when it changes
    running: dict[str, Bundle] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    busy: set[str] = field(default_factory=set)
    most_busy: set[frozenset[str]] = field(default_factory=set)
    _seen: dict[str, Assignment] = field(default_factory=dict)
    _words: dict[str, asyncio.Event] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kept = RolloutStore(self.store, self.cluster)
        self.bundles = Bundles(self.store, self.cluster)

    async def enrol(self, *nodes: str) -> None:
        for node in nodes:
            record = NodeRecord(node=node, enrolled=self.store.clock.now())
            await self.kept.cluster.nodes.create(node, record)

    @asynccontextmanager
    async def there(self) -> AsyncIterator[Agents]:
        """While they run."""
        tasks = [asyncio.create_task(self._hear_assignments()), asyncio.create_task(self._hear_orders())]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    raise result

    async def _hear_assignments(self) -> None:
        async with self.kept.assignments.watch() as updates, asyncio.TaskGroup() as group:
            async for update in updates:
                for node, found in update.items:
                    if found is None or node in self.silent:
                        continue
                    before = self._seen.get(node)
                    new = before is None or before.number < found.record.number
                    if new and (node, found.record.revision) in self.dies:
                        self.silent.add(node)
                        continue
                    self._seen[node] = found.record
                    self._words.setdefault(node, asyncio.Event()).set()
                    if new:
                        group.create_task(self._do(found.record))

    async def _do(self, told: Assignment) -> None:
        node = told.node
        await self._say(told, Progress.ACCEPTED)
        if node in self.paused | self.pauses_meanwhile:
            await self._say(told, Progress.PAUSED)
            return
        wanted = await self.bundles.get(told.digest)
        assert wanted is not None, "what a node is told is in the store"
        changed = node not in self.running or self.running[node].digest != told.digest
        if changed:
            self.busy.add(node)
            self.most_busy.add(frozenset(self.busy))
        refuses = (node, told.revision) in self.refuses
        if not (refuses and told.together):
            await self._say(told, Progress.WRITTEN)
        self.busy.discard(node)
        if refuses:
            failure = Failure(message="nginx refused line 7", hint="mend line 7", program_line="unknown directive")
            report = ApplyReport(node=node, outcome=Outcome.REFUSED, digest=told.digest, failure=failure)
            await self._say(told, Progress.REFUSED, report)
            return
        if (node, told.revision) in self.breaks:
            report = ApplyReport(node=node, outcome=Outcome.BROKEN, digest=told.digest)
            await self._say(told, Progress.BROKEN, report)
            return
        if changed and not await self._gets_the_word(told):
            return
        self.running[node] = wanted
        if changed:
            self.log.append(f"{node} {told.revision}")
            lost = self.loses.pop(node, None)
            if lost is not None:
                self.holders[lost] = None
        outcome = Outcome.COMMITTED if changed else Outcome.UNCHANGED
        report = ApplyReport(node=node, outcome=outcome, digest=told.digest)
        await self._say(told, Progress.APPLIED)
        await self._say(told, Progress.VERIFIED, report, self.status(node))

    async def _gets_the_word(self, told: Assignment) -> bool:
        """As of a real agent: whether it goes on, or was told something else."""
        node, word = told.node, self._words[told.node]
        if not told.together or node in self.deaf:
            return True
        self.waiting[node] = told.number
        if node in self.dies_ready:
            self.silent.add(node)
            return False
        if node in self.restarts:
            self.restarts.discard(node)
            self.waiting.pop(node)
            await self._say(told, Progress.ACCEPTED)
            await asyncio.sleep(3)
            self.waiting[node] = told.number
            await self._say(told, Progress.WRITTEN)
        while self._seen[node].number == told.number and (not self._seen[node].go or node in self.unhearing):
            word.clear()
            await word.wait()
        ready = {each for each, number in self.waiting.items() if self._seen[each].number == number}
        ready |= {each for each, at in self._seen.items() if at.go and self.running[each].digest == at.digest}
        if self._seen[node].number == told.number and ready != {each for each, at in self._seen.items() if at.together}:
            self.too_early.append(node)
        self.waiting.pop(node, None)
        return self._seen[node].number == told.number

    async def say_again(self, node: str) -> None:
        """A report without news, as agents send them now and then."""
        await self._say(self._seen[node], Progress.VERIFIED, status=self.status(node))

    async def _say(
        self, told: Assignment, progress: Progress, applied: ApplyReport | None = None, status: NodeStatus | None = None
    ) -> None:
        if told.node in self.mute:
            return
        report = AgentReport(
            node=told.node,
            time=self.store.clock.now(),
            fence=self.kept.fence(told.number),
            revision=told.revision,
            progress=progress,
            applied=applied,
            status=status,
            knows_lists=told.node not in self.older,
        )
        record = NodeReport(
            node=told.node,
            time=report.time,
            epoch=self.store.identity.epoch,
            revision=told.revision,
            state=progress,
            content=report.model_dump_json(),
        )
        await self.kept.cluster.report(record)
        await asyncio.sleep(0)

    def status(self, node: str) -> NodeStatus:
        """The node as it is."""
        present = self.running.get(node)
        if present is None:
            return NodeStatus(node=node)
        both = self._seen[node].revision in self.both_hold if node in self._seen else False
        groups = tuple(
            GroupFacts(group=each.group, vrid=each.vrid, holds=self.holders.get(each.group) == node or both)
            for each in present.expected.vrrp
        )
        services = tuple(ServiceFacts(service=service, running=True) for service in present.services)
        return NodeStatus(node=node, digest=present.digest, groups=groups, services=services)

    async def _hear_orders(self) -> None:
        async with self.kept.orders.watch() as updates:
            async for update in updates:
                for _, found in update.items:
                    if found is not None and found.record.node not in self.silent:
                        await self._answer(found.record)

    async def _answer(self, asked: OrderRecord) -> None:
        node, order = asked.node, asked.order
        moved = None
        if order.verb is not Verb.STATUS:
            assert order.group is not None
            self.log.append(f"{order.verb} {order.group} on {node}")
            moved = MoveReport(group=order.group, moved=True)
            if order.verb is Verb.MOVE:
                others = [other for other in sorted(self.running) if other != node]
                self.holders[order.group] = others[0] if others else None
        waits = self.waiting.get(node)
        answer = Answer(
            order=order.id,
            node=node,
            moved=moved,
            status=None if moved else self.status(node),
            heeds_word=node not in self.deaf,
            knows_lists=node not in self.older,
            waiting=self.kept.fence(waits) if waits is not None else None,
            paused=node in self.paused,
        )
        record = AnswerRecord(node=node, answer=answer, time=self.store.clock.now())
        await self.kept.answers.create(order.id, record, await self.store.engine.grant(60))


def revision_of(text: str, nodes: Mapping[str, tuple[tuple[str, int], ...]]) -> dict[str, Bundle]:
    """Bundles of a revision: `text` is what changes from one to the next, `nodes` their groups with priorities."""
    return {node: bundle(node, text, groups) for node, groups in nodes.items()}


PAIR = {"lb01": (("www", 250),), "lb02": (("www", 245),)}
