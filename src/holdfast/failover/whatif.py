"""What if: every failure of a cluster, alone and in pairs, each network in two, and what was asked for (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations, permutations

from holdfast.errors import UsageError
from holdfast.sentences import Sentence

from .failures import Failure, FailureKind, every_failure, every_partition, world_with
from .judge import holders, way
from .machine import Machine
from .model import Cluster, World
from .parts import felt, networks_of, parts_of
from .play import Outcome, after, begin, forgets
from .result import Left, Missed, Promise, Report, Scenario, Way

DEPTH = 2
MOST_SCENARIOS = 4_000
MOST_FAILURES = 20_000  # and as many instances; 255 virtual routers fit a network
MOST_COUNTED = 100_000  # of the combinations that are not played
MOST_WORK = 20_000  # some five seconds, once for what fails alone and once for what fails together
MOST_WORK_OF_PART = 5_000  # 58 nodes that share a virtual router, or 800 virtual routers in groups of two nodes
_RESTLESS = 20  # times as long takes what never comes to rest
_MOST_DEPTH = 4


def what_if(
    cluster: Cluster, asked: Sequence[Failure] = (), *, depth: int = DEPTH, most: int = MOST_SCENARIOS
) -> Report:
    """Play every failure, all combinations up to `depth`, and every partition; or, with `asked`, only those failures.

    A combination is left out where its parts have nothing to do with each other, or where a node is dead anyway.
    """
    atoms = every_failure(cluster)
    if max(len(atoms), len(cluster.places)) > MOST_FAILURES:
        raise UsageError(
            Sentence(
                "%(n)s VRRP instances and %(most)s things that may fail: too many to play",
                n=f"{len(cluster.places):,}",
                most=f"{len(atoms):,}",
            ),
            Sentence("%(most)s of each is the most; ask about a part of the file", most=f"{MOST_FAILURES:,}"),
        )
    playing = _Playing(cluster, atoms)
    normal = playing.normal()
    if asked:
        entire = tuple(asked)
        steps = tuple(playing.step(entire[:number]) for number in range(1, len(entire) + 1))
        end = playing.scenario(entire, always=True)
        return Report(normal, asked=end, steps=steps, depth=len(entire), unplayed=playing.unplayed)
    singles = tuple(playing.scenario((atom,), always=True, mend=True) for atom in atoms)
    partitions = tuple(playing.scenario((cut,), always=True, mend=True) for cut in every_partition(cluster))
    combined: list[Scenario] = []
    left_out = 0
    for size in range(2, min(depth, _MOST_DEPTH) + 1):
        for chosen in playing.related(size):
            if len(combined) < most and playing.work <= MOST_WORK:
                combined += playing.orders(chosen)
            elif (left_out := left_out + 1) >= MOST_COUNTED:
                break
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
    work: int
    played: dict[tuple[Failure, ...], tuple[Outcome, ...]] = field(default_factory=dict)

    @cached_property
    def felt(self) -> frozenset[Failure]:
        """What can change anything here, partitions left out."""
        return felt(self.cluster)

    @cached_property
    def _networks(self) -> Mapping[str, frozenset[str]]:
        return networks_of(self.cluster)

    def feels(self, failure: Failure) -> bool:
        """Whether a failure can change anything here."""
        if failure.kind is not FailureKind.PARTITION:
            return failure in self.felt
        on = self._networks.get(failure.what, frozenset())
        return bool(on & set(failure.side)) and bool(on - set(failure.side))

    def of(self, failures: Iterable[Failure]) -> tuple[Failure, ...]:
        """Those of them that it feels."""
        return tuple(failure for failure in failures if self.feels(failure))

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

    def before(self) -> dict[str, tuple[str, ...]]:
        """Who holds each address while all is well."""
        return holders(self.begun[0].machine, self.cluster.holders_of)

    def ways(self, failures: tuple[Failure, ...]) -> tuple[Way, ...]:
        """The same, as users see it."""
        return tuple(way(outcome, self.before()) for outcome in self.play(failures))


class _Playing:
    def __init__(self, cluster: Cluster, atoms: Sequence[Failure]) -> None:
        self._cluster = cluster
        self.unplayed = 0
        self.work = 0
        self._parts = self._begun(set(atoms))
        self._feeling: dict[Failure, list[int]] = {}
        for at, made in enumerate(self._parts):
            for failure in made.felt:
                self._feeling.setdefault(failure, []).append(at)
        kinds = list(FailureKind)
        self._rank = {atom: at for at, atom in enumerate(sorted(atoms, key=lambda atom: kinds.index(atom.kind)))}

    def _begun(self, atoms: Set[Failure]) -> list[_Part]:
        """The parts that are looked at, at rest: those that take little before those that take much."""
        parts = parts_of(self._cluster)
        works = [_work(part) for part in parts]
        spent, found = 0, {}
        for at in sorted(range(len(parts)), key=works.__getitem__):
            if spent > MOST_WORK or works[at] > MOST_WORK_OF_PART:
                self.unplayed += len({parts[at].group(place) for place in parts[at].places})
                continue
            begun = begin(parts[at])
            work = works[at] * (1 if all(outcome.settled for outcome in begun) else _RESTLESS)
            found[at] = _Part(parts[at], begun, work)
            spent += 2 * len(found[at].felt & atoms) * work
        return [found[at] for at in sorted(found)]

    def _touched(self, failures: Iterable[Failure], *, every: bool) -> list[_Part]:
        """The parts that feel any of these failures, or every one of them."""
        each = [self._that_feel(failure) for failure in failures]
        found = set.intersection(*each) if every else set.union(*each)
        return [self._parts[at] for at in sorted(found)]

    def _that_feel(self, failure: Failure) -> set[int]:
        if failure.kind is FailureKind.PARTITION and failure not in self._feeling:
            self._feeling[failure] = [at for at, part in enumerate(self._parts) if part.feels(failure)]
        return set(self._feeling.get(failure, ()))

    def normal(self) -> Scenario:
        """All is well; where the nodes may come up in more than one way, each is told."""
        ways = [tuple(way(outcome, {}) for outcome in part.begun) for part in self._parts]
        return Scenario((), _together(ways), backends=_backends(self._cluster, ()))

    def scenario(self, failures: tuple[Failure, ...], *, always: bool = False, mend: bool = False) -> Scenario:
        """These failures in their order; with `always` also the parts that not all of them touch."""
        touched = self._touched(failures, every=not always)
        ways = _together([part.ways(part.of(failures)) for part in touched])
        found = Scenario(failures, ways, backends=_backends(self._cluster, failures))
        if mend:
            found = replace(found, mended=_mended(touched, failures))
        return replace(found, missed=_missed(self._cluster, found))

    def step(self, failures: tuple[Failure, ...]) -> Scenario:
        """What the last of these does to the likeliest end of those before it."""
        ways = []
        for part in self._touched(failures[-1:], every=True):
            mine = part.of(failures)
            was = holders(part.play(mine[:-1])[0].machine, part.cluster.holders_of)
            ways.append(tuple(way(outcome, was) for outcome in part.play(mine)))
        return Scenario(failures[-1:], _together(ways), backends=_backends(self._cluster, failures, failures[-1:]))

    def related(self, size: int) -> Iterator[tuple[Failure, ...]]:
        """Combinations that some part, or some pool of servers, feels all of; those of things, not of partitions."""
        seen: set[tuple[Failure, ...]] = set()
        for part in self._parts:
            for chosen in combinations(self._in_order(part.felt), size):
                if chosen not in seen and not _idle(chosen):
                    seen.add(chosen)
                    yield chosen
        for backends in self._cluster.backends:
            servers = (Failure(FailureKind.SERVER, name) for name in backends.members)
            for chosen in combinations(self._in_order(servers), size):
                if chosen not in seen:
                    seen.add(chosen)
                    yield chosen

    def _in_order(self, failures: Iterable[Failure]) -> list[Failure]:
        return sorted((one for one in failures if one in self._rank), key=self._rank.__getitem__)

    def orders(self, chosen: tuple[Failure, ...]) -> list[Scenario]:
        """One scenario where the order does not matter, else one for each end that some order leads to."""
        found: dict[tuple[object, ...], Scenario] = {}
        touched = self._touched(chosen, every=True)
        orders = [chosen] if all(forgets(part.cluster) for part in touched) else list(permutations(chosen))
        self.work += len(orders) * sum(part.work for part in touched)
        for order in orders:
            scenario = self.scenario(order)
            found.setdefault(tuple(sorted(made.holders for made in scenario.ways)), scenario)
        if len(found) == 1:
            return list(found.values())
        return [replace(scenario, in_order=True) for scenario in found.values()]


def _work(part: Cluster) -> int:
    """What one failure costs: the ways in which it is played, times who hears whom."""
    together = Counter((i.vrid, i.family, bool(i.peers)) for node in part.nodes.values() for i in node.instances)
    heard = sum(max(number, number * number // 2) for number in together.values())
    return (1 if forgets(part) else 1 + len(part.nodes)) * heard


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
        broken = part.play(part.of(failures))[0].machine
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
