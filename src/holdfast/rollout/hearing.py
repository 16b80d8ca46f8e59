"""What nodes say in a rollout, and for how long they may say nothing: a record in, a record out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from holdfast.errors import HoldfastError
from holdfast.protocol import AgentReport, NodeStatus, Progress

from . import carry
from .asking import Asking
from .carry import Changed
from .decide import GOING_BACK, STAGED, NodePhase
from .judge import Verdict, after, badly_ended
from .news import News
from .orders import Looked
from .records import NodeState, RolloutRecord, RolloutStore
from .waves import MOST_TOGETHER

MOST_TOLD = MOST_TOGETHER  # nodes in one commit: each takes an assignment and an event
_WITHOUT_THE_WORD = STAGED | {NodePhase.STAGING_BACK, NodePhase.READY_BACK}


@dataclass(frozen=True)
class Patience:
    """In seconds: how long an agent may be silent, how long it may work, how long a question waits for it.

    An agent whose controller has just died takes a while until it has found another one. Of nodes that change in one
    moment: how long one may stage while others wait for it, how long it may take until it acts upon the word, and how
    long it may take until each of their groups has one holder.
    """

    accept_s: float = 45.0
    apply_s: float = 150.0
    ask_s: float = 30.0
    stage_s: float = 60.0
    go_s: float = 20.0
    holders_s: float = 20.0


class _Deadline(NamedTuple):
    """When a node's time is over, on the event loop's clock; of which assignment, and what is waited for."""

    number: int
    what: str
    at: float


class Hearing:
    """One process's part: times are its own, and a successor begins to wait anew."""

    def __init__(self, kept: RolloutStore, news: News, asking: Asking, patience: Patience) -> None:
        self._kept, self._news, self._asking, self._patience = kept, news, asking, patience
        self._deadlines: dict[str, _Deadline] = {}
        self._gone: set[tuple[str, int]] = set()  # nodes that the word has reached, with the number that it was about

    def first_deadline(self, record: RolloutRecord, nodes: tuple[str, ...]) -> float:
        """When the time of the first of these nodes is over, on the event loop's clock. After `from_all`."""
        return min(self._deadlines[node].at for node in nodes if not _is_ready(record.nodes[node]))

    async def from_all(self, record: RolloutRecord, nodes: tuple[str, ...], *, quiet: bool = False) -> Changed:
        """What these nodes have said since, up to so much as one commit takes; `quiet`: with no event for each step."""
        changed = Changed(record)
        for node in nodes:
            if len(changed.events) < MOST_TOLD:
                news = await self._news_of(changed.record, node, quiet=quiet)
                changed = carry.both(changed, news) if news else changed
        return changed

    async def _news_of(self, record: RolloutRecord, node: str, *, quiet: bool) -> Changed | None:
        state = record.nodes[node]
        report = self._news.report(node)
        identity = self._kept.store.identity
        if report is not None and not carry.is_about(report, state, identity.store_id, identity.epoch):
            report = None
        progress = report.progress if report else None
        if report is None or progress is None:
            return await self._silent(record, node)
        if progress is Progress.VERIFIED:
            return await self._verified(record, node, report)
        if progress in carry.OTHERWISE:
            verdict = badly_ended(node, progress, report.applied, going_back=state.phase in GOING_BACK)
            return carry.judged(record, node, verdict, self._now(), progress, report.applied)
        if state.phase in _WITHOUT_THE_WORD:
            return await self._staging(record, node, progress)
        if progress is not state.progress:
            return carry.progressed(record, node, progress, self._now(), quiet=quiet)
        if progress is Progress.WRITTEN and _goes_together(record, node):
            return await self._after_the_word(record, node)
        return await self._overdue(record, node, "work", self._patience.apply_s)

    async def _silent(self, record: RolloutRecord, node: str) -> Changed | None:
        state = record.nodes[node]
        if _is_ready(state):
            return None  # it was asked, and is again before the word
        if state.progress is Progress.WRITTEN and _goes_together(record, node):
            return await self._after_the_word(record, node)
        return await self._overdue(record, node, "accept", self._patience.accept_s)

    async def _after_the_word(self, record: RolloutRecord, node: str) -> Changed | None:
        """Others go on meanwhile: so it is asked soon whether the word has reached it. Then it may take its time."""
        state = record.nodes[node]
        if (node, state.number) in self._gone:
            return await self._overdue(record, node, "work", self._patience.apply_s)
        if not self.time_is_over(node, state, "go", self._patience.go_s):
            return None
        looked = await self._asking.look(node)
        if isinstance(looked, Looked) and not self.is_waiting(state, looked):
            self._gone.add((node, state.number))
            return await self._overdue(record, node, "work", self._patience.apply_s)
        hint = looked.hint if isinstance(looked, HoldfastError) else "is it connected? what does its agent log?"
        said = f"the word to go did not reach {node} within {self._patience.go_s:.0f} s"
        return self.lost(record, node, said, hint)

    async def _staging(self, record: RolloutRecord, node: str, progress: Progress) -> Changed | None:
        """One that waits for the word, or will."""
        state = record.nodes[node]
        if _is_ready(state):
            again = progress is Progress.ACCEPTED
            return carry.not_ready(record, node, progress, self._now()) if again else None
        if progress is Progress.WRITTEN:
            return carry.ready(record, node, self._now())
        if progress is not state.progress:
            return carry.progressed(record, node, progress, self._now())
        return await self._overdue(record, node, "stage", self._patience.stage_s)

    async def _verified(self, record: RolloutRecord, node: str, report: AgentReport) -> Changed:
        state = record.nodes[node]
        if state.phase in GOING_BACK:
            verdict = Verdict(NodePhase.PUT_BACK)
        elif state.keeps:
            verdict = self._kept_all(record, node, report.status or _status(await self._asking.look(node)))
        else:
            verdict = Verdict(NodePhase.VERIFIED)
        return carry.judged(record, node, verdict, self._now(), Progress.VERIFIED, report.applied)

    def _kept_all(self, record: RolloutRecord, node: str, status: NodeStatus | HoldfastError) -> Verdict:
        if isinstance(status, HoldfastError):
            return Verdict(NodePhase.REGRESSED, status.message, status.hint)
        return after(node, record.nodes[node].keeps, record.nodes[node].held, status)

    async def _overdue(self, record: RolloutRecord, node: str, what: str, patience: float) -> Changed | None:
        """None while there is time. Then the node is asked once: what it runs counts, not that a report got lost."""
        state = record.nodes[node]
        if not self.time_is_over(node, state, what, patience):
            return None
        back = state.phase in GOING_BACK
        looked = await self._asking.look(node)
        status = _status(looked)
        wanted = state.old if back else state.new
        if isinstance(status, NodeStatus) and status.digest == wanted and not status.interrupted:
            verdict = Verdict(NodePhase.PUT_BACK) if back else self._kept_all(record, node, status)
            return carry.judged(record, node, verdict, self._now())
        if state.phase in _WITHOUT_THE_WORD and self.is_waiting(state, looked):
            return carry.ready(record, node, self._now())
        said = "take its old state again" if back else f"apply revision {record.revision}"
        hint = (
            looked.hint if isinstance(looked, HoldfastError) else "what does its agent log? It tells what it waits for"
        )
        return self.lost(record, node, f"{node} did not {said} within {patience:.0f} s", hint)

    def time_is_over(self, node: str, state: NodeState, what: str, patience: float) -> bool:
        """The first time that one is asked for, it begins."""
        now = asyncio.get_running_loop().time()
        deadline = self._deadlines.get(node)
        if deadline is None or (deadline.number, deadline.what) != (state.number, what):
            deadline = self._deadlines[node] = _Deadline(state.number, what, now + patience)
        return now >= deadline.at

    def is_waiting(self, state: NodeState, one: Looked | HoldfastError) -> bool:
        """Whether a node that was asked is staged with what it was told last, and waits for the word."""
        return isinstance(one, Looked) and one.waiting == self._kept.fence(state.number)

    def lost(self, record: RolloutRecord, node: str, message: str, hint: str) -> Changed:
        """The record with a node of which nobody knows how it is."""
        return carry.judged(record, node, Verdict(NodePhase.LOST, message, hint), self._now())

    def _now(self) -> datetime:
        return self._kept.store.clock.now()


def _status(looked: Looked | HoldfastError) -> NodeStatus | HoldfastError:
    return looked.status if isinstance(looked, Looked) else looked


def _is_ready(state: NodeState) -> bool:
    return state.phase in (NodePhase.READY, NodePhase.READY_BACK)


def _goes_together(record: RolloutRecord, node: str) -> bool:
    return any(batch.at_once and node in batch.nodes for batch in record.batches)
