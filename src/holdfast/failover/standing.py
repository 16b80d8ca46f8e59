"""How an instance stands: its effective priority and what puts it into FAULT, as keepalived counts them (pure)."""

from __future__ import annotations

from dataclasses import dataclass

from .model import HIGHEST, LOWEST, Instance, Node, Tracker, Watch, Watched, World

_FAULT = -254  # a file's number times its weight from which keepalived gives the instance up
_MOST = 253  # what one file adds: so does keepalived clamp it
_WELL = World()


@dataclass(frozen=True)
class Standing:
    """`priority` is what the instance advertises; `faults` names what keeps it from holding anything."""

    priority: int
    faults: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()  # what changes the priority only


def standing(node: Node, instance: Instance, world: World) -> Standing:
    """The standing of `instance` on `node` in a world; each tracker adds to the priority or is a FAULT."""
    total = instance.priority
    faults: list[str] = [instance.blocked] if instance.blocked else []
    losses: list[str] = []
    for tracker in instance.trackers:
        added, well = _effect(node, tracker, world)
        if added is None:
            faults.append(describe(node, tracker))
            continue
        total += added
        if not well:  # also of an owner, which nothing outranks: what it lost moves nothing, and that should be told
            losses.append(describe(node, tracker))
    return Standing(_kept(instance, total), tuple(dict.fromkeys(faults)), tuple(dict.fromkeys(losses)))


class Reckoning:
    """What one loss after the other makes of an instance. It looks at each tracker in health, and once it is lost:
    to ask `standing` of each of a hundred thousand losses would take hours."""

    __slots__ = ("_by_key", "_faults", "_instance", "_node", "_total")

    def __init__(self, node: Node, instance: Instance) -> None:
        self._node, self._instance = node, instance
        self._total, self._faults = instance.priority, int(bool(instance.blocked))
        self._by_key: dict[tuple[Watched, str], list[Tracker]] = {}
        for tracker in instance.trackers:
            self._by_key.setdefault((tracker.kind, tracker.name), []).append(tracker)
            added = _effect(node, tracker, _WELL)[0]
            self._total += added or 0
            self._faults += added is None

    @property
    def healthy(self) -> int:
        """The priority while all is well."""
        return _kept(self._instance, self._total)

    def without(self, kind: Watched, name: str) -> tuple[int, bool]:
        """The priority once that is lost, and nothing else; and whether the instance is in FAULT then."""
        link = kind is Watched.INTERFACE
        lost = (
            World(links=frozenset({(self._node.name, name)}))
            if link
            else World(failed=frozenset({(self._node.name, kind, name)}))
        )
        total, faults = self._total, self._faults
        for tracker in self._by_key.get((kind, name), ()):
            before, after = (_effect(self._node, tracker, world)[0] for world in (_WELL, lost))
            total += (after or 0) - (before or 0)
            faults += (after is None) - (before is None)
        return _kept(self._instance, total), faults > 0


def _kept(instance: Instance, total: int) -> int:
    """Clamping is keepalived's: an owner's priority never changes, all others stay within 1 to 254."""
    return instance.priority if instance.owner else max(LOWEST, min(HIGHEST, total))


def _effect(node: Node, tracker: Tracker, world: World) -> tuple[int | None, bool]:
    """(what it adds to the priority, or None for FAULT; whether what it looks at is well)."""
    if tracker.kind is Watched.FILE:
        return _file(node, tracker, world)
    well = _well(node, tracker, world)
    if tracker.ignored:
        return 0, well
    if tracker.weight == 0:
        return (0 if well != tracker.reverse else None), well
    sign = -1 if tracker.reverse else 1
    # A positive weight counts while all is well, a negative one once it is not.
    return (tracker.weight * sign if well == (tracker.weight > 0) else 0), well


def _well(node: Node, tracker: Tracker, world: World) -> bool:
    if tracker.kind is Watched.INTERFACE:
        return (node.name, tracker.name) not in world.links
    return (node.name, tracker.kind, tracker.name) not in world.failed


def _file(node: Node, tracker: Tracker, world: World) -> tuple[int | None, bool]:
    """A file's number times the weight; without a weight anything but 0 is a FAULT (with `reverse`, 0 is)."""
    watch = node.watched.get((Watched.FILE, tracker.name)) or Watch(Watched.FILE, tracker.name)
    lost = (node.name, Watched.FILE, tracker.name) in world.failed
    value = world.values.get((node.name, tracker.name), watch.lost if lost else watch.well)
    well = value == watch.well
    if tracker.ignored:
        return 0, well
    if tracker.weight == 0:
        return (None if bool(value) != tracker.reverse else 0), well
    status = value * tracker.weight * (-1 if tracker.reverse else 1)
    return (None if status <= _FAULT else min(status, _MOST)), well


def describe(node: Node, tracker: Tracker) -> str:
    """What is watched, for people: `nginx`, `eth1`, `script check_web`."""
    watch = node.watched.get((tracker.kind, tracker.name))
    title = watch.title if watch is not None and watch.title else f"{tracker.kind} {tracker.name}"
    return f"{title}, which keepalived ignores" if tracker.ignored else title
