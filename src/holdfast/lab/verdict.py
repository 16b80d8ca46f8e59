"""From what was seen during a step to a verdict on it: arithmetic over requests, timelines and objectives (pure)."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise

from holdfast.lab.observe_timeline import AddressTimeline, clip, first_by_another, overlaps, total, who_at
from holdfast.lab.report_words import REASONS, Words, nodes_in_words, said
from holdfast.lab.scenario import Kind, Step
from holdfast.lab.scenario_world import Expected
from holdfast.lab.traffic_records import Late, Pause, Record
from holdfast.lab.verdict_live import LiveResult, live_result, went_to
from holdfast.spec.cluster import Objective, Objectives

Holders = Mapping[str, tuple[str, ...]]
_WITHOUT_NOTICE = frozenset({Kind.NODE_LOST, Kind.NODE_FROZEN, Kind.SERVICE_LOST, Kind.LINK_LOST, Kind.PARTITION})


class Verdict(StrEnum):
    """`info`: the spec states no objective for this kind of step, and all that had to happen did."""

    PASS = "pass"
    FAIL = "fail"
    INFO = "info"


@dataclass(frozen=True)
class StepRun:
    """A step as it was carried out. Times are monotonic seconds; it ends where the next one begins.

    `acted` is when the fault was in force (or the change was begun); `problem` says what did not go as the step wants,
    for instance that a change was taken which should have been refused; `remarks` is what else is worth reading.
    `drained` are the real servers that no new connection may reach any more.
    """

    step: Step
    began: float
    acted: float
    ended: float
    expected: Mapping[str, Expected]
    problem: str = ""
    remarks: tuple[str, ...] = ()
    drained: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Evidence:
    """Everything that was recorded in a rehearsal."""

    records: Sequence[Record]
    late: Sequence[Late]
    addresses: Mapping[str, AddressTimeline]
    pauses: Sequence[Pause] = ()


@dataclass(frozen=True)
class ListenerResult:
    """One listener during one step. `longest_gap_s`: without a successful answer to a new connection."""

    sent: int
    failed: int
    repeated: int
    longest_gap_s: float


@dataclass(frozen=True)
class StepResult:
    """What users and nodes saw during a step, and the verdict. Times in seconds.

    Holders are the nodes that carried an address on a link that was up; `carried_cut_off` names those that carried it
    beside, cut off. `double_holder_s`: two or more holders at once. `answered_twice_s`: two MAC addresses answered.
    """

    name: str
    kind: Kind
    began: float
    acted: float
    ended: float
    holders_before: Holders
    holders_after: Holders
    expected_after: Holders
    carried_cut_off: Holders
    failover_s: float | None
    failovers: Mapping[str, float | None]
    sent: int
    failed: int
    errors: Mapping[str, int]
    repeated: int
    longest_gap_s: float
    longest_gap_listener: str
    double_holder_s: float
    double_holder_addresses: tuple[str, ...]
    double_carried_s: float
    answered_twice_s: float
    answered_twice: tuple[str, ...]
    client_late_s: float
    unsent: int
    slowest_s: float
    verdict: Verdict
    reasons: tuple[str, ...]
    reasons_zh: tuple[str, ...]
    remarks: tuple[str, ...]
    listeners: Mapping[str, ListenerResult] = field(default_factory=dict)
    live: LiveResult = field(default_factory=LiveResult)


def objective_for(kind: Kind, objectives: Objectives) -> Objective | None:
    """The objective of a kind of step; None where the spec's language has none for it."""
    found = getattr(objectives, kind.value, None)
    return found if isinstance(found, Objective) else None


def judge_all(runs: Sequence[StepRun], evidence: Evidence, objectives: Objectives) -> tuple[StepResult, ...]:
    """Everything about every step."""
    shares = assign(evidence.records, runs)
    return tuple(
        judge(run, mine, evidence, objective_for(run.step.kind, objectives))
        for run, mine in zip(runs, shares, strict=True)
    )


def assign(records: Iterable[Record], runs: Sequence[StepRun]) -> list[list[Record]]:
    """Each request belongs to the step during which it ended.

    A request that is on its way when a fault strikes is that fault's victim, although it began before. The reverse
    cannot be: a step ends only when no request is left that its own fault may have hurt (or when patience does).
    """
    shares: list[list[Record]] = [[] for _ in runs]
    begins = [run.began for run in runs]
    for record in records:
        shares[max(0, bisect_right(begins, record.end) - 1)].append(record)
    return shares


def judge(run: StepRun, ended: Sequence[Record], evidence: Evidence, objective: Objective | None) -> StepResult:
    """Everything about one step; `ended` are the requests and connections that ended during it."""
    addresses = evidence.addresses
    mine = [record for record in ended if record.request_class != "long"]
    before = {a: who_at(t.reachable, run.began) for a, t in addresses.items()}
    # Just before its end: the next step begins at that very moment.
    after = {a: who_at(t.reachable, run.ended - 1e-6) for a, t in addresses.items()}
    cut_off = {a: tuple(sorted(set(who_at(t.carried, run.ended - 1e-6)) - set(after[a]))) for a, t in addresses.items()}
    failovers = _failovers(run, addresses, before)
    listeners = _listeners(run, mine, evidence.records)
    worst = max(listeners, key=lambda name: listeners[name].longest_gap_s, default="")
    doubles = {a: overlaps(clip(t.reachable, run.began, run.ended)) for a, t in addresses.items()}
    twice = {a: overlaps(clip(t.answered, run.began, run.ended)) for a, t in addresses.items()}
    result = StepResult(
        name=run.step.name,
        kind=run.step.kind,
        began=run.began,
        acted=run.acted,
        ended=run.ended,
        holders_before=before,
        holders_after=after,
        expected_after={a: tuple(sorted(e.holders)) for a, e in run.expected.items()},
        carried_cut_off={a: nodes for a, nodes in cut_off.items() if nodes},
        failover_s=_latest(failovers),
        failovers=failovers,
        sent=len(mine),
        failed=sum(not r.ok for r in mine),
        errors=dict(Counter(r.error for r in mine if r.error).most_common()),
        repeated=sum(r.repeated for r in mine),
        longest_gap_s=listeners[worst].longest_gap_s if worst else 0.0,
        longest_gap_listener=worst,
        double_holder_s=_longest_total(doubles),
        double_holder_addresses=tuple(a for a, times in doubles.items() if times),
        double_carried_s=_longest_total(
            {a: overlaps(clip(t.carried, run.began, run.ended)) for a, t in addresses.items()}
        ),
        answered_twice_s=_longest_total(twice),
        answered_twice=tuple(a for a, times in twice.items() if times),
        client_late_s=late_between(evidence.late, run.began, run.ended),
        unsent=sum(late.unsent for late in evidence.late if run.began <= late.start < run.ended),
        slowest_s=max((r.end - r.start for r in mine if r.ok), default=0.0),
        verdict=Verdict.INFO,
        reasons=(),
        reasons_zh=(),
        remarks=run.remarks,
        listeners=listeners,
        live=live_result(
            run.acted,
            (run.began, run.ended),
            ended,
            evidence.records,
            evidence.pauses,
            without_notice=run.step.kind in _WITHOUT_NOTICE,
        ),
    )
    return _with_verdict(result, run, objective, went_to(run.drained, run.acted, mine))


def _latest(failovers: Mapping[str, float | None]) -> float | None:
    """When the last of the addresses had moved; None if nothing had to move, or something never did."""
    times = list(failovers.values())
    return max(t for t in times if t is not None) if times and None not in times else None


def _failovers(run: StepRun, addresses: Mapping[str, AddressTimeline], before: Holders) -> dict[str, float | None]:
    """For each address that had to move: seconds from the act until a node that did not hold it before does."""
    found: dict[str, float | None] = {}
    for address, expected in run.expected.items():
        if not before.get(address) or not expected.holders or expected.holders <= set(before[address]):
            continue  # nobody had it to lose (an address that was added), or it may stay where it is
        moved = first_by_another(addresses[address].reachable, before[address], run.acted, run.ended)
        found[address] = None if moved is None else moved - run.acted
    return found


def _longest_total(intervals: Mapping[str, Sequence[tuple[float, float]]]) -> float:
    """The worst address: times of several addresses at once are not added up."""
    return max((total(times) for times in intervals.values()), default=0.0)


def _listeners(run: StepRun, mine: Sequence[Record], records: Sequence[Record]) -> dict[str, ListenerResult]:
    """Every listener that was asked during the step."""
    by_name: dict[str, list[Record]] = {}
    for record in mine:
        by_name.setdefault(record.listener, []).append(record)
    return {
        name: ListenerResult(
            sent=len(asked),
            failed=sum(not r.ok for r in asked),
            repeated=sum(r.repeated for r in asked),
            # A listener that is new in this step is not missed before its first request.
            longest_gap_s=longest_gap(
                (r.end for r in asked if r.ok and r.request_class == "new"),
                _asked_from(run, name, asked, records),
                run.ended,
            ),
        )
        for name, asked in sorted(by_name.items())
    }


def _asked_from(run: StepRun, name: str, asked: Sequence[Record], records: Sequence[Record]) -> float:
    known = any(r.listener == name and r.start < run.began for r in records)
    return run.began if known else min(r.start for r in asked)


def longest_gap(answered: Iterable[float], start: float, end: float) -> float:
    """The longest time between two answers, or between an answer and either end, in seconds."""
    points = [start, *sorted(t for t in answered if start <= t <= end), end]
    return max((b - a for a, b in pairwise(points)), default=0.0)


def late_between(late: Iterable[Late], start: float, end: float) -> float:
    """How long the client itself did not run between two times, in seconds; overlapping reports count once."""
    spans = sorted((max(item.start, start), min(item.end, end)) for item in late)
    covered, reached = 0.0, start
    for begin, finish in spans:
        if finish > max(begin, reached):
            covered += finish - max(begin, reached)
            reached = finish
    return covered


def _with_verdict(
    result: StepResult, run: StepRun, objective: Objective | None, to_drained: Mapping[str, int]
) -> StepResult:
    reasons = [Words(run.problem, run.problem)] if run.problem else []  # in the words of whoever had it
    reasons += _wrong_holders(result, run)
    reasons += [said(REASONS["drained"], server=name, count=count) for name, count in to_drained.items()]
    stated = False
    if objective is not None:
        stated = any(value is not None for value in objective.model_dump().values())
        reasons += _missed(result, objective)
    verdict = Verdict.FAIL if reasons else Verdict.PASS if stated else Verdict.INFO
    english, chinese = tuple(r.en for r in reasons), tuple(r.zh for r in reasons)
    return replace(result, verdict=verdict, reasons=english, reasons_zh=chinese)


def _wrong_holders(result: StepResult, run: StepRun) -> list[Words]:
    found = []
    for address, expected in run.expected.items():
        actual = result.holders_after.get(address, ())
        if not expected.met_by(actual):
            wanted = nodes_in_words(sorted(expected.holders))
            found.append(said(REASONS["holders"], address=address, wanted=wanted, actual=nodes_in_words(actual)))
    return found


def _missed(result: StepResult, objective: Objective) -> list[Words]:
    """Every objective that was not reached, in words."""
    missed = []
    limit = objective.failover_within
    if limit is not None and result.failovers:
        never = [a for a, t in result.failovers.items() if t is None]
        missed += [said(REASONS["never"], address=address) for address in never]
        if result.failover_s is not None and result.failover_s * 1000 > limit:
            missed.append(said(REASONS["failover"], took=_ms(result.failover_s), limit=limit))
    gap, limit = max(0.0, result.longest_gap_s - result.client_late_s), objective.longest_gap
    if limit is not None and gap * 1000 > limit:
        missed.append(said(REASONS["gap"], listener=result.longest_gap_listener, took=_ms(gap), limit=limit))
    limit = objective.lost_requests
    if limit is not None and result.failed > limit:
        missed.append(said(REASONS["lost"], count=result.failed, limit=limit))
    limit = objective.lost_connections
    if limit is not None and result.live.cut > limit:
        missed.append(said(REASONS["cut"], count=result.live.cut, limit=limit))
    limit = objective.double_holder
    if limit is not None and result.double_holder_s * 1000 > limit:
        addresses = ", ".join(result.double_holder_addresses)
        missed.append(said(REASONS["double"], addresses=addresses, took=_ms(result.double_holder_s), limit=limit))
    return missed


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"
