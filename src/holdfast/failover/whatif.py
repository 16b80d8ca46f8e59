"""What if: every failure of a cluster, alone and in pairs, each network in two, and what was asked for (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, permutations

from .failures import Failure, FailureKind, every_failure, every_partition, world_with
from .judge import holders, way
from .machine import Machine
from .model import Cluster, World
from .parts import parts_of, touches
from .play import Outcome, after, begin, forgets
from .result import Left, Missed, Promise, Report, Scenario, Way

DEPTH = 2
MOST_SCENARIOS = 4_000
MOST_WORK = 20_000  # some five seconds, once for what fails alone and once for what fails together
_MOST_DEPTH = 4


def what_if(
    cluster: Cluster, asked: Sequence[Failure] = (), *, depth: int = DEPTH, most: int = MOST_SCENARIOS
) -> Report:
    """Play every failure, all combinations up to `depth`, and every partition; or, with `asked`, only those failures.

    A combination is left out where its parts have nothing to do with each other, or where a node is dead anyway.
    """
    playing = _Playing(cluster)
    normal = playing.normal()
    if asked:
        entire = tuple(asked)
        steps = tuple(playing.step(entire[:number]) for number in range(1, len(entire) + 1))
        end = playing.scenario(entire, always=True)
        return Report(normal, asked=end, steps=steps, depth=len(entire), unplayed=playing.unplayed)
    atoms = every_failure(cluster)
    singles = tuple(playing.scenario((atom,), always=True, mend=True) for atom in atoms)
    partitions = tuple(playing.scenario((cut,), always=True, mend=True) for cut in every_partition(cluster))
    combined: list[Scenario] = []
    left_out = 0
    for size in range(2, min(depth, _MOST_DEPTH) + 1):
        for chosen in playing.related(atoms, size):
            if len(combined) >= most or playing.work > MOST_WORK:
                left_out += 1
            else:
                combined += playing.orders(chosen)
    return Report(
        normal,
        singles,
        tuple(combined),
        partitions,
        promises=_promises(cluster, singles),
        depth=depth,
        left_out=left_out,
        unplayed=playing.unplayed,
    )


@dataclass
class _Part:
    """A part of the cluster: at rest, and after failures that were played already."""

    cluster: Cluster
    begun: tuple[Outcome, ...]
    played: dict[tuple[Failure, ...], tuple[Outcome, ...]] = field(default_factory=dict)

    def play(self, failures: tuple[Failure, ...]) -> tuple[Outcome, ...]:
        """Every way in which it ends after these, one after another; from the likeliest beginning."""
        if not failures:
            return self.begun[:1]
        if failures not in self.played:
            world = world_with(self.cluster, failures)
            found: dict[tuple[object, ...], Outcome] = {}
            for outcome in self.play(failures[:-1]):
                for way_on in after(outcome.machine, world):
                    found.setdefault(tuple(sorted(way_on.states.items())), way_on)
            self.played[failures] = tuple(found.values())
        return self.played[failures]

    @property
    def work(self) -> int:
        """What one failure costs: the ways in which it is played, times its places."""
        return (1 if forgets(self.cluster) else 1 + len(self.cluster.nodes)) * len(self.cluster.places)

    def before(self) -> dict[str, tuple[str, ...]]:
        """Who holds each address while all is well."""
        return holders(self.begun[0].machine, self.cluster.holders_of)

    def ways(self, failures: tuple[Failure, ...]) -> tuple[Way, ...]:
        """The same, as users see it."""
        return tuple(way(outcome, self.before()) for outcome in self.play(failures))


class _Playing:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        atoms = every_failure(cluster)
        self._parts: list[_Part] = []
        self.unplayed = 0
        self.work = 0
        for part in parts_of(cluster):
            if self.work > MOST_WORK:
                self.unplayed += len({part.group(place) for place in part.places})
                continue
            self._parts.append(_Part(part, begin(part)))
            touching = sum(touches(part, atom) for atom in atoms)
            self.work += 2 * touching * self._parts[-1].work
        self.work = 0

    def normal(self) -> Scenario:
        """All is well; where the nodes may come up in more than one way, each is told."""
        ways = [tuple(way(outcome, {}) for outcome in part.begun) for part in self._parts]
        return Scenario((), _together(ways), backends=_backends(self._cluster, ()))

    def scenario(self, failures: tuple[Failure, ...], *, always: bool = False, mend: bool = False) -> Scenario:
        """These failures in their order; with `always` also the parts that not all of them touch."""
        touched = [part for part in self._parts if _touched(part.cluster, failures, every=not always)]
        ways = _together([part.ways(_of(part.cluster, failures)) for part in touched])
        found = Scenario(failures, ways, backends=_backends(self._cluster, failures))
        if mend:
            found = replace(found, mended=_mended(touched, failures))
        return replace(found, missed=_missed(self._cluster, found))

    def step(self, failures: tuple[Failure, ...]) -> Scenario:
        """What the last of these does to the likeliest end of those before it."""
        touched = [part for part in self._parts if touches(part.cluster, failures[-1])]
        ways = []
        for part in touched:
            mine = _of(part.cluster, failures)
            was = holders(part.play(mine[:-1])[0].machine, part.cluster.holders_of)
            ways.append(tuple(way(outcome, was) for outcome in part.play(mine)))
        return Scenario(failures[-1:], _together(ways), backends=_backends(self._cluster, failures, failures[-1:]))

    def related(self, atoms: Iterable[Failure], size: int) -> Iterable[tuple[Failure, ...]]:
        """Combinations that some part, or some pool of servers, feels all of."""
        atoms = sorted(atoms, key=lambda atom: list(FailureKind).index(atom.kind))
        seen: set[tuple[Failure, ...]] = set()
        for part in self._parts:
            mine = [atom for atom in atoms if touches(part.cluster, atom)]
            for chosen in combinations(mine, size):
                if chosen not in seen and not _idle(chosen):
                    seen.add(chosen)
                    yield chosen
        for backends in self._cluster.backends:
            mine = [atom for atom in atoms if atom.kind is FailureKind.SERVER and atom.node in backends.members]
            for chosen in combinations(mine, size):
                if chosen not in seen:
                    seen.add(chosen)
                    yield chosen

    def orders(self, chosen: tuple[Failure, ...]) -> list[Scenario]:
        """One scenario where the order does not matter, else one for each end that some order leads to."""
        found: dict[tuple[object, ...], Scenario] = {}
        touched = [part for part in self._parts if _touched(part.cluster, chosen, every=True)]
        orders = [chosen] if all(forgets(part.cluster) for part in touched) else list(permutations(chosen))
        self.work += len(orders) * sum(part.work for part in touched)
        for order in orders:
            scenario = self.scenario(order)
            found.setdefault(tuple(sorted(made.holders for made in scenario.ways)), scenario)
        if len(found) == 1:
            return list(found.values())
        return [replace(scenario, in_order=True) for scenario in found.values()]


def _of(part: Cluster, failures: Iterable[Failure]) -> tuple[Failure, ...]:
    return tuple(failure for failure in failures if touches(part, failure))


def _touched(part: Cluster, failures: tuple[Failure, ...], *, every: bool) -> bool:
    found = [touches(part, failure) for failure in failures]
    return all(found) if every else any(found)


def _idle(chosen: tuple[Failure, ...]) -> bool:
    """Whether something fails on a node that is dead anyway."""
    dead = {failure.node for failure in chosen if failure.kind is FailureKind.NODE}
    return any(failure.node in dead and failure.kind is not FailureKind.NODE for failure in chosen)


def _together(parts: Sequence[tuple[Way, ...]]) -> tuple[Way, ...]:
    """The likeliest way of every part at once, then each part's other ways alone, without their product."""
    if not parts:
        return (Way(()),)
    likeliest = tuple(ways[0] for ways in parts)
    first = Way(
        tuple(held for made in likeliest for held in made.held),
        tuple(sorted((c for made in likeliest for c in made.changes), key=lambda change: change.at)),
    )
    return (first, *(other for ways in parts for other in ways[1:]))


def _mended(touched: Sequence[_Part], failures: tuple[Failure, ...]) -> Way:
    ways = []
    for part in touched:
        broken = part.play(_of(part.cluster, failures))[0].machine
        was = holders(broken, part.cluster.holders_of)
        ways.append(tuple(way(outcome, was) for outcome in _healed(broken)))
    return _together(ways)[0]


def _healed(broken: Machine) -> tuple[Outcome, ...]:
    return after(broken, World())


def _backends(
    cluster: Cluster, failures: tuple[Failure, ...], last: tuple[Failure, ...] | None = None
) -> tuple[Left, ...]:
    """What is left of each pool and virtual server that lost something; with `last`, to these of the failures."""
    dead = _machines(failures)
    found = []
    for backends in cluster.behind(dead if last is None else _machines(last)):
        alive = {name: weight for name, weight in backends.members.items() if name not in dead}
        total, left = sum(backends.members.values()), sum(alive.values())
        sorry = backends.sorry if backends.sorry not in dead else ""
        # Without a sorry server keepalived leaves what lives in the table, quorum or not.
        served = left > 0 and (left >= backends.least or not sorry)
        found.append(Left(backends.name, left / total if served else 0.0, served, "" if served else sorry))
    return tuple(found)


def _machines(failures: Iterable[Failure]) -> set[str]:
    return {f.node for f in failures if f.kind in (FailureKind.SERVER, FailureKind.NODE)}


_PROMISED = {
    FailureKind.NODE: "node_lost",
    FailureKind.SERVICE: "service_lost",
    FailureKind.WATCH: "service_lost",
    FailureKind.LINK: "link_lost",
}


def _promised(cluster: Cluster) -> dict[str, float]:
    """What is promised, in seconds, by the name of the objective."""
    promises = cluster.promises
    named = {
        "node_lost": promises.node_lost_s,
        "service_lost": promises.service_lost_s,
        "link_lost": promises.link_lost_s,
    }
    return {name: seconds for name, seconds in named.items() if seconds is not None}


def _missed(cluster: Cluster, scenario: Scenario) -> tuple[Missed, ...]:
    """The promise for a single failure, where it cannot be kept."""
    objective = _PROMISED.get(scenario.failures[0].kind, "") if len(scenario.failures) == 1 else ""
    promised, takes = _promised(cluster).get(objective), scenario.within_s
    if promised is None or takes is None or takes <= promised:
        return ()
    return (Missed(objective, promised, takes),)


def _promises(cluster: Cluster, singles: Iterable[Scenario]) -> tuple[Promise, ...]:
    """Each promise with the longest that a failure it is about may take."""
    longest: dict[str, float] = {}
    for scenario in singles:
        objective = _PROMISED.get(scenario.failures[0].kind)
        if objective is not None and scenario.within_s is not None:
            longest[objective] = max(longest.get(objective, 0.0), scenario.within_s)
    return tuple(Promise(name, seconds, longest.get(name)) for name, seconds in _promised(cluster).items())
