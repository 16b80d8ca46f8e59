"""What nodes say in a rollout, and for how long they may say nothing: a record in, a record out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from holdfast.errors import HoldfastError
from holdfast.protocol import AgentReport, NodeStatus, Progress
from holdfast.sentences import Sentence

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
_LookedAt = Mapping[str, Looked | HoldfastError]
_WITHOUT_THE_WORD = STAGED | {NodePhase.STAGING_BACK, NodePhase.READY_BACK}


class _Ask(Enum):
    FIRST = "nothing can be said of the node before it was asked how it is"


_News = Changed | _Ask | None


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
        """What these nodes have said since, up to so much as one commit takes; `quiet`: with no event for each step.

        Where there is nothing, those of which something should be known are asked how they are: all at once, so that
        many that are silent take no longer than one.
        """
        changed, to_ask = self._together(record, nodes, {}, quiet=quiet)
        if changed.record is not record or not to_ask:
            return changed
        looked = await self._asking.looks(to_ask[:MOST_TOLD])
        return self._together(record, nodes, looked, quiet=quiet)[0]

    def _together(
        self, record: RolloutRecord, nodes: tuple[str, ...], looked: _LookedAt, *, quiet: bool
    ) -> tuple[Changed, list[str]]:
        """What is new of these nodes, and which have to be asked before that can be said."""
        changed, to_ask = Changed(record), list[str]()
        for node in nodes:
            if len(changed.events) < MOST_TOLD:
                news = self._news_of(changed.record, node, looked, quiet=quiet)
                if isinstance(news, _Ask):
                    to_ask.append(node)
                elif news is not None:
                    changed = carry.both(changed, news)
        return changed, to_ask

    def _news_of(self, record: RolloutRecord, node: str, looked: _LookedAt, *, quiet: bool) -> _News:
        state = record.nodes[node]
        report = self._news.report(node)
        identity = self._kept.store.identity
        if report is not None and not carry.is_about(report, state, identity.store_id, identity.epoch):
            report = None
        progress = report.progress if report else None
        if report is None or progress is None:
            return self._silent(record, node, looked)
        if progress is Progress.VERIFIED:
            return self._verified(record, node, report, looked)
        if progress in carry.OTHERWISE:
            verdict = badly_ended(node, progress, report.applied, going_back=state.phase in GOING_BACK)
            return carry.judged(record, node, verdict, self._now(), progress, report.applied)
        if state.phase in _WITHOUT_THE_WORD:
            return self._staging(record, node, progress, looked)
        if progress is not state.progress:
            return carry.progressed(record, node, progress, self._now(), quiet=quiet)
        if progress is Progress.WRITTEN and _goes_together(record, node):
            return self._after_the_word(record, node, looked)
        return self._overdue(record, node, "work", self._patience.apply_s, looked)

    def _silent(self, record: RolloutRecord, node: str, looked: _LookedAt) -> _News:
        state = record.nodes[node]
        if _is_ready(state):
            return None  # it was asked, and is again before the word
        if state.progress is Progress.WRITTEN and _goes_together(record, node):
            return self._after_the_word(record, node, looked)
        return self._overdue(record, node, "accept", self._patience.accept_s, looked)

    def _after_the_word(self, record: RolloutRecord, node: str, looked: _LookedAt) -> _News:
        """Others go on meanwhile: so it is asked soon whether the word has reached it. Then it may take its time."""
        state = record.nodes[node]
        if (node, state.number) in self._gone:
            return self._overdue(record, node, "work", self._patience.apply_s, looked)
        if not self.time_is_over(node, state, "go", self._patience.go_s):
            return None
        if node not in looked:
            return _Ask.FIRST
        one = looked[node]
        if isinstance(one, Looked) and not self.is_waiting(state, one):
            self._gone.add((node, state.number))
            return self._overdue(record, node, "work", self._patience.apply_s, looked)
        hint = one.hint if isinstance(one, HoldfastError) else Sentence("is it connected? what does its agent log?")
        within = f"{self._patience.go_s:.0f}"
        said = Sentence("the word to go did not reach %(node)s within %(n)s s", node=node, n=within)
        return self.lost(record, node, said, hint)

    def _staging(self, record: RolloutRecord, node: str, progress: Progress, looked: _LookedAt) -> _News:
        """One that waits for the word, or will."""
        state = record.nodes[node]
        if _is_ready(state):
            again = progress is Progress.ACCEPTED
            return carry.not_ready(record, node, progress, self._now()) if again else None
        if progress is Progress.WRITTEN:
            return carry.ready(record, node, self._now())
        if progress is not state.progress:
            return carry.progressed(record, node, progress, self._now())
        return self._overdue(record, node, "stage", self._patience.stage_s, looked)

    def _verified(self, record: RolloutRecord, node: str, report: AgentReport, looked: _LookedAt) -> _News:
        state = record.nodes[node]
        if state.phase in GOING_BACK:
            verdict = Verdict(NodePhase.PUT_BACK)
        elif not state.keeps:
            verdict = Verdict(NodePhase.VERIFIED)
        elif report.status is not None:
            verdict = self._kept_all(record, node, report.status)
        elif node in looked:
            verdict = self._kept_all(record, node, _status(looked[node]))
        else:
            return _Ask.FIRST
        return carry.judged(record, node, verdict, self._now(), Progress.VERIFIED, report.applied)

    def _kept_all(self, record: RolloutRecord, node: str, status: NodeStatus | HoldfastError) -> Verdict:
        if isinstance(status, HoldfastError):
            return Verdict(NodePhase.REGRESSED, status.message, status.hint)
        return after(node, record.nodes[node].keeps, record.nodes[node].held, status)

    def _overdue(self, record: RolloutRecord, node: str, what: str, patience: float, looked: _LookedAt) -> _News:
        """None while there is time. Then the node is asked once: what it runs counts, not that a report got lost."""
        state = record.nodes[node]
        if not self.time_is_over(node, state, what, patience):
            return None
        if node not in looked:
            return _Ask.FIRST
        one = looked[node]
        back = state.phase in GOING_BACK
        status = _status(one)
        wanted = state.old if back else state.new
        if isinstance(status, NodeStatus) and status.digest == wanted and not status.interrupted:
            verdict = Verdict(NodePhase.PUT_BACK) if back else self._kept_all(record, node, status)
            return carry.judged(record, node, verdict, self._now())
        if state.phase in _WITHOUT_THE_WORD and self.is_waiting(state, one):
            return carry.ready(record, node, self._now())
        within: dict[str, str | int] = {"node": node, "n": f"{patience:.0f}"}
        said = Sentence(
            "%(node)s did not apply revision %(revision)s within %(n)s s", revision=record.revision, **within
        )
        if back:
            said = Sentence("%(node)s did not take its old state again within %(n)s s", **within)
        known = Sentence("what does its agent log? It tells what it waits for")
        return self.lost(record, node, said, one.hint if isinstance(one, HoldfastError) else known)

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
