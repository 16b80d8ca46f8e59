"""What came of a failure: who holds each address then, why, within what time, and what is left."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from .failures import Failure, FailureKind
from .model import Place
from .router import Change, State


class Verdict(StrEnum):
    """What a failure does to an address, from good to bad."""

    STAYS = "stays"
    MOVES = "moves"
    STUCK = "stuck"  # with a node that lost what it tracks, although a sound one stands by
    TWO = "two holders"
    RESTLESS = "never settles"
    NOBODY = "nobody serves"

    @property
    def rank(self) -> int:
        """How bad it is."""
        return list(Verdict).index(self)


HARM = frozenset({Verdict.STUCK, Verdict.TWO, Verdict.RESTLESS, Verdict.NOBODY})


@dataclass(frozen=True)
class Part:
    """A node's part in a group at the end: what it is, and its effective priority, None where it takes no part.

    `lost` is what keeps it in FAULT, or changes its priority.
    """

    node: str
    state: State
    priority: int | None
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class Held:
    """The addresses of one group that the same nodes may hold. `within_s` is when they have moved, at the latest.

    `left` of `total` is the capacity of the nodes that may hold them still. `why` is for people, in the order of time.
    """

    group: str
    addresses: tuple[str, ...]
    before: tuple[str, ...]
    holders: tuple[str, ...]
    verdict: Verdict
    within_s: float | None
    why: tuple[str, ...]
    left: float
    total: float
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Left:
    """The share of a pool's or a virtual server's weight that serves, 0 to 1; not `served`: none of its servers does.

    `sorry` is the host that answers in their place.
    """

    name: str
    share: float
    served: bool
    sorry: str = ""

    @property
    def words(self) -> str:
        """For people."""
        if self.served:
            return f"{self.share:.0%}"
        return f"its sorry server {self.sorry} alone" if self.sorry else "nobody"


@dataclass(frozen=True)
class Way:
    """One way in which a scenario ends; where there are several, it hangs on which node is quicker."""

    held: tuple[Held, ...]
    changes: tuple[Change, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of all addresses."""
        return max((held.verdict for held in self.held), key=lambda verdict: verdict.rank, default=Verdict.STAYS)

    @property
    def holders(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Group and holders, to tell ways apart."""
        return tuple((held.group, held.holders) for held in self.held)


@dataclass(frozen=True)
class Missed:
    """A promised time that cannot be kept: the spec's objective, and the longest time that it may take. Seconds."""

    objective: str
    promised_s: float
    takes_s: float


@dataclass(frozen=True)
class Promise:
    """A promised time, and the longest that any single failure it is about may take. Seconds.

    `takes_s` is None where no such failure moves anything.
    """

    objective: str
    promised_s: float
    takes_s: float | None

    @property
    def kept(self) -> bool:
        """Whether it can be kept whatever fails by itself; an outage, which no time ends, is told elsewhere."""
        return self.takes_s is None or self.takes_s <= self.promised_s


@dataclass(frozen=True)
class Scenario:
    """These failures, one after another, each once the one before it has settled.

    `mended` is how it ends when the failure of a scenario of one is mended; `states` is every instance at the end.
    """

    failures: tuple[Failure, ...]
    ways: tuple[Way, ...]
    backends: tuple[Left, ...] = ()
    missed: tuple[Missed, ...] = ()
    mended: Way | None = None
    in_order: bool = False  # another order ends otherwise
    states: dict[Place, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """For people."""
        joint = ", then " if self.in_order else " + "
        return joint.join(failure.title for failure in self.failures) or "all is well"

    @property
    def verdict(self) -> Verdict:
        """The worst that may come of it."""
        served = all(left.served for left in self.backends)
        worst = max((way.verdict for way in self.ways), key=lambda verdict: verdict.rank, default=Verdict.STAYS)
        return worst if served else Verdict.NOBODY

    @property
    def harmful(self) -> bool:
        """Whether users notice more than a move. That a network in two has two holders is not counted."""
        split = any(failure.kind is FailureKind.PARTITION for failure in self.failures)
        return self.verdict in HARM and not (split and self.verdict is Verdict.TWO)

    @property
    def within_s(self) -> float | None:
        """When the last address has moved; None where none did."""
        return max((h.within_s for way in self.ways for h in way.held if h.within_s is not None), default=None)


@dataclass(frozen=True)
class Report:
    """All of it. `left_out` scenarios at least were not played, because there are too many."""

    normal: Scenario
    singles: tuple[Scenario, ...] = ()
    combined: tuple[Scenario, ...] = ()
    partitions: tuple[Scenario, ...] = ()
    asked: Scenario | None = None
    steps: tuple[Scenario, ...] = ()  # of what was asked for: what each failure does after those before it
    promises: tuple[Promise, ...] = ()
    depth: int = 0
    left_out: int = 0
    unplayed: int = 0  # groups that were not looked at, for the same reason

    @property
    def complete(self) -> bool:
        """Whether every group was looked at: nothing is known of the others, least of all that they are well."""
        return not self.unplayed

    @property
    def outages(self) -> tuple[Scenario, ...]:
        """The single failures that users notice as more than a move."""
        return tuple(scenario for scenario in self.singles if scenario.harmful)

    @property
    def split(self) -> tuple[Scenario, ...]:
        """The partitions that give two holders."""
        return tuple(scenario for scenario in self.partitions if scenario.verdict is Verdict.TWO)

    @property
    def harmful(self) -> bool:
        """Whether what was asked for, else all being well or any single failure, is an outage."""
        if self.asked is not None:
            return self.asked.harmful
        return self.normal.harmful or bool(self.outages)
