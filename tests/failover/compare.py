"""The model against real keepalived: the same clusters, the same faults, and what each makes of them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.failover.machine import Machine
from holdfast.failover.play import Outcome, after, begin
from holdfast.failover.router import State

from .generated import Case, Event, generate
from .live import Live

STARTUP_S = 1.5  # from the start of the program to its first state
SLACK_S = 0.6  # what a busy machine and a FIFO add to a time


@dataclass
class Compared:
    """What came of it. `certain` steps have one outcome; `excess` is the most by which a time was above its bound."""

    compared: list[int] = field(default_factory=list)
    steps: int = 0
    certain: int = 0
    excess: float = -99.0
    disagreements: list[str] = field(default_factory=list)
    wrong: set[int] = field(default_factory=set)


class _Candidates:
    """The machines that agree with everything that was seen of a case so far."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.outcomes: tuple[Outcome, ...] = begin(case.cluster)
        self.seen: list[str] = []
        self.began = 0.0
        self.starting_s = STARTUP_S

    def step(self, event: Event) -> None:
        machines: list[Machine] = [outcome.machine for outcome in self.outcomes]
        self.starting_s = STARTUP_S if "start" in event.title else 0.0
        self.outcomes = tuple(outcome for machine in machines for outcome in after(machine, event.world))

    def bound(self) -> float:
        return max(outcome.took_s for outcome in self.outcomes) + self.starting_s


def compare(seeds: tuple[int, ...], folder: Path) -> Compared:
    """All cases side by side, step by step; a case that disagrees is not followed any further."""
    result = Compared()
    cases = tuple(generate(seed, folder) for seed in seeds)
    with Live(cases, folder) as live:
        watched = {case.seed: _Candidates(case) for case in cases}
        live.start_all()
        for candidates in watched.values():
            candidates.began = time.monotonic()
        _wait(watched.values())
        _judge(live, watched, result, "start")
        for at in range(max(len(case.events) for case in cases)):
            for candidates in watched.values():
                candidates.began = time.monotonic()
                live.enter(candidates.case, candidates.case.events[at].world)
            for candidates in watched.values():
                candidates.step(candidates.case.events[at])
            _wait(watched.values())
            _judge(live, watched, result, at)
    result.compared = list(seeds)
    return result


def _wait(watched: Iterable[_Candidates]) -> None:
    until = max((candidates.began + candidates.bound() for candidates in watched), default=0.0) + SLACK_S + 0.3
    time.sleep(max(0.0, until - time.monotonic()))


def _judge(live: Live, watched: dict[int, _Candidates], result: Compared, at: object) -> None:
    carried = live.carried()
    for seed, candidates in list(watched.items()):
        case = candidates.case
        real = live.states(case)
        title = case.events[at].title if isinstance(at, int) else "start"
        candidates.seen.append(title)
        result.steps += 1
        possible = {tuple(sorted(outcome.states.items())) for outcome in candidates.outcomes}
        result.certain += len(possible) == 1
        fitting = [outcome for outcome in candidates.outcomes if _same(outcome, real)]
        wrong = _wrong(live, candidates, fitting, real, carried, result)
        if wrong:
            states = {place: str(state) for place, state in sorted(real.items())}
            told = [{p: str(s) for p, s in sorted(outcome.states.items())} for outcome in candidates.outcomes]
            text = f"seed {seed}, step {at}: {wrong}\n did {candidates.seen}\n real {states}\n model {told}"
            result.disagreements.append(text)
            result.wrong.add(seed)
            del watched[seed]
        else:
            candidates.outcomes = tuple(fitting)


def _same(outcome: Outcome, real: dict[tuple[str, str], State]) -> bool:
    # One that starts in FAULT without a fault of its own says nothing; one whose node is down is told as such.
    return all(real.get(place, State.FAULT) is state for place, state in outcome.states.items())


def _wrong(
    live: Live,
    candidates: _Candidates,
    fitting: list[Outcome],
    real: dict[tuple[str, str], State],
    carried: dict[str, set[str]],
    result: Compared,
) -> str:
    case = candidates.case
    if not fitting:
        return "states differ"
    for place, state in real.items():
        mine = set(case.cluster.instance(place).addresses)
        has = mine & carried[place[0]]
        if state is State.ACTIVE and has != mine:
            return f"{place} is MASTER but carries {has} of {mine}"
        if state in (State.STANDBY, State.FAULT) and has:
            return f"{place} is {state} but carries {has}"
    told = live.priorities(case)
    for place, state in real.items():
        expected = fitting[0].machine.priority(place)
        if state in (State.ACTIVE, State.STANDBY) and told[place] != expected:
            return f"priority of {place} is {told[place]}, expected {expected}"
    return _late(live, candidates, fitting, result)


def _late(live: Live, candidates: _Candidates, fitting: list[Outcome], result: Compared) -> str:
    for place in fitting[0].states:
        since = live.active_since(candidates.case, place)
        bounds = [outcome.active_since[place] for outcome in fitting if place in outcome.active_since]
        if since > candidates.began and bounds:
            excess = since - candidates.began - max(bounds) - candidates.starting_s
            result.excess = max(result.excess, excess)
            if excess > SLACK_S:
                took = since - candidates.began
                return f"{place} became MASTER after {took:.3f} s, at most {max(bounds):.3f} s were told"
    return ""
