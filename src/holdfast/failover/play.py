"""From one world to the next: what each node notices when, at the latest, and every way in which it may end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from .machine import Machine
from .model import LINK_WATCH_S, Cluster, Place, Tracker, Watched, World
from .router import NEVER, Change, Ranked, State

_LATE_S = 0.02  # what sets nodes apart that would act together; more than a busy machine's jitter, less than most skews
_HEAD_STARTS_S = (0.05, 0.1, 0.2, 0.4, NEVER)  # of the node that starts first

Key = tuple[str, Watched, str]


@dataclass(frozen=True)
class Outcome:
    """One way in which a change of the world may end. Times in seconds from that change, the latest possible ones.

    Not `settled`: it never comes to rest. `machine` is at its end; copy it to go on.
    """

    machine: Machine
    changes: tuple[Change, ...]
    settled: bool

    @property
    def ranked(self) -> tuple[Ranked, ...]:
        """Each change of a priority."""
        return tuple(self.machine.ranked)

    @property
    def states(self) -> dict[Place, State]:
        """Each instance's state at the end."""
        return self.machine.states()

    @property
    def took_s(self) -> float:
        """When the last instance changed its state; 0 where none did."""
        return max((change.at for change in self.changes), default=0.0)

    @property
    def active_since(self) -> dict[Place, float]:
        """When each instance that is ACTIVE at the end, and was not at the beginning, became so."""
        return {
            change.place: change.at
            for change in self.changes
            if change.after is State.ACTIVE and self.machine.state(change.place) is State.ACTIVE
        }


def begin(cluster: Cluster, world: World | None = None) -> tuple[Outcome, ...]:
    """Every way in which a cluster may come up: all nodes together, or each one in turn before all others."""
    entire = world or World()
    if forgets(cluster):
        return (_started(cluster, entire, {}),)
    together = (_started(cluster, entire, late) for late in _latenesses(cluster))
    apart = (_one_first(cluster, entire, name, start) for name in cluster.nodes for start in _HEAD_STARTS_S)
    return _distinct(chain(together, apart), slowest=True)


def likeliest(cluster: Cluster, world: World | None = None) -> Outcome:
    """How it most likely comes up: all nodes together, none of them late."""
    return _started(cluster, world or World(), {})


def after(machine: Machine, world: World) -> tuple[Outcome, ...]:
    """Every way in which the cluster may end in a new world; the likeliest first. `machine` is left as it is."""
    if forgets(machine.cluster):
        return (_changed(machine, world, {}),)
    return _distinct(_changed(machine, world, late) for late in _latenesses(machine.cluster))


def forgets(cluster: Cluster) -> bool:
    """Whether the end never hangs on what came before, nor on who is quicker.

    So it is where everybody preempts, nobody's priority can become another's, and no sync group waits for its members.
    """
    routers: dict[tuple[int, int], list[int]] = {}
    for place in cluster.places:
        instance = cluster.instance(place)
        if not instance.preempt or place[1] in cluster.nodes[place[0]].group_of:
            return False
        if any(_weighs(cluster, place, tracker) for tracker in instance.trackers):
            return False
        routers.setdefault((instance.vrid, instance.family), []).append(instance.priority)
    return all(len(set(priorities)) == len(priorities) for priorities in routers.values())


def _weighs(cluster: Cluster, place: Place, tracker: Tracker) -> bool:
    """Whether a tracker may change a priority; a hold file knows but two values, neither of them a step of it."""
    watch = cluster.nodes[place[0]].watched.get((tracker.kind, tracker.name))
    return bool(tracker.weight) and not tracker.ignored and not (watch is not None and watch.by_hand)


def _latenesses(cluster: Cluster) -> Iterator[dict[str, float]]:
    """Nobody late, then each node in turn: what depends on who comes first shows in the difference."""
    yield {}
    for name in cluster.nodes:
        yield {name: _LATE_S}


def _distinct(outcomes: Iterator[Outcome], *, slowest: bool = False) -> tuple[Outcome, ...]:
    """Of those that end alike, the first stands for all; or the slowest, in its place."""
    found: dict[tuple[tuple[Place, State], ...], Outcome] = {}
    for outcome in outcomes:
        key = tuple(sorted(outcome.states.items()))
        if key not in found or (slowest and outcome.took_s > found[key].took_s):
            found[key] = outcome
    return tuple(found.values())


def _started(cluster: Cluster, world: World, late: dict[str, float]) -> Outcome:
    machine = Machine(cluster, world, late)
    settled = machine.settle()
    return Outcome(machine, tuple(machine.changes), settled)


def _one_first(cluster: Cluster, world: World, first: str, head_start_s: float) -> Outcome:
    """`first` comes up before the others, by a moment or so long that it has settled."""
    machine = Machine(cluster, replace(world, dead=frozenset(cluster.nodes) - {first}))
    if head_start_s < NEVER:
        machine.advance(head_start_s)
    else:
        machine.settle()
    machine.enter(world)
    settled = machine.settle()
    return Outcome(machine, tuple(machine.changes), settled)


def _changed(machine: Machine, world: World, late: dict[str, float]) -> Outcome:
    """The worst moment for each thing to be noticed is just after a master's advert."""
    moving = machine.copy(late)
    delays = _delays(machine, world)
    for at in sorted({0.0, *delays.values()}):
        moving.advance(at)
        moving.align()
        moving.enter(_noticed(machine.world, world, delays, at))
    settled = moving.settle()
    return Outcome(moving, tuple(moving.changes), settled)


def _delays(machine: Machine, world: World) -> dict[Key, float]:
    """What is noticed late, and how late at most: what scripts tell, and links that lose their carrier."""
    delays: dict[Key, float] = {}
    for key in machine.world.failed ^ world.failed:
        node = machine.cluster.nodes.get(key[0])
        watch = node.watched.get((key[1], key[2])) if node is not None else None
        if watch is not None and world.runs(key[0]) and machine.world.runs(key[0]):
            delays[key] = watch.detection_s if key in world.failed else watch.recovery_s
    for node_name, interface in world.links - machine.world.links:
        if world.runs(node_name) and machine.world.runs(node_name):
            delays[(node_name, Watched.INTERFACE, interface)] = LINK_WATCH_S
    return {key: delay for key, delay in delays.items() if delay > 0}


def _noticed(before: World, world: World, delays: Mapping[Key, float], at: float) -> World:
    """The new world as it is `at` seconds after the change: some of it is not noticed yet."""
    late = {key for key, delay in delays.items() if delay > at}
    failed = (world.failed - late) | (before.failed & late)
    unnoticed = frozenset((node, name) for node, kind, name in late if kind is Watched.INTERFACE)
    return replace(world, failed=failed, links=world.links - unnoticed, unnoticed=unnoticed)
