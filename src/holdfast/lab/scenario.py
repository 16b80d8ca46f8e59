"""What a rehearsal does to a cluster: steps, each one a fault, a repair or a change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from holdfast.protocol import OverrideKind
from holdfast.sentences import Sentence
from holdfast.spec.load import LoadedSpec
from holdfast.spec.vrrp import VrrpGroup


class Kind(StrEnum):
    """Which of the spec's objectives a step is held to; `recovery` and `wait` have none."""

    NODE_LOST = "node_lost"
    NODE_FROZEN = "node_frozen"
    SERVICE_LOST = "service_lost"
    LINK_LOST = "link_lost"
    PARTITION = "partition"
    BACKEND_LOST = "backend_lost"
    PLANNED = "planned"
    REFUSED = "refused"
    DISK_FULL = "disk_full"
    RECOVERY = "recovery"
    WAIT = "wait"


class Breakage(StrEnum):
    """What can be broken. The names are those of the scenario file."""

    CRASH = "crash"
    FREEZE = "freeze"
    HANG_KEEPALIVED = "hang_keepalived"
    CABLE = "cable"
    PARTITION = "partition"
    KILL_SERVICE = "kill_service"
    STOP_SERVICE = "stop_service"
    FAIL_SCRIPT = "fail_script"
    FULL_DISK = "full_disk"
    SLOW_BACKEND = "slow_backend"
    KILL_BACKEND = "kill_backend"


# In the words of the scenario file, which other languages have words for.
_SAID = {
    Breakage.CRASH: Sentence("crash"),
    Breakage.FREEZE: Sentence("freeze"),
    Breakage.HANG_KEEPALIVED: Sentence("hang_keepalived"),
    Breakage.CABLE: Sentence("cable"),
    Breakage.PARTITION: Sentence("partition"),
    Breakage.KILL_SERVICE: Sentence("kill_service"),
    Breakage.STOP_SERVICE: Sentence("stop_service"),
    Breakage.FAIL_SCRIPT: Sentence("fail_script"),
    Breakage.FULL_DISK: Sentence("full_disk"),
    Breakage.SLOW_BACKEND: Sentence("slow_backend"),
    Breakage.KILL_BACKEND: Sentence("kill_backend"),
}
KIND_OF = {
    Breakage.CRASH: Kind.NODE_LOST,
    Breakage.FREEZE: Kind.NODE_FROZEN,
    # A hung keepalived is a frozen node to its peers, but one whose kernel still answers.
    Breakage.HANG_KEEPALIVED: Kind.NODE_FROZEN,
    Breakage.CABLE: Kind.LINK_LOST,
    Breakage.PARTITION: Kind.PARTITION,
    Breakage.KILL_SERVICE: Kind.SERVICE_LOST,
    Breakage.STOP_SERVICE: Kind.SERVICE_LOST,
    Breakage.FAIL_SCRIPT: Kind.SERVICE_LOST,
    Breakage.FULL_DISK: Kind.DISK_FULL,
    Breakage.SLOW_BACKEND: Kind.BACKEND_LOST,
    Breakage.KILL_BACKEND: Kind.BACKEND_LOST,
}


@dataclass(frozen=True)
class Break:
    """A fault on `node`. `detail`: the service, script, interface or other node, as the kind of breakage has it."""

    what: Breakage
    node: str
    detail: str = ""
    delay_s: float = 0.0

    @property
    def title(self) -> str:
        """For people: `crash lb01`, `kill_service nginx@lb01`."""
        match self.what:
            case Breakage.KILL_SERVICE | Breakage.STOP_SERVICE | Breakage.FAIL_SCRIPT:
                return self._said(f"{self.detail}@{self.node}")
            case Breakage.CABLE:
                return self._said(f"{self.node}.{self.detail}")
            case Breakage.PARTITION:
                return self._said(f"{self.node} | {self.detail}")
            case Breakage.SLOW_BACKEND:
                where, what = self.node, _SAID[self.what]
                return Sentence("%(what)s %(where)s by %(n)s s", what=what, where=where, n=f"{self.delay_s:g}")
        return self._said(self.node)

    def _said(self, where: str) -> Sentence:
        return Sentence("%(what)s %(where)s", what=_SAID[self.what], where=where)


@dataclass(frozen=True)
class Heal:
    """End every fault in force on `node`, or everywhere (None)."""

    node: str | None


@dataclass(frozen=True)
class Move:
    """A planned switchover: `group` to a member (None: the second one), and held there; or `back` as usual."""

    group: str
    to: str | None = None
    back: bool = False


@dataclass(frozen=True)
class Occupied:
    """A TCP port that a foreign process takes on a node for the time of a change."""

    node: str
    port: int


@dataclass(frozen=True)
class Change:
    """Another spec is compiled and rolled out. `refused`: a program must refuse it, and all must be put back."""

    loaded: LoadedSpec
    refused: bool = False
    occupied: Occupied | None = None


@dataclass(frozen=True)
class Overrule:
    """A real server (`NODE:PORT` as the spec writes it) is drained or suspended by hand, or (None) serves again."""

    server: str
    kind: OverrideKind | None


@dataclass(frozen=True)
class Wait:
    """Let time pass."""

    seconds: float


Action = Break | Heal | Move | Change | Overrule | Wait


@dataclass(frozen=True)
class Step:
    """One step. `name` is unique in its scenario; it lasts at least `at_least_s`, and until the next one begins."""

    name: str
    kind: Kind
    action: Action
    at_least_s: float = 2.0


@dataclass(frozen=True)
class Scenario:
    """The steps in their order, and what could not be tried with this spec, and why."""

    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()


def moved_and_back(name: str, group: VrrpGroup) -> tuple[Step, Step]:
    """A planned switchover of a group to its second member, and back."""
    first, second = group.members[:2]
    there = Sentence("move %(group)s to %(node)s", group=name, node=second)
    back = Sentence("move %(group)s back", group=name)
    return Step(there, Kind.PLANNED, Move(name, second)), Step(back, Kind.PLANNED, Move(name, first, back=True))
