"""A plan: for every node what changes and what that may do, before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.bundle import Bundle

from .difference import FileChange, file_changes
from .hazards import hazards
from .note import Hazard, HazardNote
from .order import Wave, wave


@dataclass(frozen=True)
class NodePlan:
    """One node's change. `new` None means that Holdfast's services leave the node."""

    node: str
    old: Bundle | None
    new: Bundle | None
    changes: tuple[FileChange, ...]
    hazards: tuple[HazardNote, ...]
    wave: Wave = Wave.IN_FRONT


@dataclass(frozen=True)
class Plan:
    """The nodes that change, by name; a node without a change is not in it."""

    nodes: tuple[NodePlan, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes anywhere."""
        return not self.nodes

    @property
    def hazards(self) -> frozenset[Hazard]:
        """Every class of hazard that occurs."""
        return frozenset(note.hazard for node in self.nodes for note in node.hazards)

    def node(self, name: str) -> NodePlan | None:
        """The change of one node, or None."""
        return next((plan for plan in self.nodes if plan.node == name), None)


def make_plan(old: Mapping[str, Bundle], new: Mapping[str, Bundle]) -> Plan:
    """Compare two compiled clusters; equal digests mean that nothing changes."""
    nodes = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before is not None and after is not None and before.digest == after.digest:
            continue
        changes = file_changes(before, after)
        nodes.append(NodePlan(name, before, after, changes, hazards(before, after, changes), wave(before, after)))
    return Plan(tuple(nodes))
