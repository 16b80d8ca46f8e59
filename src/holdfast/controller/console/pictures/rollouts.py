"""A rollout as pages show it: wave by wave, how far each node is, what refused and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from holdfast.protocol import Progress
from holdfast.protocol.api.rollouts import RolloutNodeView, RolloutView
from holdfast.sentences import Sentence

from ..words import N_

State = Literal["ok", "warning", "bad", "unknown", "off", "busy"]
Mark = Literal["done", "now", "todo", "failed", "back"]

STEPS = (Progress.ACCEPTED, Progress.WRITTEN, Progress.APPLIED, Progress.VERIFIED)
STEP_WORDS = (N_("accepted"), N_("written"), N_("applied"), N_("verified"))
_FAILED_AT = {Progress.REFUSED: 1, Progress.PUT_BACK: 2, Progress.BROKEN: 2}

_PHASES: dict[str, tuple[State, str]] = {
    "proposed": ("busy", N_("about to begin")),
    "running": ("busy", N_("under way")),
    "paused": ("warning", N_("waits for you")),
    "putting back": ("warning", N_("is being put back")),
    "refused": ("bad", N_("refused")),
    "succeeded": ("ok", N_("verified everywhere")),
    "put back": ("bad", N_("put back")),
    "failed": ("bad", N_("failed")),
}
_COME_TO_AN_END = ("verified", "failed", "regressed", "lost", "broken", "put back", "away")
_RUNS_THE_NEW_ONE = ("verified", "regressed")
_RUNS_THE_OLD_ONE = ("waiting", "failed", "put back")
_NODE_PHASES: dict[str, tuple[State, str]] = {
    "waiting": ("off", N_("waiting")),
    "staging": ("busy", N_("told")),
    "ready": ("busy", N_("waiting")),  # for the others
    "applying": ("busy", N_("told")),
    "verified": ("ok", N_("verified")),
    "failed": ("bad", N_("failed")),
    "regressed": ("bad", N_("lost addresses")),
    "lost": ("bad", N_("does not answer")),
    "broken": ("bad", N_("broken")),
    "staging back": ("warning", N_("is being put back")),
    "ready to go back": ("warning", N_("is being put back")),
    "putting back": ("warning", N_("is being put back")),
    "put back": ("warning", N_("put back")),
    "away": ("off", N_("not waited for")),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a rollout stands, in a word."""

    rollout: int
    state: State
    word: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One of the four steps of a node."""

    word: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a rollout. `seconds`: how long it took, or None; `runs`: which revision, or 0 where nobody knows."""

    name: str
    state: State
    word: str
    steps: tuple[Step, ...]
    runs: int
    seconds: float | None
    reloaded: tuple[str, ...]
    detail: str
    hint: str
    program_line: str


@dataclass(frozen=True, slots=True)
class Wave:
    """Nodes that are changed before the next wave begins; number 0: when is not decided yet."""

    number: int
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout and what can be done about it."""

    number: int
    revision: int
    base: int
    author: str
    message: str
    outcome: Outcome
    created: datetime
    ended: datetime | None
    waves: tuple[Wave, ...]
    done: int
    total: int
    counted: bool
    reason: str
    hint: str
    away: tuple[str, ...]
    unfinished: frozenset[str]
    may_continue: bool
    may_stop: bool
    may_try_again: bool
    puts_back: bool


def outcome_of(rollout: RolloutView) -> Outcome:
    """How it stands."""
    state, word = _PHASES.get(rollout.phase, ("unknown", rollout.phase))
    if rollout.phase == "succeeded" and any(node.phase == "away" for node in rollout.nodes):
        state, word = "warning", N_("verified, but not on every node")
    if rollout.phase == "put back" and _stopped(rollout.reason):
        state, word = "warning", N_("stopped and put back")  # somebody wished it, and nothing went wrong
    return Outcome(rollout.id, state, word, rollout.reason)


def _stopped(reason: str) -> bool:
    return isinstance(reason, Sentence) and reason.template.startswith("stopped by ")


def rollout_of(rollout: RolloutView) -> Rollout:
    """The whole of it."""
    waves: dict[int, list[Node]] = {}
    for node in rollout.nodes:
        waves.setdefault(node.wave, []).append(_node(node, rollout))
    ordered = sorted(waves, key=lambda number: (number == 0, number))
    return Rollout(
        number=rollout.id,
        revision=rollout.revision,
        base=rollout.base,
        author=rollout.author.removeprefix("user:"),
        message=rollout.message,
        outcome=outcome_of(rollout),
        created=rollout.created,
        ended=rollout.ended,
        waves=tuple(Wave(number, tuple(waves[number])) for number in ordered),
        done=sum(node.phase == "verified" for node in rollout.nodes),
        total=len(rollout.nodes),
        counted=rollout.phase not in ("putting back", "put back", "refused"),
        reason=rollout.reason,
        hint=rollout.hint,
        away=tuple(node.node for node in rollout.nodes if node.phase == "away"),
        unfinished=frozenset(node.node for node in rollout.nodes if node.phase not in _COME_TO_AN_END),
        may_continue=rollout.phase == "paused",
        may_stop=rollout.phase in ("proposed", "running", "paused"),
        may_try_again=rollout.ended is not None and rollout.phase != "succeeded",
        puts_back=rollout.options.put_back,
    )


def _node(node: RolloutNodeView, rollout: RolloutView) -> Node:
    state, word = _NODE_PHASES.get(node.phase, ("unknown", node.phase))
    if node.phase == "applying" and node.progress in STEPS:
        word = STEP_WORDS[STEPS.index(node.progress)]
    if node.phase == "failed" and node.progress is Progress.REFUSED:
        word = N_("refused")
    if node.phase == "waiting" and rollout.ended is not None:
        word = N_("not changed")
    seconds = (node.ended - node.started).total_seconds() if node.started and node.ended else None
    return Node(
        name=node.node,
        state=state,
        word=word,
        steps=tuple(Step(word, mark) for word, mark in zip(STEP_WORDS, _marks(node), strict=True)),
        runs=_runs(node, rollout) if rollout.ended is not None else 0,
        seconds=seconds,
        reloaded=node.reloaded,
        detail=node.detail,
        hint=node.hint,
        program_line=node.program_line,
    )


def _runs(node: RolloutNodeView, rollout: RolloutView) -> int:
    """What a node was left with: the first question after a rollout that did not succeed."""
    if node.phase in _RUNS_THE_NEW_ONE:
        return rollout.revision
    return node.old_revision if node.phase in _RUNS_THE_OLD_ONE else 0


def _marks(node: RolloutNodeView) -> tuple[Mark, ...]:
    """How far the four steps are."""
    todo: Mark = "todo"
    if node.phase in ("verified", "regressed"):
        return _filled(len(STEPS), "failed" if node.phase == "regressed" else "done")
    if node.phase in ("putting back", "put back"):
        return ("back", "back", "back", "back")
    if node.phase in ("waiting", "away"):
        return _filled(0, todo)
    if node.phase == "applying":
        return _filled(STEPS.index(node.progress) + 1 if node.progress in STEPS else 0, "now")
    return _filled(_FAILED_AT.get(node.progress, 3) if node.progress else 0, "failed")


def _filled(done: int, now: Mark) -> tuple[Mark, ...]:
    failed = now == "failed"
    marks: list[Mark] = []
    for step in range(len(STEPS)):
        last_one_failed = failed and done == len(STEPS) and step == done - 1
        marks.append(now if step == done or last_one_failed else "done" if step < done else "todo")
    return tuple(marks)
