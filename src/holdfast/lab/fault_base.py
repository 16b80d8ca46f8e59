"""What all faults have in common: injecting once, healing once, and the record of what is in force."""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from holdfast.bundle import SafeName
from holdfast.errors import LabError
from holdfast.lab import state
from holdfast.lab.lab import Lab
from holdfast.lab.node import Node
from holdfast.lab.state import RecordedFault
from holdfast.lab.strikes import Strike
from holdfast.lab.topology import LabTopology

KINDS: dict[str, type[Fault]] = {}  # every kind that can be injected, by the word for it


class Fault(BaseModel):
    """The base of all faults."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: str
    ends_with_crash_of: ClassVar[bool] = False  # it lives in the memory of its node

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        word = cls.model_fields["kind"].default
        if isinstance(word, str):
            KINDS[word] = cls

    def inject(self, lab: Lab) -> float:
        """Inject it, and return when (seconds, monotonic); LabError says why it cannot be done, and then nothing is."""
        if self in in_force(lab):
            return time.monotonic()
        strike = self._prepare(lab)
        record(lab, self)
        try:
            at = time.monotonic()
            strike()
        except BaseException:
            forget(lab, self)
            raise
        self._settle(lab)
        return at

    def heal(self, lab: Lab) -> float:
        """Undo it, and return when that was complete (seconds, monotonic); LabError if it cannot be undone."""
        if self in in_force(lab):
            self._undo(lab)
            forget(lab, self)
        return time.monotonic()

    @property
    @abstractmethod
    def title(self) -> str:
        """It in a few words, for people."""

    def pulls(self, topology: LabTopology) -> frozenset[str]:
        """The bridge ports whose cables it keeps pulled."""
        return frozenset()

    @abstractmethod
    def _prepare(self, lab: Lab) -> Strike:
        """Do all that can be done before; return what then does it."""

    def _settle(self, lab: Lab) -> None:
        """What is left to do once it has happened."""
        return

    @abstractmethod
    def _undo(self, lab: Lab) -> None:
        """Heal it; it is still on record."""


class NodeFault(Fault):
    node: SafeName

    def up(self, lab: Lab) -> Node:
        found = lab.node(self.node)
        _ = found.process  # LabError if the node is down
        return found


@dataclass(frozen=True)
class ActiveFault:
    """A fault that is in force, and since when (Unix time in seconds)."""

    fault: Fault
    since: float


def load(data: dict[str, Any]) -> Fault:
    """A fault from its data, as the lab's state holds it; LabError if it makes no sense."""
    kind = KINDS.get(str(data.get("kind")))
    if kind is None:
        raise LabError(f"There is no fault of the kind {data.get('kind')!r}", hint=f"kinds are: {', '.join(KINDS)}")
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise LabError(f"The fault {data} makes no sense: {error.errors()[0]['msg']}") from error


def active(lab: Lab) -> tuple[ActiveFault, ...]:
    """The faults that are in force, the oldest first."""
    return tuple(ActiveFault(load(r.data), r.since) for r in lab.state().faults)


def heal_all(lab: Lab) -> float:
    """Heal every fault, the latest first; return when that was complete (seconds, monotonic)."""
    for found in reversed(active(lab)):
        found.fault.heal(lab)
    return time.monotonic()


def in_force(lab: Lab) -> tuple[Fault, ...]:
    """The faults that are in force, without their times."""
    return tuple(found.fault for found in active(lab))


def record(lab: Lab, fault: Fault) -> None:
    """Put `fault` on record, before it happens: a lab that is left behind then tells the truth."""
    new = RecordedFault(data=fault.model_dump(mode="json"), since=time.time())
    state.update(lab.name, lambda s: s.model_copy(update={"faults": (*s.faults, new)}))


def forget(lab: Lab, fault: Fault) -> None:
    """Take `fault` off the record."""

    def without(s: state.LabState) -> state.LabState:
        return s.model_copy(update={"faults": tuple(r for r in s.faults if load(r.data) != fault)})

    state.update(lab.name, without)


def pulled_by_others(lab: Lab, fault: Fault) -> frozenset[str]:
    """The bridge ports whose cables other faults than `fault` keep pulled."""
    others = (f.pulls(lab.topology) for f in in_force(lab) if f != fault)
    return frozenset[str]().union(*others)
