"""Changes that are the same in several places, told once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .changes import Change
from .note import Hazard
from .plan import NodePlan
from .table import table


@dataclass(frozen=True)
class Folded:
    """One change in all the places where it is made."""

    places: tuple[str, ...]
    what: str
    hazard: Hazard
    why: str
    safer: str


def folded(changes: Iterable[Change]) -> tuple[Folded, ...]:
    """The changes, the worst first, otherwise in their order."""
    found: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        found.setdefault((change.row, change.what), []).append(change)
    ordered = sorted(found.values(), key=lambda same: -same[0].hazard.rank)
    return tuple(
        Folded(tuple(each.where for each in same), same[0].what, same[0].hazard, same[0].why, same[0].safer)
        for same in ordered
    )


def alike(nodes: Iterable[NodePlan]) -> tuple[tuple[NodePlan, ...], ...]:
    """Nodes with the same changes together, in the order of the first of each."""
    found: dict[tuple[object, ...], list[NodePlan]] = {}
    for node in nodes:
        found.setdefault((node.old is None, node.new is None, *folded(node.changes)), []).append(node)
    return tuple(tuple(same) for same in found.values())


def evidence(change: Change) -> str:
    """Where the class of a change comes from."""
    return next(row.evidence for row in table().rows if row.id == change.row)
