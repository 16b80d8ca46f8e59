"""What can go wrong in a lab: faults as data, each of which can be injected and healed.

Faults are composable: each is on record while it is in force, and one that is healed leaves alone what another still
wants (a cable that two faults pull stays pulled until both are healed). Injecting one twice, or healing one that is not
in force, changes nothing. What lives in the memory of a node (a frozen process, a slow web server) ends with a crash.

`inject` prepares all it can, and then strikes with one call; it returns when that was, in seconds of time.monotonic().
`heal` returns when the healing was complete.
"""

from __future__ import annotations

import os
import time
from abc import abstractmethod
from itertools import product
from pathlib import Path
from signal import SIGCONT, SIGKILL
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from holdfast.agent.supervisor.client import ask
from holdfast.bundle import SafeName
from holdfast.errors import LabError
from holdfast.lab import backend, state
from holdfast.lab.lab import Lab
from holdfast.lab.node import Node
from holdfast.lab.processes import inside, namespace, program, wait_gone
from holdfast.lab.readiness import SUPERVISOR_SOCKET
from holdfast.lab.state import RecordedFault
from holdfast.lab.strikes import Strike, arm_cut, arm_links, fill, running, stop
from holdfast.lab.topology import InterfaceName, LabTopology, Role

Program = Literal["keepalived", "nginx", "haproxy"]
_GONE_WAIT = 5.0
_LAST_BYTES = 256 * 1024  # of a disk, that are filled only at the moment of the fault
_BOOT_TIMEOUT = 120.0


class Fault(BaseModel):
    """The base of all faults."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    ends_with_crash_of: ClassVar[bool] = False  # it lives in the memory of its node

    def inject(self, lab: Lab) -> float:
        """Inject it, and return when (seconds, monotonic); LabError says why it cannot be done, and then nothing is."""
        if self in _in_force(lab):
            return time.monotonic()
        strike = self._prepare(lab)
        _record(lab, self)
        try:
            at = time.monotonic()
            strike()
        except BaseException:
            _forget(lab, self)
            raise
        self._settle(lab)
        return at

    def heal(self, lab: Lab) -> float:
        """Undo it, and return when that was complete (seconds, monotonic); LabError if it cannot be undone."""
        if self in _in_force(lab):
            self._undo(lab)
            _forget(lab, self)
        return time.monotonic()

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


class _NodeFault(Fault):
    node: SafeName

    def _up(self, lab: Lab) -> Node:
        found = lab.node(self.node)
        _ = found.process  # LabError if the node is down
        return found


class Crash(_NodeFault):
    """The node loses its power: it is gone from the network, then all its processes die at once; its disk stays.

    Healing boots it: VIPs, sysctls and nftables are forgotten, and the agent brings up what it last applied.
    """

    kind: Literal["crash"] = "crash"

    def pulls(self, topology: LabTopology) -> frozenset[str]:
        return frozenset(topology.ports(self.node))

    def _prepare(self, lab: Lab) -> Strike:
        first = self._up(lab).process
        links = _links(lab, self, up=False)

        def strike() -> None:
            links()
            first.signal(SIGKILL)

        return strike

    def _settle(self, lab: Lab) -> None:
        first = lab.state().pid1.get(self.node)
        if first is not None and wait_gone([first], _GONE_WAIT):
            raise LabError(f"Pid 1 of {self.node} (process {first.pid}) does not end although it was killed")
        lab.power_off(self.node)
        for fault in _in_force(lab):
            if fault.ends_with_crash_of and getattr(fault, "node", None) == self.node:
                _forget(lab, fault)

    def _undo(self, lab: Lab) -> None:
        lab.boot(self.node, pulled=_pulled_by_others(lab, self))
        node = lab.node(self.node)
        if node.spec.role is Role.BALANCER:
            # What systemd does at boot on a real machine: end what was half done, start what the generation wants.
            node.exec(["python", "-m", "holdfast.agent", "recover"], timeout=_BOOT_TIMEOUT, check=True)


class Freeze(_NodeFault):
    """The node hangs: nothing goes in or out, and all its processes are stopped, but their memory is kept."""

    kind: Literal["freeze"] = "freeze"
    ends_with_crash_of = True

    def pulls(self, topology: LabTopology) -> frozenset[str]:
        return frozenset(topology.ports(self.node))

    def _prepare(self, lab: Lab) -> Strike:
        node = self._up(lab)
        links = _links(lab, self, up=False)

        def strike() -> None:
            links()
            stop(node.processes)

        return strike

    def _undo(self, lab: Lab) -> None:
        node = self._up(lab)
        others = [f.program for f in _in_force(lab) if isinstance(f, _Stopped) and f.node == self.node]
        _links(lab, self, up=True)()
        # nsenter, outside of the pid namespace, stops itself along with the child that it waits for.
        waiting = namespace(node.netns)
        for process in (*node.processes(), *inside("net", [waiting] if waiting else [])):
            if program(process) not in others:
                process.signal(SIGCONT)


class _Stopped(_NodeFault):
    ends_with_crash_of = True

    @property
    def program(self) -> str:
        """The file name of the program that is stopped."""
        raise NotImplementedError

    def _prepare(self, lab: Lab) -> Strike:
        node = self._up(lab)
        if not running(node, self.program):
            raise LabError(f"{self.program} does not run on {self.node}, so it cannot be stopped")
        return lambda: stop(lambda: running(node, self.program))

    def _undo(self, lab: Lab) -> None:
        if not any(isinstance(f, Freeze) and f.node == self.node for f in _in_force(lab)):
            for process in running(self._up(lab), self.program):
                process.signal(SIGCONT)


class HangKeepalived(_Stopped):
    """keepalived hangs (SIGSTOP). Its VIPs stay on the node, so that a second holder beside it is to be expected."""

    kind: Literal["hang_keepalived"] = "hang_keepalived"

    @property
    def program(self) -> str:
        return "keepalived"


class StopService(_Stopped):
    """A service hangs (SIGSTOP): its process is there and its sockets accept, but nothing is answered."""

    kind: Literal["stop_service"] = "stop_service"
    service: Program

    @property
    def program(self) -> str:
        return self.service


class KillService(_NodeFault):
    """A service is killed (SIGKILL), and stays dead until healed: the supervisor does not start it again."""

    kind: Literal["kill_service"] = "kill_service"
    service: Program
    ends_with_crash_of = True

    def _prepare(self, lab: Lab) -> Strike:
        socket = self._socket(self._up(lab))
        if self.service not in ask("status", path=socket):
            raise LabError(f"The supervisor of {self.node} knows no service {self.service}")

        def strike() -> None:
            ask("fail", self.service, path=socket)

        return strike

    def _undo(self, lab: Lab) -> None:
        ask("mend", self.service, path=self._socket(self._up(lab)))

    def _socket(self, node: Node) -> Path:
        if node.spec.role is not Role.BALANCER:
            raise LabError(f"{self.node} runs no supervised services: it is no balancer")
        return node.root / SUPERVISOR_SOCKET.lstrip("/")


class CablePulled(_NodeFault):
    """One interface of a node loses its carrier, as when its cable is pulled."""

    kind: Literal["cable_pulled"] = "cable_pulled"
    interface: InterfaceName

    def pulls(self, topology: LabTopology) -> frozenset[str]:
        return frozenset({topology.port(self.node, self.interface)})

    def _prepare(self, lab: Lab) -> Strike:
        return _links(lab, self, up=False)

    def _undo(self, lab: Lab) -> None:
        _links(lab, self, up=True)()


class Partition(Fault):
    """Two nodes do not reach each other any more, in either direction, on any network; all others reach both."""

    kind: Literal["partition"] = "partition"
    a: SafeName
    b: SafeName

    @model_validator(mode="after")
    def _two(self) -> Self:
        if self.a == self.b:
            raise ValueError("a partition needs two nodes")
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Partition) and {self.a, self.b} == {other.a, other.b}

    def __hash__(self) -> int:
        return hash(frozenset({self.a, self.b}))

    def _prepare(self, lab: Lab) -> Strike:
        return self._cut(lab, cut=True)

    def _undo(self, lab: Lab) -> None:
        self._cut(lab, cut=False)()

    def _cut(self, lab: Lab, *, cut: bool) -> Strike:
        one, two = (lab.topology.node(name) for name in (self.a, self.b))
        pairs = [
            (lab.topology.port(one.name, i.name), lab.topology.port(two.name, j.name))
            for i, j in product(one.interfaces, two.interfaces)
            if i.network == j.network
        ]
        if not pairs:
            raise LabError(f"{self.a} and {self.b} share no network, so there is nothing to cut between them")
        return arm_cut(lab.name, pairs, cut=cut)


class FullDisk(_NodeFault):
    """Not a byte is free on the node's disk any more; it also stays full over a crash."""

    kind: Literal["full_disk"] = "full_disk"

    def _prepare(self, lab: Lab) -> Strike:
        filler = self._filler(lab)
        if not os.path.ismount(filler.parent):
            raise LabError(f"The disk of {self.node} is not mounted on {filler.parent}")
        room = os.statvfs(filler.parent)
        fill(filler, max(0, room.f_bavail * room.f_frsize - _LAST_BYTES))
        return lambda: fill(filler, 2 * _LAST_BYTES)

    def _undo(self, lab: Lab) -> None:
        self._filler(lab).unlink(missing_ok=True)

    def _filler(self, lab: Lab) -> Path:
        return state.disk(lab.name, lab.node(self.node).name) / "filler"


class SlowBackend(_NodeFault):
    """The node's web server takes `delay` seconds longer for each answer."""

    kind: Literal["slow_backend"] = "slow_backend"
    delay: Annotated[float, Field(gt=0, le=60)]
    ends_with_crash_of = True

    def _prepare(self, lab: Lab) -> Strike:
        node = _with_backend(self._up(lab))
        slowest = max(self.delay, _delay(lab, self))
        return lambda: backend.behave(node, delay=slowest)

    def _undo(self, lab: Lab) -> None:
        node = self._up(lab)
        if backend.process(node) is not None:
            backend.behave(node, delay=_delay(lab, self))


class KillBackend(_NodeFault):
    """The node's web server dies (SIGKILL), while the node lives on; healing starts it again."""

    kind: Literal["kill_backend"] = "kill_backend"
    ends_with_crash_of = True

    def _prepare(self, lab: Lab) -> Strike:
        found = backend.process(_with_backend(self._up(lab)))
        if found is None:
            raise LabError(f"The web server of {self.node} does not run, so it cannot be killed")

        def strike() -> None:
            found.signal(SIGKILL)

        return strike

    def _undo(self, lab: Lab) -> None:
        node = self._up(lab)
        backend.start([node])
        backend.behave(node, delay=_delay(lab, self))


AnyFault = Annotated[
    Crash
    | Freeze
    | HangKeepalived
    | StopService
    | KillService
    | CablePulled
    | Partition
    | FullDisk
    | SlowBackend
    | KillBackend,
    Field(discriminator="kind"),
]
ADAPTER: TypeAdapter[AnyFault] = TypeAdapter(AnyFault)


class ActiveFault(BaseModel):
    """A fault that is in force, and since when (Unix time in seconds)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: AnyFault
    since: float


def active(lab: Lab) -> tuple[ActiveFault, ...]:
    """The faults that are in force, the oldest first."""
    return tuple(ActiveFault(fault=ADAPTER.validate_python(r.data), since=r.since) for r in lab.state().faults)


def heal_all(lab: Lab) -> float:
    """Heal every fault, the latest first; return when that was complete (seconds, monotonic)."""
    for found in reversed(active(lab)):
        found.fault.heal(lab)
    return time.monotonic()


def _in_force(lab: Lab) -> tuple[Fault, ...]:
    return tuple(found.fault for found in active(lab))


def _record(lab: Lab, fault: Fault) -> None:
    new = RecordedFault(data=fault.model_dump(mode="json"), since=time.time())
    state.update(lab.name, lambda s: s.model_copy(update={"faults": (*s.faults, new)}))


def _forget(lab: Lab, fault: Fault) -> None:
    def without(s: state.LabState) -> state.LabState:
        left = tuple(r for r in s.faults if ADAPTER.validate_python(r.data) != fault)
        return s.model_copy(update={"faults": left})

    state.update(lab.name, without)


def _pulled_by_others(lab: Lab, fault: Fault) -> frozenset[str]:
    others = (f.pulls(lab.topology) for f in _in_force(lab) if f != fault)
    return frozenset[str]().union(*others)


def _links(lab: Lab, fault: Fault, *, up: bool) -> Strike:
    """Arm the pulling (or plugging in) of the cables of `fault` that no other fault pulls."""
    return arm_links(lab.name, fault.pulls(lab.topology) - _pulled_by_others(lab, fault), up=up)


def _with_backend(node: Node) -> Node:
    if not node.spec.origin_ports:
        raise LabError(f"{node.name} has no web server", hint="name a server of a pool")
    return node


def _delay(lab: Lab, but: Fault) -> float:
    """The delay that the other faults in force want of the same node's web server."""
    same = [f for f in _in_force(lab) if isinstance(f, SlowBackend) and f != but and f.node == getattr(but, "node", "")]
    return max((f.delay for f in same), default=0.0)
