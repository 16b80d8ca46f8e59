"""What the weights of trackers mean, where that can be proved by trying every combination of failures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from .blocks import Values
from .peers import Group, priority_of

TRACKERS = ("track_script", "track_process", "track_file", "track_interface", "track_bfd")
_MOST = 8  # weighted trackers of one node: 256 combinations
_LOWEST, _HIGHEST, _OWNER = 1, 254, 255

Loss = Literal["release", "yield"]


@dataclass(frozen=True)
class _Tracker:
    kind: str
    index: int
    weight: int


@dataclass(frozen=True)
class _Member:
    """A node of a group: its base priority, and what is added or taken with each tracker."""

    base: int
    trackers: tuple[_Tracker, ...]

    def priority(self, failed: frozenset[_Tracker]) -> int:
        """The effective priority: a positive weight counts while all is well, a negative one once it is not."""
        gained = sum(one.weight for one in self.trackers if one.weight > 0 and one not in failed)
        lost = sum(one.weight for one in self.trackers if one.weight < 0 and one in failed)
        return min(max(self.base + gained + lost, _LOWEST), _HIGHEST)


def mark_intent(group: Group, weights: Mapping[str, Mapping[str, int]], in_sync_group: frozenset[str]) -> None:
    """Set `on_loss` on every tracker of the group whose meaning is certain.

    `weights`: node → what scripts and processes weigh where their user says nothing. `release`: no weight, so the
    instance goes into FAULT. `yield`: with this tracker failed, and whatever else fails on the node, its priority is
    below that of every other node on which nothing fails, and such a node takes over, since it preempts. Nothing is
    said of files, whose numbers are not known here, nor of members of sync groups, whose priorities are not alone.
    """
    members = {node: _member(values, weights.get(node, {})) for node, (_, values) in group.members.items()}
    for node, (name, values) in group.members.items():
        if members[node].base == _OWNER or name in in_sync_group:
            continue
        preempts = not any(other.get("nopreempt") for _, other in group.members.values())
        proved = _yields(members, node) if preempts else frozenset()
        for kind, index, weight in _weights(values, weights.get(node, {})):
            meaning: Loss | None = "release" if weight == 0 else None
            if any((one.kind, one.index) == (kind, index) for one in proved):
                meaning = "yield"
            if meaning and not values[kind][index].get("reverse"):
                values[kind][index]["on_loss"] = meaning


def _yields(members: Mapping[str, _Member], node: str) -> frozenset[_Tracker]:
    """The trackers of `node` whose failure puts it below every sound peer, whatever else of it fails."""
    mine = members[node]
    peers = [member.priority(frozenset()) for other, member in members.items() if other != node]
    if not peers or len(mine.trackers) > _MOST:
        return frozenset()
    bad = {one for failed in _combinations(mine.trackers) if mine.priority(failed) >= min(peers) for one in failed}
    return frozenset(one for one in mine.trackers if one not in bad)


def _combinations(trackers: tuple[_Tracker, ...]) -> Iterator[frozenset[_Tracker]]:
    for size in range(1, len(trackers) + 1):
        for chosen in combinations(trackers, size):
            yield frozenset(chosen)


def _member(values: Values, defaults: Mapping[str, int]) -> _Member:
    trackers = tuple(_Tracker(*one) for one in _weights(values, defaults) if one[2] != 0)
    return _Member(priority_of(values), trackers)


def _weights(values: Values, defaults: Mapping[str, int]) -> Iterator[tuple[str, int, int]]:
    """(kind, place, weight) of every tracker whose weight is known."""
    for kind in TRACKERS:
        if kind == "track_file":
            continue
        for index, one in enumerate(values.get(kind, ())):
            weight = one.get("weight", defaults.get(f"{kind} {one['name']}", 0 if kind != "track_process" else None))
            if weight is not None:
                yield kind, index, weight
