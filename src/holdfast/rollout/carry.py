"""How a rollout's record changes with what is decided and what agents say. Pure: a record in, a record out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from holdfast.plan import Plan
from holdfast.protocol import AgentReport, ApplyReport, Progress
from holdfast.sentences import Sentence
from holdfast.store.models import Event

from .decide import GOING_BACK, STAGED, NodePhase, RolloutState
from .judge import Verdict, brief, may_not_lose
from .records import Assignment, NodeState, RolloutPhase, RolloutRecord, Wish
from .together import recorded
from .waves import Batch

_AS_BEFORE = frozenset({NodePhase.WAITING, NodePhase.FAILED, NodePhase.PUT_BACK, NodePhase.AWAY})
_HAS_BEEN_TOLD = STAGED | {NodePhase.APPLYING}
_STAGES_BACK = frozenset({NodePhase.STAGING_BACK, NodePhase.READY_BACK})
_WITHDRAWN = frozenset({NodePhase.FAILED, NodePhase.LOST, NodePhase.BROKEN})
_LONGEST_LINE = 1000
OTHERWISE = frozenset({Progress.REFUSED, Progress.PUT_BACK, Progress.BROKEN, Progress.PAUSED})


@dataclass(frozen=True)
class Changed:
    """A record as it becomes, and what has to be written with it. Assignments have no numbers yet (0 is none)."""

    record: RolloutRecord
    tells: tuple[tuple[str, bool], ...] = ()  # (node, whether it goes back)
    events: tuple[Event, ...] = ()
    words: tuple[str, ...] = ()  # nodes that are given the word: what they were told stays as it is


def state_of(record: RolloutRecord) -> RolloutState:
    """What `decide` needs to know."""
    puts_back = record.options.put_back if record.wish is Wish.GO_ON else record.wish is Wish.PUT_BACK
    return RolloutState(
        batches=tuple(batch.nodes for batch in record.batches),
        phases={node: state.phase for node, state in record.nodes.items()},
        put_back_on_failure=puts_back,
        pause_after_first=record.options.pause_after_first and not record.confirmed,
        halted=record.wish is not Wish.GO_ON,
        together=frozenset(at for at, batch in enumerate(record.batches) if batch.at_once),
        unchecked=frozenset(at for at, batch in enumerate(record.batches) if batch.at_once and not batch.checked),
    )


def begun(record: RolloutRecord, plan: Plan, drawn: Sequence[Batch], now: datetime) -> Changed:
    """With its batches, and what each node may not lose. Members that change in one moment may pass a group on."""
    torn = {node for batch in drawn if batch.at_once for node in batch.nodes}
    nodes = dict(record.nodes)
    for planned in plan.nodes:
        keeps = () if planned.node in torn else tuple(sorted(may_not_lose(planned)))
        nodes[planned.node] = nodes[planned.node].model_copy(update={"keeps": keeps})
    after = record.model_copy(
        update={
            "phase": RolloutPhase.RUNNING,
            "started": now,
            "nodes": nodes,
            "batches": tuple(recorded(each, plan) for each in drawn),
        }
    )
    return Changed(
        after, events=(event(after, now, "rollout.started", Sentence("rollout %(id)s begins", id=record.id)),)
    )


def refused(record: RolloutRecord, reason: str, hint: str, now: datetime) -> Changed:
    """It ended before anything was touched."""
    after = record.model_copy(
        update={"phase": RolloutPhase.REFUSED, "ended": now, "reason": _line(reason), "hint": _line(hint)}
    )
    said = Sentence("rollout %(id)s is refused: %(reason)s", id=record.id, reason=reason)
    return Changed(after, events=(event(after, now, "rollout.ended", said),))


def told(
    record: RolloutRecord,
    nodes: Iterable[str],
    held: Mapping[str, Iterable[str]],
    now: datetime,
    *,
    together: bool = False,
) -> Changed:
    """These nodes get the new state now, of which each held these groups before; `together`: they only stage it."""
    after = record
    phase = NodePhase.STAGING if together else NodePhase.APPLYING
    for node in nodes:
        groups = tuple(sorted(held.get(node, ())))
        after = _with(after, node, phase=phase, progress=None, held=groups, started=now)
    after = after.model_copy(update={"phase": RolloutPhase.RUNNING})
    said = tuple(
        node_event(after, node, now, Sentence("%(node)s: is told revision %(n)s", node=node, n=record.revision))
        for node in nodes
    )
    return Changed(after, tuple((node, False) for node in nodes), said)


def told_to_go_back(record: RolloutRecord, nodes: Iterable[str], now: datetime, *, together: bool = False) -> Changed:
    """These nodes get their old state again; `together`: they only stage it."""
    after = record
    for node in nodes:
        after = _with(after, node, phase=NodePhase.STAGING_BACK if together else NodePhase.PUTTING_BACK, progress=None)
    after = after.model_copy(update={"phase": RolloutPhase.PUTTING_BACK})
    said = tuple(node_event(after, node, now, _taken_back(node, record.nodes[node].old_revision)) for node in nodes)
    return Changed(after, tuple((node, True) for node in nodes), said)


def progressed(record: RolloutRecord, node: str, progress: Progress, now: datetime, *, quiet: bool = False) -> Changed:
    """The agent came further, and has not ended; `quiet`: without an event."""
    after = _with(record, node, progress=progress)
    return Changed(after, events=() if quiet else (node_event(after, node, now, _came_to(node, progress.value)),))


def ready(record: RolloutRecord, node: str, now: datetime) -> Changed:
    """It has staged what it was told, and waits for the word."""
    back = record.nodes[node].phase in GOING_BACK
    after = _with(record, node, phase=NodePhase.READY_BACK if back else NodePhase.READY, progress=Progress.WRITTEN)
    said = Sentence("%(node)s: is ready, and waits for the others", node=node)
    return Changed(after, events=(node_event(after, node, now, said),))


def not_ready(record: RolloutRecord, node: str, progress: Progress, now: datetime) -> Changed:
    """It was, but begins anew: its agent has been restarted."""
    back = record.nodes[node].phase in GOING_BACK
    after = _with(record, node, phase=NodePhase.STAGING_BACK if back else NodePhase.STAGING, progress=progress)
    return Changed(after, events=(node_event(after, node, now, Sentence("%(node)s: stages anew", node=node)),))


def given_the_word(record: RolloutRecord, nodes: Sequence[str], now: datetime) -> Changed:
    """All of these are ready: they go on in one moment."""
    after = record
    for node in nodes:
        back = record.nodes[node].phase in GOING_BACK
        after = _with(after, node, phase=NodePhase.PUTTING_BACK if back else NodePhase.APPLYING)
    said = tuple(
        node_event(after, node, now, Sentence("%(node)s: is given the word to go", node=node)) for node in nodes
    )
    return Changed(after, words=tuple(nodes), events=said)


def checked(record: RolloutRecord, batch: int, wrong: Sentence | None, now: datetime) -> Changed:
    """Whether the groups of a batch that changed in one moment have one holder each; `wrong` says why not."""
    if wrong is None:
        drawn = list(record.batches)
        drawn[batch] = drawn[batch].model_copy(update={"checked": True})
        return Changed(record.model_copy(update={"batches": tuple(drawn)}))
    changed = Changed(record)
    hint = Sentence("do the nodes hear each other's adverts? look at what keepalived says on each")
    reason = Sentence("%(wrong)s, after its members changed in one moment", wrong=wrong)
    verdict = Verdict(NodePhase.REGRESSED, reason, hint)
    for node in record.batches[batch].nodes:
        if changed.record.nodes[node].phase is NodePhase.VERIFIED:
            changed = both(changed, judged(changed.record, node, verdict, now))
    return changed


def judged(
    record: RolloutRecord,
    node: str,
    verdict: Verdict,
    now: datetime,
    progress: Progress | None = None,
    report: ApplyReport | None = None,
) -> Changed:
    """A node has reached an end.

    Where that is no good one, it is told its old state again: it must not find the new one when it comes back, or
    tries again by itself. So is one that was to go back together with others, now with no need of a word. Where a node
    runs neither, that is waited for: nobody else may change meanwhile.
    """
    phase = verdict.phase
    withdrawn = record.nodes[node].phase in _HAS_BEEN_TOLD | _STAGES_BACK and phase in _WITHDRAWN
    if withdrawn and phase is NodePhase.BROKEN:
        phase = NodePhase.PUTTING_BACK
    after = _with(
        record,
        node,
        phase=phase,
        progress=progress or record.nodes[node].progress,
        ended=now,
        outcome=report.outcome if report else None,
        reloaded=report.reloaded if report else (),
        **_why(verdict),
    )
    if verdict.reason and not record.reason:
        after = after.model_copy(update={"reason": _line(verdict.reason), "hint": _line(verdict.hint)})
    said = verdict.reason or _came_to(node, verdict.phase.value)
    return Changed(after, ((node, True),) if withdrawn else (), (node_event(after, node, now, said),))


def _came_to(node: str, word: str) -> Sentence:
    return Sentence("%(node)s: %(word)s", node=node, word=Sentence(word))


def _taken_back(node: str, revision: int) -> Sentence:
    return Sentence("%(node)s: is taken back to revision %(n)s", node=node, n=revision)


def _why(verdict: Verdict) -> dict[str, str]:
    """What is kept of a reason; a node that is well again in the end keeps the reason of before."""
    if not verdict.reason:
        return {}
    return {
        "detail": brief(verdict.reason),
        "hint": brief(verdict.hint),
        "program_line": brief(verdict.program_line),
    }


def paused(record: RolloutRecord, now: datetime) -> Changed:
    """It waits for somebody."""
    after = record.model_copy(update={"phase": RolloutPhase.PAUSED})
    said = Sentence("rollout %(id)s waits behind the first nodes until somebody says that it may go on", id=record.id)
    return Changed(after, events=(event(after, now, "rollout.paused", said),))


def finished(record: RolloutRecord, succeeded: bool, now: datetime) -> Changed:
    """Nothing is left to do."""
    everywhere = all(state.phase in _AS_BEFORE for state in record.nodes.values())
    failed = RolloutPhase.PUT_BACK if everywhere else RolloutPhase.FAILED
    phase = RolloutPhase.SUCCEEDED if succeeded else failed
    # Somebody may have stopped one with which nothing was left to do.
    reason, hint = ("", "") if succeeded else (record.reason or Sentence("it was stopped"), record.hint)
    after = record.model_copy(update={"phase": phase, "ended": now, "reason": reason, "hint": hint})
    names: dict[str, str | int] = {"id": record.id, "revision": record.revision, "phase": Sentence(phase.value)}
    said = Sentence("rollout %(id)s of revision %(revision)s: %(phase)s", **names)
    if reason:
        said = Sentence("rollout %(id)s of revision %(revision)s: %(phase)s: %(reason)s", **names, reason=reason)
    return Changed(after, events=(event(after, now, "rollout.ended", said),))


def both(first: Changed, second: Changed) -> Changed:
    """One after the other; `second` was made from the record of `first`."""
    words = (*first.words, *second.words)
    return Changed(second.record, (*first.tells, *second.tells), (*first.events, *second.events), words)


def assignment(record: RolloutRecord, node: str, number: int, back: bool, now: datetime) -> Assignment:
    """What a node is told."""
    state = record.nodes[node]
    return Assignment(
        node=node,
        number=number,
        revision=state.old_revision if back else record.revision,
        digest=state.old if back else state.new,
        adopt=record.options.adopt,
        rollout=record.id,
        together=state.phase in (NodePhase.STAGING, NodePhase.STAGING_BACK),
        time=now,
    )


def brought_along(
    record: RolloutRecord, listed: Mapping[str, str], present: Mapping[str, Assignment]
) -> dict[str, str]:
    """Node → digest of those that were not part of it, but are of this revision: nothing changed, or they are away."""
    away = {node: state.new for node, state in record.nodes.items() if state.phase is NodePhase.AWAY}
    same = {node: digest for node, digest in listed.items() if node in present and present[node].digest == digest}
    return {
        node: digest
        for node, digest in {**same, **away}.items()
        if node not in present or (present[node].revision, present[node].digest) != (record.revision, digest)
    }


def of_revision(record: RolloutRecord, node: str, number: int, digest: str, now: datetime) -> Assignment:
    """What a node is told that was brought along."""
    return Assignment(
        node=node,
        number=number,
        revision=record.revision,
        digest=digest,
        adopt=record.options.adopt,
        rollout=record.id,
        time=now,
    )


def numbered(record: RolloutRecord, numbers: Mapping[str, int]) -> RolloutRecord:
    """The record with the numbers of what nodes were told."""
    nodes = {**record.nodes, **{n: record.nodes[n].model_copy(update={"number": at}) for n, at in numbers.items()}}
    return record.model_copy(update={"nodes": nodes})


def is_about(report: AgentReport, state: NodeState, store_id: str, epoch: int) -> bool:
    """Whether a report is about what this node was told last."""
    fence = report.fence
    return fence is not None and (fence.store_id, fence.epoch, fence.number) == (store_id, epoch, state.number)


def event(record: RolloutRecord, now: datetime, kind: str, message: str) -> Event:
    """Something about a whole rollout."""
    data = {"rollout": record.id, "revision": record.revision, "phase": record.phase}
    return Event(time=now, kind=kind, cluster=record.cluster, message=_line(message), data=json.dumps(data))


def node_event(record: RolloutRecord, node: str, now: datetime, message: str) -> Event:
    """Something about one node of a rollout."""
    state = record.nodes[node]
    data = {"rollout": record.id, "revision": record.revision, "phase": state.phase, "progress": state.progress}
    return Event(
        time=now,
        kind="rollout.node",
        cluster=record.cluster,
        node=node,
        message=_line(message),
        data=json.dumps(data),
    )


def _with(record: RolloutRecord, node: str, **changes: object) -> RolloutRecord:
    nodes = {**record.nodes, node: record.nodes[node].model_copy(update=changes)}
    return record.model_copy(update={"nodes": nodes})


def _line(text: str) -> str:
    return text if len(text) <= _LONGEST_LINE else f"{text[: _LONGEST_LINE - 1]}…"
