"""Findings as a page shows them: by rule, the worst first, each with its places. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from holdfast.protocol.api.findings import FindingsView, FoundView, SilencedView

from ...operations.rules import effect_of
from ..words import N_

SEVERITIES: Mapping[str, tuple[str, str]] = {
    "error": ("bad", N_("error")), "warning": ("warning", N_("warning")), "info": ("unknown", N_("remark")),
}  # fmt: skip
MOST_PLACES = 200  # of one rule
OPEN = 5  # places: of more, they are shown once somebody opens them


@dataclass(frozen=True, slots=True)
class Place:
    """One finding. `line` 0: it belongs to no line. `since_old`: it is of a revision that is not the newest."""

    message: str
    hint: str
    line: int
    field: str
    node: str
    revision: int
    since_old: bool
    runs_on: tuple[str, ...]

    @property
    def words(self) -> str:
        """What a filter finds it by."""
        return " ".join((self.message, self.field, self.node, *self.runs_on))


@dataclass(frozen=True, slots=True)
class Found:
    """All findings of one rule with one severity. `comment` silences it at a line."""

    code: str
    severity: str
    state: str
    word: str
    title: str
    effect: str
    count: int
    places: tuple[Place, ...]
    explained: bool

    @property
    def comment(self) -> str:
        """As it is written into a spec."""
        return f"# holdfast: ignore[{self.code}] "

    @property
    def open(self) -> bool:
        """Whether its places are shown at first."""
        return self.count <= OPEN


@dataclass(frozen=True, slots=True)
class FindingsPicture:
    """All of it. `counts` are by severity; `unknown` nodes are those of which nobody knows what they run."""

    revision: int
    found: tuple[Found, ...]
    counts: tuple[tuple[str, int], ...]
    silenced: tuple[SilencedView, ...]
    running: tuple[tuple[int, tuple[str, ...]], ...]
    unknown: tuple[str, ...]
    untold: tuple[str, ...]
    left_out: int

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(count for _, count in self.counts)


def findings_of(told: FindingsView, severity: str = "") -> FindingsPicture:
    """The page's picture; with a severity, only what is as bad as that."""
    counts = [(each, sum(one.finding.severity.value == each for one in told.findings)) for each in SEVERITIES]
    wanted = [one for one in told.findings if severity in ("", one.finding.severity.value)]
    running: dict[int, list[str]] = {}
    for node in told.nodes:
        if node.revision is not None:
            running.setdefault(node.revision, []).append(node.node)
    return FindingsPicture(
        revision=told.revision,
        found=tuple(_by_rule(wanted, told.revision)),
        counts=tuple((each, count) for each, count in counts if count),
        silenced=told.silenced,
        running=tuple((number, tuple(running[number])) for number in sorted(running, reverse=True)),
        unknown=tuple(one.node for one in told.nodes if one.revision is None),
        untold=tuple(one.node for one in told.nodes if not one.facts),
        left_out=told.left_out,
    )


def _by_rule(found: Iterable[FoundView], newest: int) -> Iterable[Found]:
    groups: dict[tuple[str, str], list[FoundView]] = {}
    for one in found:
        groups.setdefault((one.finding.severity.value, one.finding.code), []).append(one)
    order = list(SEVERITIES)
    for (severity, code), mine in sorted(groups.items(), key=lambda item: (order.index(item[0][0]), item[0][1])):
        state, word = SEVERITIES[severity]
        yield Found(
            code=code,
            severity=severity,
            state=state,
            word=word,
            title=mine[0].title,
            effect=effect_of(code),
            count=len(mine),
            places=tuple(_place(one, newest) for one in mine[:MOST_PLACES]),
            explained=bool(mine[0].title),
        )


def _place(one: FoundView, newest: int) -> Place:
    where = one.finding.location
    of_spec = where is not None and where.file == f"revision {one.revision}"
    return Place(
        message=one.finding.message,
        hint=one.finding.hint,
        line=where.line if where and of_spec else 0,
        field=where.field if where else "",
        node=one.node,
        revision=one.revision,
        since_old=one.revision != newest,
        runs_on=one.runs_on,
    )
