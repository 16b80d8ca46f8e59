"""Verdicts: each figure against a plain count, and each objective from both sides."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.lab.made_up import CRASH, VIP, line, rehearsal, request, step

from holdfast.lab.observe_timeline import Span
from holdfast.lab.report_words import REASONS
from holdfast.lab.scenario import Breakage, Kind
from holdfast.lab.scenario_world import Expected
from holdfast.lab.traffic_records import Late, Pause, Record
from holdfast.lab.verdict import (
    Evidence,
    StepResult,
    StepRun,
    Verdict,
    assign,
    judge,
    late_between,
    longest_gap,
    objective_for,
)
from holdfast.spec.cluster import Objective, Objectives

times = st.lists(st.integers(0, 100), max_size=30)


@given(times, st.integers(0, 50), st.integers(50, 100))
def test_the_longest_gap_is_the_longest_run_without_an_answer(answered: list[int], start: int, end: int) -> None:
    longest = run = 0
    for moment in range(start, end):
        run = 0 if moment in answered else run
        run += 1
        longest = max(longest, run)
    # In whole moments, a gap that begins with an answer is as long as the next one is away.
    assert longest_gap(map(float, answered), start, end) == longest


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=10), st.integers(0, 40), st.integers(0, 40))
def test_lateness_is_counted_once(spans: list[tuple[int, int]], start: int, length: int) -> None:
    late = [Late(begin, begin + lasted) for begin, lasted in spans]
    covered = {m for item in late for m in range(int(item.start), int(item.end)) if start <= m < start + length}
    assert late_between(late, start, start + length) == len(covered)


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 10)), max_size=40),
    st.lists(st.floats(0, 100), min_size=1, max_size=6, unique=True),
)
def test_every_request_belongs_to_exactly_one_step(asked: list[tuple[float, float]], begins: list[float]) -> None:
    records = [request(start, lasted) for start, lasted in asked]
    begins = sorted(begins)
    runs = [StepRun(CRASH, begin, begin, begin + 1, {}) for begin in begins]
    shares = assign(records, runs)
    assert sorted(r.start for share in shares for r in share) == sorted(r.start for r in records)
    for share, begin, following in zip(shares, begins, [*begins[1:], 1e9], strict=True):
        assert all(record.end < following for record in share)
        assert all(record.end >= begin for record in share) or begin == begins[0]


def judged(
    *spans: Span,
    objective: Objective | None = None,
    expected: str = "lb02",
    failed: int = 0,
    kind: Kind = Kind.NODE_LOST,
    tolerated: str = "",
    problem: str = "",
) -> StepResult:
    """A step from 10 to 20 with a fault at 11, and an answer every 20 ms."""
    records = [request(10 + n / 50) for n in range(500)]
    records += [request(12.0, 0.1, "reset") for _ in range(failed)]
    run = StepRun(
        step("a step", kind, Breakage.CRASH),
        10,
        11,
        20,
        {VIP: Expected(frozenset({expected}), frozenset(filter(None, [tolerated])))},
        problem,
    )
    return judge(run, records, Evidence(records, (), {VIP: line(*spans)}), objective)


MOVED = (Span("lb01", 0, 11), Span("lb02", 11.4, 30))


def test_a_takeover_is_measured_from_the_fault() -> None:
    result = judged(*MOVED)
    assert result.failover_s == pytest.approx(0.4)
    assert (result.holders_before, result.holders_after) == ({VIP: ("lb01",)}, {VIP: ("lb02",)})
    assert result.verdict is Verdict.INFO


@pytest.mark.parametrize(("limit", "verdict"), [(500, Verdict.PASS), (401, Verdict.PASS), (399, Verdict.FAIL)])
def test_an_objective_for_the_takeover(limit: int, verdict: Verdict) -> None:
    result = judged(*MOVED, objective=Objective(failover_within=f"{limit}ms"))
    assert result.verdict is verdict
    assert bool(result.reasons) == (verdict is Verdict.FAIL)


def test_what_was_never_taken_over_fails_with_and_without_an_objective() -> None:
    alone = Span("lb01", 0, 11)
    assert judged(alone).verdict is Verdict.FAIL
    result = judged(alone, objective=Objective(failover_within="500ms"))
    assert result.failover_s is None
    assert f"{VIP} was taken over by nobody" in result.reasons


def test_each_reason_is_there_in_chinese_with_the_same_figures() -> None:
    both = (Span("lb01", 0, 11.9), Span("lb02", 11.4, 29.9))
    objective = Objective(failover_within="300ms", longest_gap="1ms", lost_requests=1, double_holder="490ms")
    found = [judged(*both, objective=objective, failed=3), judged(Span("lb01", 0, 11), objective=objective)]
    found.append(with_live_connections(lost_connections=0))
    pairs = [pair for r in found for pair in zip(r.reasons, r.reasons_zh, strict=True)]
    assert len({re.sub(r"[\d.:]+", "", english) for english, _ in pairs}) == len(REASONS)
    for english, chinese in pairs:
        assert re.findall(r"[\d.:]*\d|lb\d+", english) == re.findall(r"[\d.:]*\d|lb\d+", chinese)
        assert re.search("[\u4e00-\u9fff]", chinese)


def long(start: float, end: float, error: str = "", first_byte: float = 1.0) -> Record:
    return Record(f"{VIP}:80", 0, "long", start, start, first_byte, end, 200, "rs01:80", error, False, False)


def with_live_connections(**objective: int) -> StepResult:
    """A step from 10 to 20 that acted at 12, with a drained server."""
    run = StepRun(CRASH, 10, 12, 20, {}, drained=frozenset({"rs02:80"}))
    records = [long(1, 15, "silent"), long(1, 16, "reset"), long(5, 30), long(12.5, 18), long(13, 14, "refused", 0)]
    records += [replace(request(when), server=server) for when, server in ((11, "rs02:80"), (12.2, "rs02:80"))]
    records += [replace(request(when), server=server) for when, server in ((13, "rs02:80"), (14, "rs01:80"))]
    ended = [record for record in records if 10 <= record.end < 20]
    pauses = [Pause(f"{VIP}:80", 12, 14.5), Pause(f"{VIP}:80", 19, 23), Pause(f"{VIP}:80", 21, 29)]
    return judge(run, ended, Evidence(records, (), {}, pauses), Objective.model_validate(objective))


def test_live_connections_are_counted_and_judged() -> None:
    result = with_live_connections(lost_connections=1)
    assert (result.live.live, result.live.cut) == (3, 2)
    assert result.live.cut_by == {"silent": 1, "reset": 1}
    assert result.live.longest_pause_s == pytest.approx(2.5)
    assert result.live.shares == {f"{VIP}:80": {"rs01:80": 1, "rs02:80": 3}}
    # What could not even be opened cut nothing; requests are counted without live connections.
    assert (result.sent, result.failed) == (4, 0)
    assert "2 live connections were cut, the objective is 1" in result.reasons
    assert not any("cut" in reason for reason in with_live_connections(lost_connections=2).reasons)


@pytest.mark.parametrize(("kind", "cut", "untold"), [(Kind.NODE_LOST, 1, 2), (Kind.PLANNED, 3, 0)])
def test_connections_that_no_other_director_was_told_of_are_counted_apart(kind: Kind, cut: int, untold: int) -> None:
    """The kernel tells of a connection up to three seconds late; a planned move waits for that, a crash does not."""
    run = StepRun(replace(CRASH, kind=kind), 10, 12, 20, {})
    records = [long(8.8, 14, "reset"), long(9.0, 14, "reset"), long(11.9, 14, "reset")]
    result = judge(run, records, Evidence(records, (), {}), Objective(lost_connections=0))
    assert (result.live.live, result.live.cut, result.live.untold) == (3, cut, untold)
    assert sum(result.live.cut_by.values()) == cut
    assert f"{cut} live connections were cut, the objective is 0" in result.reasons


def test_a_new_connection_to_a_drained_server_is_found() -> None:
    """One that began just when it was drained may still have gone there; one a second later may not."""
    assert with_live_connections().reasons == ("1 new connections went to rs02:80, which is drained",)


def test_nothing_had_to_move() -> None:
    result = judged(Span("lb02", 0, 30), objective=Objective(failover_within="500ms"))
    assert (result.failover_s, result.verdict) == (None, Verdict.PASS)


@pytest.mark.parametrize(("failed", "verdict"), [(0, Verdict.PASS), (2, Verdict.PASS), (3, Verdict.FAIL)])
def test_lost_requests(failed: int, verdict: Verdict) -> None:
    assert judged(*MOVED, objective=Objective(lost_requests=2), failed=failed).verdict is verdict


def test_two_holders_are_counted_and_judged() -> None:
    both = (Span("lb01", 0, 11.9), Span("lb02", 11.4, 30))
    result = judged(*both, objective=Objective(double_holder="500ms"))
    assert result.double_holder_s == pytest.approx(0.5)
    assert result.answered_twice == (VIP,)
    assert result.verdict is Verdict.PASS
    assert judged(*both, objective=Objective(double_holder="490ms")).verdict is Verdict.FAIL


def test_a_holder_that_cannot_let_go_is_tolerated_only_where_that_was_expected() -> None:
    both = (Span("lb01", 0, 30), Span("lb02", 11.4, 30))
    assert judged(*both).verdict is Verdict.FAIL
    assert judged(*both, tolerated="lb01").verdict is Verdict.INFO


def test_a_problem_of_the_step_itself_fails_it() -> None:
    result = judged(Span("lb02", 0, 30), problem="the change was taken", objective=Objective(lost_requests=0))
    assert (result.verdict, result.reasons) == (Verdict.FAIL, ("the change was taken",))


def test_the_clients_own_lateness_is_not_blamed_on_the_cluster() -> None:
    records = [request(10 + n / 50) for n in range(500) if not 100 <= n < 150]
    run = StepRun(step("a step", Kind.PLANNED), 10, 10, 20, {})
    objective = Objective(longest_gap="500ms")
    blamed = judge(run, records, Evidence(records, (), {}), objective)
    assert blamed.longest_gap_s == pytest.approx(1.0, abs=0.05)
    assert blamed.verdict is Verdict.FAIL
    excused = judge(run, records, Evidence(records, [Late(12.0, 12.95)], {}), objective)
    assert excused.verdict is Verdict.PASS
    assert excused.longest_gap_s == blamed.longest_gap_s, "what was seen is reported as it was"


def test_a_listener_that_is_new_is_not_missed_before_it_was_asked() -> None:
    records = [request(15 + n / 50, listener="new:80") for n in range(250)]
    run = StepRun(step("added", Kind.PLANNED), 10, 10, 20, {})
    assert judge(run, records, Evidence(records, (), {}), None).longest_gap_s < 0.1


def test_a_request_on_its_way_belongs_to_the_fault_that_hit_it() -> None:
    steady, crash, boot = rehearsal().steps
    assert (steady.failed, crash.failed, boot.failed) == (0, 1, 0)
    assert crash.errors == {"timeout (no answer)": 1}
    assert crash.failover_s == pytest.approx(0.25)
    assert crash.longest_gap_s == pytest.approx(0.26, abs=0.03)
    assert crash.repeated == 1
    assert boot.double_holder_s == pytest.approx(0.02)
    assert crash.client_late_s == pytest.approx(0.1)


def test_every_kind_of_fault_has_its_objective_and_the_rest_has_none() -> None:
    objectives = Objectives()
    without = {Kind.RECOVERY, Kind.WAIT, Kind.DISK_FULL}
    assert {kind for kind in Kind if objective_for(kind, objectives) is None} == without
    assert set(Objectives.model_fields) == {kind.value for kind in Kind} - {kind.value for kind in without}


def test_a_rehearsal_fails_with_any_of_its_steps() -> None:
    made = rehearsal()
    assert made.verdict is Verdict.PASS
    assert replace(made, steps=(*made.steps, replace(made.steps[0], verdict=Verdict.FAIL))).verdict is Verdict.FAIL
