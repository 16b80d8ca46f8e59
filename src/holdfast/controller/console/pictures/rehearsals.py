"""Rehearsals as pages show them: what became of each, step by step. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.protocol.api.rehearsals import RehearsalView, RehearsedStep
from holdfast.sentences import from_data

from ..words import N_

STATES: Mapping[str, tuple[str, str]] = {
    "running": ("busy", N_("under way")),
    "stopping": ("busy", N_("is being stopped")),
    "passed": ("ok", N_("passed")),
    "failed": ("bad", N_("failed")),
    "stopped": ("off", N_("stopped")),
    "broken": ("bad", N_("could not be done")),
}
VERDICTS: Mapping[str, tuple[str, str]] = {
    "pass": ("ok", N_("passed")), "fail": ("bad", N_("failed")), "info": ("off", N_("measured")),
}  # fmt: skip
_MOST = 200  # lines of anything


@dataclass(frozen=True, slots=True)
class Step:
    """A step that is over. `moves`: (address, before, after) where the holders changed. Times in seconds."""

    name: str
    state: str
    word: str
    failover_s: float | None
    sent: int
    failed: int
    gap_s: float
    double_s: float
    moves: tuple[tuple[str, str, str], ...]
    reasons: tuple[str, ...]
    translated: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A rehearsal. `share` of 1 is how far it is, None before its steps have begun."""

    view: RehearsalView
    state: str
    word: str
    doing: str
    message: str
    hint: str
    steps: tuple[Step, ...]
    share: float | None
    holders: tuple[tuple[str, str], ...]

    @property
    def failed_steps(self) -> int:
        """How many steps missed an objective."""
        return sum(one.state == "bad" for one in self.steps)


def rehearsed(view: RehearsalView, language: str) -> Rehearsed:
    """One of them."""
    state, word = STATES[view.state]
    return Rehearsed(
        view=view,
        state=state,
        word=word,
        doing=from_data(view.doing_said) or view.doing,
        message=from_data(view.message_said) or view.message,
        hint=from_data(view.hint_said) or view.hint,
        steps=tuple(_step(one, language) for one in view.steps),
        share=min(1.0, view.number / view.total) if view.total and not view.over else None,
        holders=tuple((address, _nodes(nodes)) for address, nodes in list(view.holders.items())[:_MOST]),
    )


def _step(one: RehearsedStep, language: str) -> Step:
    state, word = VERDICTS[one.verdict]
    moves = (
        (address, _nodes(one.before.get(address, ())), _nodes(after))
        for address, after in one.after.items()
        if tuple(one.before.get(address, ())) != tuple(after)
    )
    return Step(
        name=from_data(one.name_said) or one.name,
        state=state,
        word=word,
        failover_s=one.failover_s,
        sent=one.sent,
        failed=one.failed,
        gap_s=one.longest_gap_s,
        double_s=one.double_holder_s,
        moves=tuple(moves)[:_MOST],
        reasons=one.reasons,
        translated=one.reasons_zh if language == "zh" else (),
    )


def _nodes(names: tuple[str, ...]) -> str:
    return " + ".join(names) or "–"


@dataclass(frozen=True, slots=True)
class Summary:
    """What a report says beside its steps: totals, what was promised, what stood in for what, with what it was made."""

    duration_s: float
    totals: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]
    substitutions: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]


def summary_of(report: Mapping[str, Any], language: str) -> Summary:
    """Of a report as the rehearsal wrote it; what is not there, or of another form, is left out."""
    totals, versions = report.get("totals"), report.get("versions")
    said = report.get(f"substitutions_{language}") or report.get("substitutions")
    return Summary(
        duration_s=float(report["duration_s"]) if isinstance(report.get("duration_s"), int | float) else 0.0,
        totals=tuple((str(key), value) for key, value in _items(totals) if isinstance(value, int)),
        notes=_texts(report.get("notes")),
        substitutions=_texts(said),
        versions=tuple((str(name), str(value)) for name, value in _items(versions)),
    )


def _items(found: Any) -> list[tuple[Any, Any]]:
    return list(found.items())[:_MOST] if isinstance(found, dict) else []


def _texts(found: Any) -> tuple[str, ...]:
    return tuple(str(one) for one in found[:_MOST]) if isinstance(found, list) else ()
