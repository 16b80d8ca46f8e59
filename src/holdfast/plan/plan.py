"""A plan: for every node what changes and what that may do, before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from holdfast.bundle import Bundle, BundleFile
from holdfast.keepalived.garbage import uncollected
from holdfast.keepalived.tree import Configuration
from holdfast.sentences import Sentence, as_it_is

from . import groups, ties
from .alike import without_alike
from .changes import Change, node_changes
from .difference import FileChange, file_changes
from .facts_keepalived import PATH, configuration
from .members import State, patience_s
from .note import Hazard, HazardNote
from .order import Together, Turn, Wave, turn, waves
from .renames import one_name, renames
from .table import table


@dataclass(frozen=True)
class NodePlan:
    """One node's change. `new` None means that Holdfast's services leave the node."""

    node: str
    old: Bundle | None
    new: Bundle | None
    files: tuple[FileChange, ...]
    changes: tuple[Change, ...]
    turn: Turn = Turn.IN_FRONT
    waits: bool = False  # those that it will hear from have to know it first
    groups: frozenset[str] = frozenset()  # that it is in, before or after

    @property
    def hazard(self) -> Hazard:
        """The worst class of its changes."""
        return max((change.hazard for change in self.changes), key=lambda hazard: hazard.rank, default=Hazard.LIVE)

    @property
    def hazards(self) -> tuple[HazardNote, ...]:
        """In short, the worst first: a note for each change, and one for each program that is reloaded."""
        notes = dict.fromkeys(HazardNote(each.hazard, _in_short(each)) for each in self.changes)
        return tuple(sorted(notes, key=lambda note: -note.hazard.rank))


def _in_short(change: Change) -> str:
    if change.hazard is Hazard.RELOAD and change.service is not None:
        return Sentence("%(service)s reads its configuration anew", service=change.service)
    if change.hazard is Hazard.LIVE:
        return change.sentence
    return Sentence("%(what)s: %(why)s", what=change.sentence, why=as_it_is(change.why))


@dataclass(frozen=True)
class Plan:
    """The nodes that change, by name; a node without a change is not in it.

    `held` is how many groups each node holds before it, when nothing is wrong; `together` are the nodes that have to
    change in one moment.
    """

    nodes: tuple[NodePlan, ...]
    held: Mapping[str, int]
    together: tuple[Together, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes anywhere."""
        return not self.nodes

    @property
    def hazards(self) -> frozenset[Hazard]:
        """Every class of hazard that occurs."""
        return frozenset(change.hazard for node in self.nodes for change in node.changes)

    @property
    def hazard(self) -> Hazard:
        """The worst class that occurs."""
        return max(self.hazards, key=lambda hazard: hazard.rank, default=Hazard.LIVE)

    @cached_property
    def waves(self) -> tuple[Wave, ...]:
        """In which order it will be done, if nothing is wrong when it begins."""
        return self.waves_with(self.held)

    def waves_with(self, held: Mapping[str, int]) -> tuple[Wave, ...]:
        """The same where the nodes hold this many groups each when it begins."""
        return waves(self.nodes, held, self.together)

    def node(self, name: str) -> NodePlan | None:
        """The change of one node, or None."""
        return next((plan for plan in self.nodes if plan.node == name), None)


def _together(nodes: tuple[NodePlan, ...], before: State, after: State) -> tuple[Together, ...]:
    """For each group whose adverts change, the nodes that have to change in one moment."""
    found: dict[str, set[str]] = {}
    for node in nodes:
        for change in node.changes:
            for group in change.groups:
                found.setdefault(group, set()).add(node.node)
    return tuple(_of_group(group, changing, nodes, before, after) for group, changing in found.items())


def _of_group(group: str, changing: set[str], nodes: tuple[NodePlan, ...], before: State, after: State) -> Together:
    """Who joins the group or leaves it does so in the same moment: it would not understand the others either."""
    was, becomes = before.groups.get(group, {}), after.groups.get(group, {})
    moving = (was.keys() ^ becomes.keys()) & {node.node for node in nodes}
    parts = [*was.values(), *becomes.values()]
    members = was.keys() | becomes.keys() | {name for part in parts for name in part.peers or ()}
    together = frozenset(changing | moving)
    return Together((group,), together, patience_s(parts), tuple(sorted(members - together)))


Trees = Mapping[str, Configuration | None]


def make_plan(old: Mapping[str, Bundle], new: Mapping[str, Bundle]) -> Plan:
    """Compare two compiled clusters; equal digests mean that nothing changes."""
    with uncollected():
        return _made(old, new)


def _made(old: Mapping[str, Bundle], new: Mapping[str, Bundle]) -> Plan:
    trees = _trees(old, new)
    compiled = {node for side in (old, new) for node, bundle in side.items() if bundle.expected.vrrp}
    common = one_name({node: tree for side in trees for node, tree in side.items() if node not in compiled})
    names = {
        node: {**common.get(node, {}), **_later(renames(tree, trees[1].get(node)), common.get(node, {}))}
        for node, tree in trees[0].items()
    }
    before, after = State(old, trees[0], names), State(new, trees[1], common)
    nodes = []
    for name in sorted(old.keys() | new.keys()):
        was, becomes = old.get(name), new.get(name)
        if was is not None and becomes is not None and was.digest == becomes.digest:
            continue
        files = file_changes(was, becomes)
        changes = node_changes(was, becomes, (trees[0].get(name), trees[1].get(name)), files)
        called = common.get(name, {})
        seen = tuple(_among_members(change, called, before, after) for change in changes)
        waits, mine = groups.joins_unicast(name, before, after), before.of(name) | after.of(name)
        nodes.append(NodePlan(name, was, becomes, files, seen, turn(was, becomes), waits, mine))
    return _with_moves(tuple(nodes), before, after)


def _trees(old: Mapping[str, Bundle], new: Mapping[str, Bundle]) -> tuple[Trees, Trees]:
    """Each node's keepalived.conf on both sides, without the virtual servers that are alike there."""
    both = {node: without_alike(old[node], new[node], PATH) for node in old.keys() & new.keys()}
    return (
        {node: _tree(bundle, both[node][0] if node in both else bundle.file(PATH)) for node, bundle in old.items()},
        {node: _tree(bundle, both[node][1] if node in both else bundle.file(PATH)) for node, bundle in new.items()},
    )


def _tree(bundle: Bundle, file: BundleFile | None) -> Configuration | None:
    return configuration(file, bundle.node) if file else None


def _later(renamed: Mapping[str, str], common: Mapping[str, str]) -> dict[str, str]:
    """Old names → the names that all members' groups go by."""
    return {old: common.get(new, new) for old, new in renamed.items()}


def _among_members(change: Change, called: Mapping[str, str], before: State, after: State) -> Change:
    """A change that all members have to make at once, unless there is nobody else, or a member comes or goes."""
    if not change.groups:
        return change
    change = replace(change, groups=tuple(called.get(group, group) for group in change.groups))
    if all(groups.is_alone(group, before, after) for group in change.groups):
        row = table().named("group.alone")
    elif change.peer and groups.comes_or_goes(change.groups[0], change.peer, before, after):
        row = table().named("group.peer")
    else:
        return change
    return replace(change, row=row.id, hazard=row.hazard, why=row.why, safer=row.safer, groups=())


def _with_moves(nodes: tuple[NodePlan, ...], before: State, after: State) -> Plan:
    """What follows from all members together, told of the nodes that set it off."""
    held, together = groups.held(before), _together(nodes, before, after)
    found: dict[str, list[Change]] = {}
    for node, change in groups.moves(before, after, waves(nodes, held, together)):
        found.setdefault(node, []).append(change)
    for node, change in ties.torn({one.node: (one.old, one.new) for one in nodes}, before):
        found.setdefault(node, []).append(change)
    moved = tuple(replace(node, changes=(*node.changes, *found.get(node.node, ()))) for node in nodes)
    return Plan(moved, held, together)
