"""What can go wrong in a lab: faults as data, each of which can be injected and healed.

Faults are composable: each is on record while it is in force, and one that is healed leaves alone what another still
wants (a cable that two faults pull stays pulled until both are healed). Injecting one twice, or healing one that is not
in force, changes nothing. What lives in the memory of a node (a frozen process, a slow web server) ends with a crash.

`inject` prepares all it can, and then strikes with one call; it returns when that was, in seconds of time.monotonic().
`heal` returns when the healing was complete.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from signal import SIGCONT, SIGKILL
from typing import Literal, Self

from pydantic import ValidationError, model_validator

from holdfast.agent.supervisor.client import ask
from holdfast.bundle import SafeName
from holdfast.errors import LabError, UsageError
from holdfast.lab import stand_ins, state
from holdfast.lab.fault_backends import KillBackend, SlowBackend
from holdfast.lab.fault_base import (
    KINDS,
    ActiveFault,
    Fault,
    NodeFault,
    active,
    forget,
    heal_all,
    in_force,
    load,
    pulled_by_others,
)
from holdfast.lab.lab import Lab
from holdfast.lab.node import Node
from holdfast.lab.processes import Process, inside, namespace, program, wait_gone
from holdfast.lab.programs import Program, Supervised
from holdfast.lab.readiness import SUPERVISOR_SOCKET
from holdfast.lab.strikes import Strike, arm_cut, arm_links, fill, running, stop
from holdfast.lab.topology import InterfaceName, LabTopology

__all__ = [
    "KINDS",
    "ActiveFault",
    "CablePulled",
    "Crash",
    "FailScript",
    "Fault",
    "Freeze",
    "FullDisk",
    "HangKeepalived",
    "KillBackend",
    "KillService",
    "Partition",
    "SlowBackend",
    "StopService",
    "active",
    "describe",
    "heal_all",
    "load",
    "parse",
]

_GONE_WAIT = 5.0
_LAST_BYTES = 256 * 1024  # of a disk, that are filled only at the moment of the fault
_BOOT_TIMEOUT = 120.0


class Crash(NodeFault):
    """The node loses its power: it is gone from the network, then all its processes die at once; its disk stays.

    Healing boots it: VIPs, sysctls and nftables are forgotten, and the agent brings up what it last applied.
    """

    kind: Literal["crash"] = "crash"

    @property
    def title(self) -> str:
        return f"crash of {self.node}"

    def pulls(self, topology: LabTopology) -> frozenset[str]:
        return frozenset(topology.ports(self.node))

    def _prepare(self, lab: Lab) -> Strike:
        first = self.up(lab).process
        links = _links(lab, self, up=False)

        def strike() -> None:
            links()
            first.signal(SIGKILL)

        return strike

    def _settle(self, lab: Lab) -> None:
        first = lab.state().pid1.get(self.node)
        for process in _with_waiting(lab.node(self.node)):
            process.signal(SIGCONT)  # of a frozen node: stopped parents collect no children, and pid 1 waits for that
        if first is not None and wait_gone([first], _GONE_WAIT):
            raise LabError(f"Pid 1 of {self.node} (process {first.pid}) does not end although it was killed")
        lab.power_off(self.node)
        for fault in in_force(lab):
            if fault.ends_with_crash_of and getattr(fault, "node", None) == self.node:
                forget(lab, fault)

    def _undo(self, lab: Lab) -> None:
        lab.boot(self.node, pulled=pulled_by_others(lab, self))
        forget(lab, self)  # the node is there again, whatever becomes of its services
        node = lab.node(self.node)
        if node.spec.has_agent:
            # What systemd does at boot on a real machine: end what was half done, start what the generation wants.
            _recover(lab, node)


class Freeze(NodeFault):
    """The node hangs: nothing goes in or out, and all its processes are stopped, but their memory is kept."""

    kind: Literal["freeze"] = "freeze"
    ends_with_crash_of = True

    @property
    def title(self) -> str:
        return f"{self.node} frozen"

    def pulls(self, topology: LabTopology) -> frozenset[str]:
        return frozenset(topology.ports(self.node))

    def _prepare(self, lab: Lab) -> Strike:
        node = self.up(lab)
        links = _links(lab, self, up=False)

        def strike() -> None:
            links()
            stop(node.processes)

        return strike

    def _undo(self, lab: Lab) -> None:
        node = self.up(lab)
        others = [f.program for f in in_force(lab) if isinstance(f, _Stopped) and f.node == self.node]
        _links(lab, self, up=True)()
        for process in (*node.processes(), *_with_waiting(node)):
            if program(process) not in others:
                process.signal(SIGCONT)


class _Stopped(NodeFault):
    ends_with_crash_of = True

    @property
    def title(self) -> str:
        return f"{self.program} of {self.node} stopped"

    @property
    @abstractmethod
    def program(self) -> str:
        """The file name of the program that is stopped."""

    def _prepare(self, lab: Lab) -> Strike:
        node = self.up(lab)
        if not running(node, self.program):
            raise LabError(f"{self.program} does not run on {self.node}, so it cannot be stopped")
        return lambda: stop(lambda: running(node, self.program))

    def _undo(self, lab: Lab) -> None:
        if not any(isinstance(f, Freeze) and f.node == self.node for f in in_force(lab)):
            for process in running(self.up(lab), self.program):
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


class KillService(NodeFault):
    """A service is killed (SIGKILL), and stays dead until healed: the supervisor does not start it again."""

    kind: Literal["kill_service"] = "kill_service"
    service: Supervised
    ends_with_crash_of = True

    @property
    def title(self) -> str:
        return f"{self.service} of {self.node} killed"

    def _prepare(self, lab: Lab) -> Strike:
        socket = self._socket(self.up(lab))
        if self.service not in ask("status", path=socket):
            raise LabError(f"The supervisor of {self.node} knows no service {self.service}")

        def strike() -> None:
            ask("fail", self.service, path=socket)

        return strike

    def _undo(self, lab: Lab) -> None:
        ask("mend", self.service, path=self._socket(self.up(lab)))

    def _socket(self, node: Node) -> Path:
        if not node.spec.has_agent:
            raise LabError(f"{self.node} runs no supervised services: it is no balancer")
        return node.root / SUPERVISOR_SOCKET.lstrip("/")


class FailScript(NodeFault):
    """A script of the node's policy fails from now on, each time that it is run; also over a crash."""

    kind: Literal["fail_script"] = "fail_script"
    script: SafeName

    @property
    def title(self) -> str:
        return f"script {self.script} of {self.node} fails"

    def _prepare(self, lab: Lab) -> Strike:
        file = stand_ins.marker(self.up(lab), self.script)

        def strike() -> None:
            try:
                file.touch()
            except OSError as error:
                raise LabError(f"{self.script} of {self.node} cannot be made to fail: {error.strerror}") from error

        return strike

    def _undo(self, lab: Lab) -> None:
        stand_ins.marker(self.up(lab), self.script).unlink(missing_ok=True)


class CablePulled(NodeFault):
    """One interface of a node loses its carrier, as when its cable is pulled."""

    kind: Literal["cable_pulled"] = "cable_pulled"
    interface: InterfaceName

    @property
    def title(self) -> str:
        return f"cable {self.interface} of {self.node} pulled"

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

    @property
    def title(self) -> str:
        return f"partition between {self.a} and {self.b}"

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


class FullDisk(NodeFault):
    """Not a byte is free on the node's disk any more; it also stays full over a crash."""

    kind: Literal["full_disk"] = "full_disk"

    @property
    def title(self) -> str:
        return f"disk of {self.node} full"

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


def parse(kind: str, arguments: Sequence[str]) -> Fault:
    """A fault from words: its kind, then its fields in order, such as `cable_pulled lb01 eth0`; UsageError if wrong.

    What is on a node may be named as in a scenario's file, too: `kill_service nginx@lb01`.
    """
    if kind not in KINDS:
        raise UsageError(f"There is no fault called {kind!r}", hint=f"faults are: {', '.join(sorted(KINDS))}")
    names = [name for name in KINDS[kind].model_fields if name != "kind"]
    words = list(arguments)
    usage = f"write: {kind} {' '.join(name.upper() for name in names)}"
    if len(names) == 2 and names[0] == "node" and len(words) == 1 and "@" in words[0]:
        what, _, node = words[0].rpartition("@")
        words = [node, what]
    if len(words) != len(names):
        raise UsageError(f"{kind} wants {' and '.join(names)}, not {len(words)} words", hint=usage)
    try:
        return KINDS[kind].model_validate(dict(zip(names, words, strict=True)))
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{first['loc'][0]}: " if first["loc"] else ""
        raise UsageError(f"{kind}: {where}{first['msg'].removeprefix('Value error, ')}", hint=usage) from error


def describe(fault: Fault) -> str:
    """A fault in a few words, for people."""
    return fault.title


def _recover(lab: Lab, node: Node) -> None:
    done = lab.agents.run(node, ["recover"], timeout=_BOOT_TIMEOUT)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise LabError(f"The agent of {node.name} could not bring its node up after the boot: {said[-1]}")


def _links(lab: Lab, fault: Fault, *, up: bool) -> Strike:
    """Arm the pulling (or plugging in) of the cables of `fault` that no other fault pulls."""
    return arm_links(lab.name, fault.pulls(lab.topology) - pulled_by_others(lab, fault), up=up)


def _with_waiting(node: Node) -> tuple[Process, ...]:
    """All in the node's network namespace: also nsenter, which is outside of its pid namespace.

    It stops itself along with the child that it waits for, and does not go on by itself.
    """
    space = namespace(node.netns)
    return inside("net", [space]) if space else ()
