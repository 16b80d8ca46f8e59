"""A plan as pages show it: the worst first, nodes of which the same is to be said together, then files and spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from holdfast.plan.table import table
from holdfast.protocol.api import base
from holdfast.protocol.api.base import HazardClass
from holdfast.protocol.api.plans import ChangeView, NodeChangeView, PlanView

from ..words import N_
from .diffs import Diff, File, diff_of, files_of

WORST_FIRST: tuple[HazardClass, ...] = (
    "drops-connections", "simultaneous-reload", "moves-a-vip", "reload", "live",
)  # fmt: skip
KINDS = {"changes": "", "new": N_("new"), "leaves": N_("leaves the cluster")}
_MOST_PLACES = 4


@cache
def titles() -> Mapping[str, str]:
    """What each row of the table of hazards is about."""
    return {row.id: row.title for row in table().rows}


def worse_than(hazard: HazardClass | None) -> tuple[HazardClass, ...]:
    """What is not to happen after `hazard` was shown as the worst; None: nothing was to change anywhere."""
    return base.worse_than(hazard)  # as plans rank them: the worst of one may be above what else it was shown to do


@dataclass(frozen=True, slots=True)
class Change:
    """Changes of one kind: where they are, what it does, why that is so (empty: as said above)."""

    hazard: HazardClass
    places: tuple[str, ...]
    more: int
    title: str
    what: str
    why: str
    safer: str


@dataclass(frozen=True, slots=True)
class Nodes:
    """Nodes that change alike."""

    names: tuple[str, ...]
    kind: str
    hazard: HazardClass
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Wave:
    """Nodes that change together; `at_once`: in one moment."""

    number: int
    nodes: tuple[str, ...]
    at_once: bool
    why: str


@dataclass(frozen=True, slots=True)
class AlikeFiles:
    """What differs on nodes on which the same does."""

    nodes: tuple[str, ...]
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What would change, in which order, and how much it hurts."""

    changed: bool
    hazard: HazardClass | None
    counts: tuple[tuple[HazardClass, int], ...]
    groups: tuple[Nodes, ...]
    waves: tuple[Wave, ...]
    files: tuple[AlikeFiles, ...]
    spec: Diff
    too_old: tuple[str, ...] = ()  # nodes whose agents are

    @property
    def nodes(self) -> int:
        """How many nodes change."""
        return sum(len(group.names) for group in self.groups)

    @property
    def hurts(self) -> bool:
        """Whether traffic may notice."""
        return self.hazard is not None and WORST_FIRST.index(self.hazard) <= WORST_FIRST.index("moves-a-vip")


def plan_of(plan: PlanView, spec_diff: str = "") -> Plan:
    """A plan with the difference of the spec that it comes from."""
    alike: dict[tuple[object, ...], list[NodeChangeView]] = {}
    for node in plan.nodes:
        alike.setdefault((node.kind, node.changes), []).append(node)
    groups = sorted(alike.values(), key=lambda nodes: WORST_FIRST.index(nodes[0].hazard))
    return Plan(
        changed=plan.changed,
        hazard=plan.hazard,
        counts=tuple((name, plan.counts[name]) for name in WORST_FIRST if plan.counts.get(name)),
        groups=tuple(_nodes(nodes) for nodes in groups),
        waves=tuple(Wave(number, one.nodes, one.at_once, one.why) for number, one in enumerate(plan.steps, 1)),
        files=tuple(_alike_files(plan.nodes)),
        spec=diff_of(spec_diff),
        too_old=plan.too_old,
    )


def _alike_files(nodes: Iterable[NodeChangeView]) -> Iterable[AlikeFiles]:
    found: dict[tuple[File, ...], list[str]] = {}
    for node in nodes:
        found.setdefault(files_of(node.files), []).append(node.node)
    for files, names in found.items():
        yield AlikeFiles(tuple(names), files)


def _nodes(nodes: list[NodeChangeView]) -> Nodes:
    first = nodes[0]
    return Nodes(
        names=tuple(node.node for node in nodes),
        kind=KINDS[first.kind],
        hazard=first.hazard,
        changes=tuple(_changes(first.changes)),
    )


def _changes(changes: tuple[ChangeView, ...]) -> Iterable[Change]:
    """What is the same at several places is said once; the reason in full the first time alone."""
    folded: dict[tuple[HazardClass, str, str, str, str], list[str]] = {}
    for one in sorted(changes, key=lambda one: WORST_FIRST.index(one.hazard)):
        folded.setdefault((one.hazard, one.rule, one.what, one.why, one.safer), []).append(one.where)
    said: set[str] = set()
    for (hazard, rule, what, why, safer), places in folded.items():
        shown = tuple(places[:_MOST_PLACES])
        title = titles().get(rule, "")
        if why in said:
            yield Change(hazard, shown, len(places) - len(shown), title, what, "", "")
        else:
            yield Change(hazard, shown, len(places) - len(shown), title, what, why, safer)
        said.add(why)
