"""What agents post: reports and answers, judged by whose certificate it came with, and written to the store."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from pydantic import ValidationError

from holdfast.errors import Conflict, NotFound, NotPermitted, StoreDamaged
from holdfast.protocol import AgentReport, Answer, Drift
from holdfast.rollout.records import AnswerRecord, RolloutStore
from holdfast.sentences import Sentence, as_it_is, cut
from holdfast.store.models import Event, NodeReport
from holdfast.store.store import CLOCKS_DIFFER, ClusterStore, Store

from ..identity import NodeAgent
from ..operations.written import written
from .server_events import Change, asked_anew, came_back, server_changes, server_events

_log = logging.getLogger(__name__)
LARGEST_REPORT = 390_000  # characters as they are kept, a little below what the store takes
_USUAL = 95_000  # characters of everything but a director's servers
_MANY = 200  # servers, from which on their rows are kept short
ANSWER_TTL_S = 600  # whoever asked reads it long before
_KEPT_DIFF = 2_000  # characters of each difference in a report that is too large
_DRIFT = '"drift":[{'  # a status has names under the same word, and they are no objects
_NO_STATUS = '"status":null'
_HOLDS = '"holds":true'
_GIVEN_UP = -254  # a hold file's number
_MOST_EVENTS = 40  # of one report
_AT_ONCE = 20  # events of one write
_FEWEST = 20  # differences that are kept of one that is still too large


async def take_report(
    store: Store, agent: NodeAgent, report: AgentReport, may_tell: Callable[[], bool] = lambda: True
) -> None:
    """Keep a report as the node's latest, with events for what drifted, went down or came back.

    It is dated by this controller: a node's clock that jumps must not make all that comes later look old. `may_tell` is
    asked for each event: those of a node that tells too many are left out.
    """
    refuse_others(agent, report.node)
    cluster = store.cluster(agent.cluster)
    before = await cluster.reports.get(agent.node)
    now = store.clock.now()
    if before is not None and before.record.time - now <= CLOCKS_DIFFER:  # another controller's may be ahead of ours
        now = max(now, before.record.time + timedelta(microseconds=1))
    kept = NodeReport(
        node=agent.node,
        time=now,
        epoch=report.fence.epoch if report.fence else 0,
        revision=report.revision,
        state=report.progress.value if report.progress else "",
        content=fitting(report),
    )
    await cluster.report(kept, _past(kept, report))
    earlier = before.record if before else None
    told = _events(agent, earlier, report, now)
    changed = [*server_changes(earlier, report), *await _came_back(cluster, earlier, report)][:_MOST_EVENTS]
    if changed:
        told = [*told, *server_events(agent, changed, await written(store, agent.cluster), now)]
    kept_ones = [one for one in told if may_tell()]
    if len(kept_ones) < len(told):
        _log.warning("%s tells too much: %s events are left out", agent.actor, len(told) - len(kept_ones))
    for start in range(0, len(kept_ones), _AT_ONCE):  # with each write as many old ones go: the log does not grow
        await store.events.append(*kept_ones[start : start + _AT_ONCE])


async def _came_back(cluster: ClusterStore, before: NodeReport | None, report: AgentReport) -> list[Change]:
    """What was down, was not asked while its proxy began anew, and is up: the last report alone does not tell."""
    asked = asked_anew(before, report)
    if not asked:
        return []
    with suppress(StoreDamaged):  # one event less; the report counts
        history = await cluster.report_history(report.node).newest()
        return came_back(asked, [one.record for one in history[1:]])  # the first is this one
    return []


def _past(kept: NodeReport, report: AgentReport) -> NodeReport:
    """As it is kept in the history: without the rows of a large director, which comes every two seconds at times."""
    if report.overrides is None or len(report.overrides.servers) < _MANY:
        return kept
    short = report.overrides.model_copy(update={"servers": ()})
    return kept.model_copy(update={"content": fitting(report.model_copy(update={"overrides": short}))})


async def take_answer(store: Store, agent: NodeAgent, answer: Answer) -> None:
    """Keep what became of an order for whoever gave it; the order is done with. NotFound if nobody waits any more.

    The same answer may come again after a broken connection: the first one counts.
    """
    refuse_others(agent, answer.node)
    records = RolloutStore(store, agent.cluster)
    while True:  # ends: an order is only ever written once, and then deleted
        if await records.answers.get(answer.order) is not None:
            return
        order = await records.orders.get(answer.order)
        if order is None or order.record.node != agent.node:
            raise NotFound("no such order waits for an answer", "its time is over")
        record = AnswerRecord(node=agent.node, answer=answer, time=store.clock.now())
        lease = await store.engine.grant(ANSWER_TTL_S)
        try:
            await store.commit(
                records.answers.creating(answer.order, record, lease),
                records.orders.deleting(answer.order, order.version),
            )
        except Conflict:
            await store.engine.revoke(lease)
            continue
        return


def fitting(report: AgentReport) -> str:
    """A report as JSON that the store takes: the agent's log goes first, then what is said of drift is cut short.

    How servers are is kept whatever it takes: a director may have some thousand, and that is what people look at.
    """
    rows = _rows(report)
    most = min(LARGEST_REPORT, _USUAL + len(rows))
    text = _text(report, rows)
    if len(text) <= most:
        return text
    report = report.model_copy(update={"log": ()})
    text = _text(report, rows)
    if len(text) <= most:
        return text
    drift = tuple(each.model_copy(update={"diff": _cut(each.diff)}) for each in report.drift)
    for short in (drift, tuple(each.model_copy(update={"diff": ""}) for each in drift), drift[:_FEWEST], ()):
        text = _text(report.model_copy(update={"drift": short}), rows)
        if len(text) <= most:
            return text
    # What is left is a node's own long story, of a status with many thousand servers: how it stands is kept.
    return report.model_copy(update={"drift": (), "status": None, "overrides": None}).model_dump_json()


def _rows(report: AgentReport) -> str:
    """The servers of a director as JSON; where they are many, without what is said of nearly all of them."""
    if report.overrides is None or len(report.overrides.servers) < _MANY:
        return ""
    rows = [one.model_dump(mode="json", exclude_defaults=True) for one in report.overrides.servers]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def _text(report: AgentReport, rows: str) -> str:
    if not rows or report.overrides is None:
        return report.model_dump_json()
    overrides = report.overrides.model_dump_json(exclude={"servers"})
    whole = report.model_dump_json(exclude={"overrides"})
    return f'{whole[:-1]},"overrides":{overrides[:-1]},"servers":{rows}}}}}'


def _events(agent: NodeAgent, before: NodeReport | None, report: AgentReport, now: datetime) -> list[Event]:
    """What drifted or came back, and which groups were taken or given up, since the report before."""
    moved = _moved(agent, before, report, now)
    if not report.drift and (before is None or _DRIFT not in before.content):
        return moved  # nearly always
    known, told = _names(_drift_of(before))
    present, corrected = _names(report.drift)
    new = [_event(agent, "node.drift", present[name], now) for name in sorted(present.keys() - known)]
    mended = [_event(agent, "node.drift_corrected", corrected[name], now) for name in sorted(corrected.keys() - told)]
    past = sorted(known.keys() - present.keys() - corrected.keys())
    gone = [_event(agent, "node.drift_gone", known[name], now) for name in past]
    return [*moved, *new, *mended, *gone][:_MOST_EVENTS]


def _moved(agent: NodeAgent, before: NodeReport | None, report: AgentReport, now: datetime) -> list[Event]:
    """Groups whose addresses came to this node or left it: as it says itself, planned or not."""
    if report.status is None or (before is not None and _NO_STATUS in before.content):
        return []  # an agent that has just started has not looked yet
    holds = {each.group for each in report.status.groups if each.holds}
    held = _held(before)
    given_up = {each.group for each in report.status.groups if each.hold <= _GIVEN_UP}
    took = [_held_event(agent, "vrrp.holds", group, False, now) for group in sorted(holds - held)]
    left = [_held_event(agent, "vrrp.left", group, group in given_up, now) for group in sorted(held - holds)]
    return [*left, *took][:_FEWEST]


def _held_event(agent: NodeAgent, kind: str, group: str, on_purpose: bool, now: datetime) -> Event:
    if kind == "vrrp.holds":
        message = Sentence("%(node)s holds %(group)s", node=agent.node, group=group)
    elif on_purpose:
        message = Sentence("%(node)s gave %(group)s up on purpose", node=agent.node, group=group)
    else:
        message = Sentence("%(node)s gave %(group)s up", node=agent.node, group=group)
    data = json.dumps({"group": group, "on_purpose": on_purpose})
    return Event(time=now, kind=kind, cluster=agent.cluster, node=agent.node, message=message, data=data)


def _held(kept: NodeReport | None) -> set[str]:
    """The groups that a report says its node holds; read without the rest of it: this is asked at each report."""
    if kept is None or _HOLDS not in kept.content:
        return set()
    try:
        return {each["group"] for each in json.loads(kept.content)["status"]["groups"] if each["holds"]}
    except (ValueError, KeyError, TypeError):  # another version of the controller wrote it
        return set()


def _event(agent: NodeAgent, kind: str, name: Sentence, now: datetime) -> Event:
    message = cut(_drifted(kind, agent.node, name), 1000)
    return Event(time=now, kind=kind, cluster=agent.cluster, node=agent.node, message=message)


def _drifted(kind: str, node: str, what: Sentence) -> Sentence:
    names: dict[str, str] = {"node": node, "what": what}
    if kind == "node.drift":
        return Sentence("%(node)s: %(what)s differs from what was applied", **names)
    if kind == "node.drift_corrected":
        return Sentence("%(node)s: %(what)s was put right, as the node's policy says", **names)
    return Sentence("%(node)s: %(what)s is as it was applied again", **names)


def _names(drift: Iterable[Drift]) -> tuple[dict[str, Sentence], dict[str, Sentence]]:
    """What stands, and what was put right a short while ago, each by its text."""
    found: tuple[dict[str, Sentence], dict[str, Sentence]] = ({}, {})
    for each in drift:
        named = Sentence("%(kind)s %(what)s", kind=as_it_is(each.kind.value), what=each.named)
        found[each.corrected][str(named)] = named
    return found


def _drift_of(kept: NodeReport | None) -> tuple[Drift, ...]:
    if kept is None:
        return ()
    try:
        return AgentReport.model_validate_json(kept.content).drift
    except ValidationError:  # another version of the controller wrote it
        return ()


def _cut(diff: str) -> str:
    return diff if len(diff) <= _KEPT_DIFF else f"{diff[:_KEPT_DIFF]}\n… ({len(diff)} characters)\n"


def refuse_others(agent: NodeAgent, node: str) -> None:
    """NotPermitted for what an agent says of another node."""
    if node != agent.node:
        raise NotPermitted(
            Sentence("%(actor)s cannot speak for %(node)s", actor=agent.actor, node=node),
            "a node reports of itself alone",
        )
