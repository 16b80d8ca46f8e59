"""What keepalived's instances track, with the weights that really count."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from holdfast.failover.model import Instance, Tracker, Watch, Watched
from holdfast.keepalived.tree import Node as Tree

from .taken import text_of, whole

_BLOCKS = {
    "vrrp_script": Watched.SCRIPT,
    "track_file": Watched.FILE,
    "vrrp_track_file": Watched.FILE,
    "vrrp_track_process": Watched.PROCESS,
}
_TRACKING = ("vrrp_instance", "vrrp_sync_group")
_LISTS = {"track_script": Watched.SCRIPT, "track_file": Watched.FILE, "track_process": Watched.PROCESS}
_LEADING = re.compile(r"[+-]?[0-9]{1,10}")
_HEAVIEST = 254
_FILE_WEIGHT = 1  # of a file that says none; a process without one is a FAULT (2.2.7, whatever its man page says)


@dataclass(frozen=True)
class Definitions:
    """What a file defines to be tracked: its watches, and the weight and direction that trackers of it inherit.

    `lines` and `blocks` say in which order definitions and the blocks that track something stand.
    """

    watches: Mapping[tuple[Watched, str], Watch]
    weights: Mapping[tuple[Watched, str], tuple[int, bool]]
    lines: Mapping[tuple[Watched, str], int]
    blocks: Mapping[Tree, int]

    def knows(self, tree: Tree, key: tuple[Watched, str]) -> bool:
        """Whether what a block tracks is defined above it; keepalived looks nowhere else."""
        return key in self.lines and self.lines[key] < self.blocks[tree]


def definitions(root: Tree) -> Definitions:
    """Everything that may be tracked; of a name that is defined twice, the first counts."""
    watches: dict[tuple[Watched, str], Watch] = {}
    weights: dict[tuple[Watched, str], tuple[int, bool]] = {}
    lines: dict[tuple[Watched, str], int] = {}
    blocks: dict[Tree, int] = {}
    for at, tree in enumerate(root.all(*_BLOCKS, *_TRACKING)):
        if tree.name in _TRACKING:
            blocks[tree] = at
            continue
        kind, name = _BLOCKS[tree.name], tree.arg()
        if (kind, name) in watches:
            continue
        lines[(kind, name)] = at
        watches[(kind, name)] = _watch(kind, name, tree)
        weight = tree.get("weight")
        default = _FILE_WEIGHT if kind is Watched.FILE else 0
        reverse = weight is not None and weight.arg(1) == "reverse"
        # One that is out of range is told, and counts all the same (measured).
        weights[(kind, name)] = (whole(tree.value("weight"), default), reverse)
    return Definitions(watches, weights, lines, blocks)


def _watch(kind: Watched, name: str, tree: Tree) -> Watch:
    if kind is Watched.FILE:
        return Watch(kind, name)
    if kind is Watched.PROCESS:
        process = tree.value("process").rpartition("/")[2]
        return Watch(kind, name, title=process, service=process)
    interval = whole(text_of(tree, "interval"), 1)
    return Watch(
        kind,
        name,
        interval_s=interval,
        timeout_s=whole(text_of(tree, "timeout"), interval),
        rise=whole(text_of(tree, "rise"), 1),
        fall=whole(text_of(tree, "fall"), 1),
    )


def _listed(tree: Tree, defined: Definitions) -> list[Tracker]:
    """The lines of track_script and its like; keepalived ignores those for what is not defined above, and odd ones."""
    found: list[Tracker] = []
    for block, kind in _LISTS.items():
        for line in tree.listed(block):
            if defined.knows(tree, (kind, line.name)) and _is_read(line):
                weight, reverse = _weight(line, *defined.weights[(kind, line.name)])
                found.append(Tracker(kind, line.name, weight, reverse))
    return _once(found)


def _is_read(line: Tree) -> bool:
    """Whether keepalived takes the line: behind the name stands nothing, or `weight` and a number."""
    return not line.args or (line.arg() == "weight" and len(line.args) > 1)


def _weight(line: Tree, weight: int, reverse: bool) -> tuple[int, bool]:
    """The weight of a line, else what it inherits: the digits at its beginning count, and nothing that is too large."""
    words = line.words
    if len(words) < 3:
        return weight, reverse
    if "reverse" in words[3:]:
        reverse = True
    elif "noreverse" in words[3:]:
        reverse = False
    digits = _LEADING.match(words[2])
    given = int(digits[0]) if digits else 0
    return (given if abs(given) <= _HEAVIEST else weight), reverse


def _once(trackers: Iterable[Tracker]) -> list[Tracker]:
    """Of what is tracked twice in one place the first counts."""
    found: dict[tuple[Watched, str], Tracker] = {}
    for tracker in trackers:
        found.setdefault((tracker.kind, tracker.name), tracker)
    return list(found.values())


def own_trackers(tree: Tree, defined: Definitions, made: Instance, *, weighted: bool) -> list[Tracker]:
    """What an instance tracks by itself; not `weighted`: it is in a sync group that ignores weights, or an owner.

    Weights of interfaces count all the same: 2.2.7 says that it ignores them, after it has taken them (measured).
    """
    listed = _listed(tree, defined)
    interfaces = [_interface(line) for line in _interfaces(tree) if line.name != made.interface]
    if not weighted:
        listed = [_unweighted(tracker) for tracker in listed]
    return [*listed, *_carriers(tree, made, _once(interfaces))]


def _unweighted(tracker: Tracker) -> Tracker:
    """A weight of 1, a file's default, becomes 0; any other makes keepalived leave the tracker out.

    Processes are spared: 2.2.7 forgets to look at them there.
    """
    if tracker.weight == 0 or tracker.kind is Watched.PROCESS:
        return tracker
    if tracker.kind is Watched.FILE and tracker.weight == _FILE_WEIGHT:
        return Tracker(tracker.kind, tracker.name, 0, tracker.reverse)
    return replace(tracker, ignored=True)


def _interfaces(tree: Tree) -> list[Tree]:
    return [line for line in tree.listed("track_interface") if _is_read(line)]


def _interface(line: Tree) -> Tracker:
    return Tracker(Watched.INTERFACE, line.name, *_weight(line, 0, False))


def _carriers(tree: Tree, made: Instance, named: list[Tracker]) -> list[Tracker]:
    """The interfaces that count: those named, the instance's own, and every one that carries an address of it.

    A weight of an interface that carries an address is lost: its loss is a FAULT.
    """
    found = {tracker.name: tracker for tracker in named}
    untracked = tree.has("dont_track_primary")
    carrying = [] if untracked else [made.interface]
    for line in tree.listed("virtual_ipaddress", "virtual_ipaddress_excluded"):
        words = line.words
        device = words[words.index("dev") + 1] if "dev" in words[:-1] else made.interface
        if "no_track" not in words and not (untracked and device == made.interface):
            carrying.append(device)
    for device in carrying:
        if device:
            found[device] = Tracker(Watched.INTERFACE, device, 0, device in found and found[device].reverse)
    return list(found.values())


def sync_trackers(own: list[Tracker], block: Tree | None, defined: Definitions) -> tuple[Tracker, ...]:
    """An instance's trackers with those of its sync group, which count for each member.

    What both track has the group's weight, unless the instance's own is a FAULT.
    """
    found = {(tracker.kind, tracker.name): tracker for tracker in own}
    if block is not None:
        for tracker in [*_listed(block, defined), *_once(_interface(line) for line in _interfaces(block))]:
            mine = found.get((tracker.kind, tracker.name))
            if mine is None or mine.weight:
                found[(tracker.kind, tracker.name)] = tracker
    return tuple(found.values())


def blocked_by(own: list[Tracker], block: Tree | None, defined: Definitions) -> str:
    """A script without a weight that an instance tracks, and its sync group too: it never leaves FAULT (measured).

    2.2.7 waits for the first answer twice, and is given it once.
    """
    if block is None:
        return ""
    both = {tracker for tracker in _listed(block, defined) if tracker.weight == 0 and tracker.kind is Watched.SCRIPT}
    named = {tracker.name for tracker in both}
    mine = (tracker.name for tracker in own if tracker.kind is Watched.SCRIPT and tracker.weight == 0)
    name = next((name for name in mine if name in named), "")
    return f"script {name}, tracked by the sync group as well: keepalived waits for ever" if name else ""
