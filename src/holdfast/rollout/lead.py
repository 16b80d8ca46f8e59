"""Carries a rollout out over the store: the thin loop around `decide` that any leader can take up where another fell.

All that was decided is in the rollout's record, which is written together with what nodes are told, in one commit that
fails when the lead was lost. So at any moment there is exactly one thing that comes next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from holdfast.errors import Conflict, HoldfastError, LeaseLost, PlanRefused, StoreDamaged, StoreError, StoreUnsure
from holdfast.plan import Plan, make_plan
from holdfast.protocol import AgentReport, Bundle, NodeStatus, Progress
from holdfast.store.collection import Versioned
from holdfast.store.holding import Held
from holdfast.store.store import Store

from . import carry
from .bundles import Bundles
from .carry import Changed
from .decide import Apply, NodePhase, Pause, PutBack, Stop, Wait, decide
from .judge import Verdict, after, badly_ended, groups_held, nothing
from .news import News
from .orders import Orders
from .propose import rollout_in
from .records import KEPT_ROLLOUTS, RolloutPhase, RolloutRecord, RolloutStore, Wish
from .waves import batches, refuse_forbidden

_MOST_TOLD = 30  # nodes in one commit: each takes an assignment and an event
_MOST_ASKED = 16  # at a time: each waits at a watch of its own
_GATHER_S = 0.1
_AGAIN_S = 0.05


@dataclass(frozen=True)
class Patience:
    """In seconds: how long an agent may be silent, how long it may work, how long a question waits for it.

    An agent whose controller has just died takes a while until it has found another one.
    """

    accept_s: float = 45.0
    apply_s: float = 150.0
    ask_s: float = 30.0


async def run_rollout(
    store: Store, cluster: str, rollout: int, held: Held, patience: Patience | None = None
) -> RolloutRecord:
    """Carry a rollout out to its end, from wherever it is; returns its record.

    LeaseLost as soon as `held` is not ours any more, StoreUnavailable without a store: whoever leads then calls it
    again. NotFound if there is no such rollout.
    """
    kept = RolloutStore(store, cluster)
    async with News(kept, rollout) as news:
        leading = _Leading(kept, held, news, patience or Patience())
        while True:
            news.read()
            found = await rollout_in(kept, rollout)
            if found.record.phase.ended:
                await leading.tidy_up(found.record)
                return found.record
            try:
                await leading.go_on(found)
            except Conflict as conflict:
                if conflict.key == held.guard.key:
                    raise LeaseLost(
                        f"rollout {rollout} of {cluster} is led by somebody else by now", "it goes on there"
                    ) from None
                await asyncio.sleep(_AGAIN_S)  # somebody changed the record; what is there now counts
            except StoreUnsure:
                await asyncio.sleep(_AGAIN_S)  # what is there now tells whether it happened


class _Deadline(NamedTuple):
    """When a node's time is over, on the event loop's clock; of which assignment, and whether its agent was heard."""

    number: int
    heard: bool
    at: float


class _Leading:
    """One process's part in a rollout: it keeps nothing that a successor would need."""

    def __init__(self, kept: RolloutStore, held: Held, news: News, patience: Patience) -> None:
        self._kept, self._held, self._news, self._patience = kept, held, news, patience
        self._store = kept.store
        self._orders = Orders(kept, f"controller {held.holding.holder}")
        self._bundles = Bundles(kept.store, kept.name)
        self._asking = asyncio.Semaphore(_MOST_ASKED)
        self._deadlines: dict[str, _Deadline] = {}

    async def go_on(self, found: Versioned[RolloutRecord]) -> None:
        """Do the next thing, or wait until there is one. What is written makes the next call do the one after it."""
        record = found.record
        if record.phase is RolloutPhase.PROPOSED:
            await self._write(found, await self._begun(record))
            return
        match decide(carry.state_of(record)):
            case Apply(nodes=nodes):
                await self._write(found, await self._told(record, nodes[:_MOST_TOLD]))
            case PutBack(nodes=nodes):
                await self._write(found, carry.told_to_go_back(record, nodes[:_MOST_TOLD], self._now()))
            case Wait(nodes=nodes):
                await self._wait(found, nodes)
            case Pause():
                if not record.paused:
                    await self._write(found, carry.paused(record, self._now()))
                await self._news.wait()
            case Stop(succeeded=succeeded):
                if succeeded:
                    await self._bring_along(record)
                await self._write(found, carry.finished(record, succeeded, self._now()))

    async def tidy_up(self, record: RolloutRecord) -> None:
        """Let go of what is old. That this fails is no reason to call a rollout failed; the next one does it."""
        with suppress(StoreError):
            await self._bundles.drop_old(record.revision)
            old = await self._kept.rollout(record.id - KEPT_ROLLOUTS) if record.id > KEPT_ROLLOUTS else None
            if old is not None:
                await self._kept.rollouts.delete(old.name, old.version)

    # ---- the beginning ------------------------------------------------------------------------------------------

    async def _begun(self, record: RolloutRecord) -> Changed:
        """Nothing is touched yet, so anything that stands in the way refuses the whole rollout."""
        away = [node for node, state in record.nodes.items() if state.phase is NodePhase.AWAY]
        try:
            if record.wish is not Wish.GO_ON:
                raise PlanRefused("it was stopped before it began")
            plan = await self._plan(record)
            refuse_forbidden(plan, frozenset(record.options.forbidden))
            statuses = await self._statuses([node for node in record.nodes if node not in away])
            for node, status in statuses.items():
                if isinstance(status, HoldfastError):
                    hint = f"{status.hint}; or do not wait for it: --without {node}"
                    raise PlanRefused(f"{status.message}; no node was touched", hint)
            held = {node: len(groups_held(s)) for node, s in statuses.items() if isinstance(s, NodeStatus)}
            drawn = batches(
                plan,
                held,
                at_a_time=record.options.at_a_time,
                first_alone=record.options.pause_after_first,
                away=away,
            )
        except (PlanRefused, StoreDamaged) as error:
            return carry.refused(record, error.message, error.hint, self._now())
        return carry.begun(record, plan, drawn, self._now())

    async def _plan(self, record: RolloutRecord) -> Plan:
        """The plan anew, from what the nodes run and shall run: nodes that do not change are members of groups, too."""
        assigned = {one.name: one.record.digest for one in await self._kept.assignments.all()}
        old = {**assigned, **{node: state.old for node, state in record.nodes.items()}}
        new = {**assigned, **{node: state.new for node, state in record.nodes.items()}}
        content = {digest: await self._content(digest) for digest in {*old.values(), *new.values()}}
        return await asyncio.to_thread(make_plan, _there(old, content), _there(new, content))

    async def _content(self, digest: str) -> Bundle:
        bundle = await self._bundles.get(digest)
        if bundle is None:
            raise StoreDamaged(
                f"the bundle {digest[:12]} that a node has or shall have is not in the store", "restore a dump of it"
            )
        return bundle

    async def _statuses(self, nodes: Iterable[str]) -> Mapping[str, NodeStatus | HoldfastError]:
        names = tuple(nodes)
        return dict(zip(names, await asyncio.gather(*(self._status(node) for node in names)), strict=True))

    async def _status(self, node: str) -> NodeStatus | HoldfastError:
        try:
            async with self._asking:
                return await self._orders.status(node, self._patience.ask_s)
        except StoreError:
            raise  # that is not the node's fault
        except HoldfastError as error:
            return error

    # ---- node by node -------------------------------------------------------------------------------------------

    async def _told(self, record: RolloutRecord, nodes: tuple[str, ...]) -> Changed:
        """Who does not answer is told nothing, and nobody else is told anything then."""
        statuses = await self._statuses(nodes)
        lost = Changed(record)
        for node, status in statuses.items():
            if isinstance(status, HoldfastError):
                verdict = Verdict(NodePhase.LOST, status.message, status.hint)
                lost = carry.both(lost, carry.judged(lost.record, node, verdict, self._now()))
        if lost.events:
            return lost
        held = {node: groups_held(status) for node, status in statuses.items() if isinstance(status, NodeStatus)}
        return carry.told(record, nodes, held, self._now())

    async def _wait(self, found: Versioned[RolloutRecord], nodes: tuple[str, ...]) -> None:
        """Until one of the nodes came further, somebody changed the record, or the time of one is over.

        Where many change at a time, what they say is gathered for a moment, and on their way only the record tells.
        """
        many = len(nodes) > _MOST_TOLD
        if many:
            await asyncio.sleep(_GATHER_S)
        changed = Changed(found.record)
        for node in nodes:
            if len(changed.events) < _MOST_TOLD:
                news = await self._news_of(changed.record, node, quiet=many)
                changed = carry.both(changed, news) if news else changed
        if changed.record is not found.record:
            await self._write(found, changed)
            return
        now = asyncio.get_running_loop().time()
        first = min(self._deadlines[node].at for node in nodes)
        await self._news.wait(max(first - now, _AGAIN_S))

    async def _news_of(self, record: RolloutRecord, node: str, *, quiet: bool) -> Changed | None:
        state = record.nodes[node]
        report = self._news.report(node)
        identity = self._store.identity
        if report is not None and not carry.is_about(report, state, identity.store_id, identity.epoch):
            report = None
        progress = report.progress if report else None
        if report is None or progress is None:
            return await self._overdue(record, node, self._patience.accept_s, heard=False)
        if progress is Progress.VERIFIED:
            return await self._verified(record, node, report)
        if progress in carry.OTHERWISE:
            back = state.phase is NodePhase.PUTTING_BACK
            verdict = badly_ended(node, progress, report.applied, going_back=back)
            return carry.judged(record, node, verdict, self._now(), progress, report.applied)
        if progress is not state.progress:
            return carry.progressed(record, node, progress, self._now(), quiet=quiet)
        return await self._overdue(record, node, self._patience.apply_s, heard=True)

    async def _verified(self, record: RolloutRecord, node: str, report: AgentReport) -> Changed:
        state = record.nodes[node]
        if state.phase is NodePhase.PUTTING_BACK:
            verdict = Verdict(NodePhase.PUT_BACK)
        elif state.keeps:
            verdict = self._kept_all(record, node, report.status or await self._status(node))
        else:
            verdict = Verdict(NodePhase.VERIFIED)
        return carry.judged(record, node, verdict, self._now(), Progress.VERIFIED, report.applied)

    def _kept_all(self, record: RolloutRecord, node: str, status: NodeStatus | HoldfastError) -> Verdict:
        if isinstance(status, HoldfastError):
            return Verdict(NodePhase.REGRESSED, status.message, status.hint)
        return after(node, record.nodes[node].keeps, record.nodes[node].held, status)

    async def _overdue(self, record: RolloutRecord, node: str, patience: float, *, heard: bool) -> Changed | None:
        """None while there is time. Then the node is asked once: what it runs counts, not that a report got lost."""
        state = record.nodes[node]
        now = asyncio.get_running_loop().time()
        deadline = self._deadlines.get(node)
        if deadline is None or (deadline.number, deadline.heard) != (state.number, heard):
            deadline = self._deadlines[node] = _Deadline(state.number, heard, now + patience)
        if now < deadline.at:
            return None
        back = state.phase is NodePhase.PUTTING_BACK
        status = await self._status(node)
        wanted = state.old if back else state.new
        if isinstance(status, NodeStatus) and status.digest == wanted and not status.interrupted:
            verdict = Verdict(NodePhase.PUT_BACK) if back else self._kept_all(record, node, status)
            return carry.judged(record, node, verdict, self._now())
        what = "take its old state again" if back else f"apply revision {record.revision}"
        hint = (
            status.hint if isinstance(status, HoldfastError) else "what does its agent log? It tells what it waits for"
        )
        return carry.judged(
            record, node, Verdict(NodePhase.LOST, f"{node} did not {what} within {patience:.0f} s", hint), self._now()
        )

    # ---- writing ------------------------------------------------------------------------------------------------

    async def _write(self, found: Versioned[RolloutRecord], changed: Changed) -> None:
        """The record, what nodes are told and the events: all of it or nothing, and only while we lead."""
        kept, now = self._kept, self._now()
        head, version = await kept.head()
        numbers = {node: head.last_number + at for at, (node, _) in enumerate(changed.tells, 1)}
        record = carry.numbered(changed.record, numbers)
        steps = [kept.rollouts.replacing(found.name, record, found.version)]
        for node, back in changed.tells:
            present = await kept.assignments.get(node)
            told = carry.assignment(record, node, numbers[node], back, now)
            steps.append(kept.assignments.replacing(node, told, present.version if present else 0))
        if numbers or record.phase.ended:
            running = None if record.phase.ended else head.running
            last = head.last_number + len(numbers)
            steps.append(
                kept.heads.replacing(
                    kept.HEAD, head.model_copy(update={"last_number": last, "running": running}), version
                )
            )
        await self._store.commit(*steps, events=changed.events, guard=self._held)

    async def _bring_along(self, record: RolloutRecord) -> None:
        """Nodes for which nothing changed, or that are away, are of this revision, too; piece by piece."""
        listed = await self._bundles.of_revision(record.revision) or {}
        present = {one.name: one.record for one in await self._kept.assignments.all()}
        due = carry.brought_along(record, listed, present)
        names = sorted(due)
        for start in range(0, len(names), _MOST_TOLD):
            await self._bring(record, {node: due[node] for node in names[start : start + _MOST_TOLD]})

    async def _bring(self, record: RolloutRecord, digests: Mapping[str, str]) -> None:
        kept = self._kept
        head, version = await kept.head()
        last = head.last_number + len(digests)
        steps = [kept.heads.replacing(kept.HEAD, head.model_copy(update={"last_number": last}), version)]
        for number, (node, digest) in enumerate(digests.items(), head.last_number + 1):
            present = await kept.assignments.get(node)
            told = carry.of_revision(record, node, number, digest, self._now())
            steps.append(kept.assignments.replacing(node, told, present.version if present else 0))
        await self._store.commit(*steps, guard=self._held)

    def _now(self) -> datetime:
        return self._store.clock.now()


def _there(digests: Mapping[str, str], content: Mapping[str, Bundle]) -> dict[str, Bundle]:
    """Bundles by node; a node on which nothing of Holdfast's runs has none."""
    found = {node: content[digest] for node, digest in digests.items()}
    return {node: bundle for node, bundle in found.items() if bundle != nothing(bundle.cluster, node)}
