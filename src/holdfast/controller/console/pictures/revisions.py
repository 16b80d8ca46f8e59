"""Revisions as pages show them: with what became of each, and a spec with its findings at their lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from holdfast.findings import Finding, Severity
from holdfast.protocol.api.damaged import DamagedPlace
from holdfast.protocol.api.nodes import NodeSummary
from holdfast.protocol.api.revisions import RevisionDetail, RevisionList, RevisionView
from holdfast.protocol.api.rollouts import RolloutView

from .rollouts import Outcome, outcome_of

MOST_LINES = 20_000  # of a spec on a page
_KEY = re.compile(r"(\s*(?:- )*)([^\s#:'\"{}\[\],&*!|>][^#:{}\[\],]*)(:)(?=\s|$)")
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*$")
_QUOTED = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"")
_SEVEREST_FIRST = (Severity.ERROR, Severity.WARNING, Severity.INFO)


@dataclass(frozen=True, slots=True)
class Row:
    """A revision in the list. `runs_on`: nodes that say now that it is verified; `outcome` None: none was to change."""

    number: int
    author: str
    message: str
    more: bool
    time: datetime
    rollback_of: int | None
    warnings: int
    errors: int
    outcome: Outcome | None
    runs_on: tuple[str, ...]
    newest: bool


@dataclass(frozen=True, slots=True)
class History:
    """A page of the list; `before` asks for the next one."""

    rows: tuple[Row, ...]
    newest: int
    before: int | None
    damaged: tuple[DamagedPlace, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a line: `kind` is key, comment, text or nothing."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class SpecLine:
    """A line of a spec with what is to be said of it."""

    number: int
    pieces: tuple[Piece, ...]
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> str:
        """The most severe of what is said; nothing if nothing is."""
        return next((each.value for each in _SEVEREST_FIRST if any(f.severity is each for f in self.findings)), "")


@dataclass(frozen=True, slots=True)
class Spec:
    """A spec; `elsewhere` is what belongs to no line of it, `left_out` lines are not shown."""

    lines: tuple[SpecLine, ...]
    elsewhere: tuple[Finding, ...]
    left_out: int
    counts: tuple[tuple[str, int], ...]


def history_of(found: RevisionList, rollouts: Iterable[RolloutView], nodes: Sequence[NodeSummary]) -> History:
    """Revisions with the last rollout of each, and where they run."""
    last: dict[int, RolloutView] = {}
    for one in rollouts:
        if one.revision not in last or last[one.revision].id < one.id:
            last[one.revision] = one
    rows = tuple(_row(one, last, nodes, found.newest) for one in found.revisions)
    return History(rows, found.newest, found.before, found.damaged)


def _row(one: RevisionView, last: Mapping[int, RolloutView], nodes: Sequence[NodeSummary], newest: int) -> Row:
    first, _, rest = one.message.strip().partition("\n")
    rollout = last.get(one.number)
    return Row(
        number=one.number,
        author=one.author,
        message=first,
        more=bool(rest.strip()),
        time=one.time,
        rollback_of=one.rollback_of,
        warnings=one.warnings,
        errors=one.errors,
        outcome=outcome_of(rollout) if rollout else None,
        runs_on=tuple(node.node for node in nodes if node.connected and node.running == one.number),
        newest=one.number == newest,
    )


def spec_of(detail: RevisionDetail) -> Spec:
    """A revision's spec, line by line."""
    raw = detail.spec.splitlines()
    at: dict[int, list[Finding]] = {}
    elsewhere = []
    for finding in detail.findings:
        line = finding.location.line if finding.location else 0
        if 1 <= line <= min(len(raw), MOST_LINES):
            at.setdefault(line, []).append(finding)
        else:
            elsewhere.append(finding)
    lines = tuple(
        SpecLine(number, tuple(pieces_of(text)), tuple(at.get(number, ())))
        for number, text in enumerate(raw[:MOST_LINES], 1)
    )
    counts = [(each.value, sum(f.severity is each for f in detail.findings)) for each in _SEVEREST_FIRST]
    return Spec(lines, tuple(elsewhere), max(0, len(raw) - MOST_LINES), tuple((word, n) for word, n in counts if n))


def pieces_of(line: str) -> Iterable[Piece]:
    """A line of YAML in pieces: what is a key, what a comment. A sketch: it only colours, and loses nothing."""
    blanked = _QUOTED.sub(lambda found: "x" * len(found[0]), line)
    found = _COMMENT.search(blanked)
    end = found.start() if found else len(line)
    key = _KEY.match(blanked[:end])
    begin = 0
    if key:
        begin = key.end(3)
        yield Piece("", line[: key.start(2)])
        yield Piece("key", line[key.start(2) : begin])
    yield Piece("text" if key else "", line[begin:end])
    if end < len(line):
        yield Piece("comment", line[end:])
