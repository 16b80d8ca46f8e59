"""What the programs that run all the time have in common: the port, workers and listeners."""

from __future__ import annotations

import ipaddress
import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from holdfast.agent.host.port import Host, Places, Process
from holdfast.agent.service_manager import ServiceManager
from holdfast.agent.services.logs import LogTail, log_lengths
from holdfast.agent.supervisor.commands import COMMANDS
from holdfast.agent.units import Units
from holdfast.bundle import Bundle, ListenerExpectation, Service
from holdfast.errors import VerificationFailed
from holdfast.sentences import Sentence

VALIDATE_TIMEOUT_S = 30.0
VERIFY_TIMEOUT_S = 15.0  # nginx alone tries a busy port for 2.5 s before it gives up
_POLL_S = 0.05
_LISTEN_WITHIN_S = 2.0
_LISTENING = tuple(Service(command.name) for command in COMMANDS if command.listens)
_HEARS_WITHIN_S = 5.0
_DEAF_AT_FIRST = (Service.HAPROXY,)
_SETTLE_S = 0.25  # a worker that dies of its configuration does so at once


@dataclass(frozen=True)
class Node:
    """Everything that a service's file works with."""

    host: Host
    places: Places
    manager: ServiceManager
    units: Units | None = None  # where systemd runs the services


@dataclass(frozen=True)
class Before:
    """What was seen of a service before it was touched; `logs` maps a file to its inode and length."""

    running: bool
    pids: frozenset[int] = frozenset()
    logs: Mapping[Path, tuple[int, int]] = field(default_factory=dict)
    held: frozenset[str] = frozenset()  # VRRP groups that this node held
    in_fault: frozenset[str] = frozenset()  # … that it could not hold
    checks: frozenset[str] = frozenset()  # what keepalived was told to check on this node


class Daemon(Protocol):
    """A program that runs all the time. Its file knows all that is peculiar to it."""

    service: Service

    def validate(self, node: Node, folder: Path) -> str:
        """Ask the program itself about the staged files in `folder`; raises ValidationFailed, returns a remark."""

    def observe(self, node: Node, bundle: Bundle | None) -> Before:
        """Look at it before it is touched."""

    def verify(self, node: Node, bundle: Bundle, before: Before) -> str:
        """Wait until it does what the bundle expects; raises VerificationFailed, returns what was seen."""


def order_reload(node: Node, service: Service) -> None:
    """Let a running service read its configuration again, as soon as it hears that. Raises ApplyError.

    HAProxy's master executes itself once more after each start and each reload, and loses what it is told meanwhile,
    which on a busy machine may be the next order (seen with 2.6, which has said "Loading success" by then).
    """
    if service in _DEAF_AT_FIRST:
        signal = next(command.reload_signal for command in COMMANDS if command.name == service)
        deadline = node.host.monotonic() + _HEARS_WITHIN_S
        while node.host.monotonic() < deadline:  # ends: at the deadline
            pid = node.manager.status(service).pid
            if pid is None or node.host.catches(pid, signal):
                break
            node.host.sleep(_POLL_S)
    node.manager.reload(service)


def children(host: Host, parent: int | None) -> tuple[Process, ...]:
    """The living children of a process."""
    return tuple(process for process in host.processes() if process.parent == parent)


def missing_listeners(
    host: Host, expected: Sequence[ListenerExpectation], pids: Sequence[int]
) -> tuple[ListenerExpectation, ...]:
    """Those that none of these processes has open for listening."""
    if not expected:  # the kernel takes milliseconds to list its sockets
        return ()
    ours = host.sockets_of(pids)
    there = {(socket.address, socket.port) for socket in host.listening() if socket.inode in ours}
    return tuple(e for e in expected if (shortest(e.address), e.port) not in there)


def shortest(address: str) -> str:
    """The one spelling of an address that is compared."""
    return str(ipaddress.ip_address(address))


def listeners_of(bundle: Bundle, service: Service) -> tuple[ListenerExpectation, ...]:
    """What the bundle expects of this service."""
    return tuple(e for e in bundle.expected.listeners if e.service is service)


class WorkerGenerations(ABC):
    """Verification of programs whose master replaces its workers: a new one must serve every listener."""

    def __init__(self, service: Service) -> None:
        self.service = service

    @abstractmethod
    def is_worker(self, process: Process) -> bool:
        """Whether this child of the master takes connections."""

    @abstractmethod
    def gave_up(self, line: str, reloaded: bool) -> bool:
        """Whether a log line says that the new configuration is not in use, and that the program takes orders again."""

    @abstractmethod
    def worth_quoting(self, line: str) -> bool:
        """Whether a log line tells the reason."""

    def from_one_of(self, pids: Collection[int], line: str) -> bool:
        """Whether one of these workers wrote the line, so that it serves already: that is no word about its start."""
        return False

    def observe(self, node: Node, bundle: Bundle | None) -> Before:
        """See Daemon."""
        status = node.manager.status(self.service)
        workers = children(node.host, status.pid) if status.running else ()
        logs = log_lengths(node.places, self.service)
        return Before(status.running, frozenset(process.pid for process in workers), logs)

    def verify(self, node: Node, bundle: Bundle, before: Before) -> str:
        """See Daemon."""
        started = node.host.monotonic()
        deadline = started + VERIFY_TIMEOUT_S
        tail = LogTail(node.places, self.service, before.logs)
        while True:  # ends: at the deadline
            why, workers = self._not_yet(node, bundle, before, tail)
            if not why:
                node.host.sleep(_SETTLE_S)
                why, workers = self._not_yet(node, bundle, before, tail)
                if not why:
                    return f"new workers, {_names(listeners_of(bundle, self.service)) or 'no listener'}"
            now = node.host.monotonic()
            if workers:  # listeners come before workers: what is missing now stays missing
                deadline = min(deadline, now + _LISTEN_WITHIN_S)
            if now >= deadline:
                raise VerificationFailed(
                    Sentence(
                        "%(service)s: %(why)s, %(seconds)s s after it was told to use its new configuration",
                        service=self.service,
                        why=why,
                        seconds=f"{now - started:.1f}",
                    ),
                    Sentence("read %(log)s; is another program using the port?", log=node.places.log / self.service),
                )
            node.host.sleep(_POLL_S)

    def _not_yet(self, node: Node, bundle: Bundle, before: Before, tail: LogTail) -> tuple[str, bool]:
        lines = tail.lines()
        status = node.manager.status(self.service)
        family = children(node.host, status.pid) if status.pid is not None else ()
        present = [process.pid for process in family if self.is_worker(process)]
        lines = tuple(line for line in lines if not self.from_one_of(present, line))
        if any(self.gave_up(line, before.running) for line in lines):
            raise VerificationFailed(
                Sentence("%(service)s took the order, but not its new configuration", service=self.service),
                Sentence("correct what it complains about; its log is in %(log)s", log=node.places.log / self.service),
                next((line.strip() for line in lines if self.worth_quoting(line)), ""),
            )
        if not status.running or status.pid is None:
            return Sentence("it does not run (%(state)s)", state=status.state), False
        workers = [pid for pid in present if pid not in before.pids]
        if not workers:
            return Sentence("no new worker process has appeared"), False
        missing = missing_listeners(node.host, listeners_of(bundle, self.service), workers)
        return Sentence("nothing of it listens on %(names)s", names=_names(missing)) if missing else "", True


def _names(listeners: Sequence[ListenerExpectation]) -> str:
    return ", ".join(f"[{e.address}]:{e.port}" if ":" in e.address else f"{e.address}:{e.port}" for e in listeners)


def healthy(node: Node, bundle: Bundle, service: Service) -> str:
    """Why a service does not do what the bundle expects, without touching it; empty where it does."""
    status = node.manager.status(service)
    if not status.running or status.pid is None:
        return Sentence("%(service)s does not run", service=service)
    family = _family(node.host, status.pid)
    missing = missing_listeners(node.host, listeners_of(bundle, service), family)
    if not missing:
        return ""
    return Sentence("nothing of %(service)s listens on %(names)s", service=service, names=_names(missing))


def _family(host: Host, pid: int) -> tuple[int, ...]:
    return (pid, *(process.pid for process in children(host, pid)))


def taken_listeners(node: Node, bundle: Bundle, service: Service) -> tuple[ListenerExpectation, ...]:
    """Those that a program which is none of Holdfast's services listens on already, itself or on every address."""
    ours = [pid for each in _LISTENING if (pid := node.manager.status(each).pid) is not None]
    known = node.host.sockets_of([member for pid in ours for member in _family(node.host, pid)])
    foreign = {(socket.address, socket.port) for socket in node.host.listening() if socket.inode not in known}
    return tuple(
        e
        for e in listeners_of(bundle, service)
        if foreign & {(shortest(e.address), e.port), ("::" if ":" in e.address else "0.0.0.0", e.port)}
    )


def service_of(host: Host, pids: Mapping[Service, int]) -> dict[int, Service]:
    """Which service each open socket (by inode) belongs to."""
    owners: dict[int, Service] = {}
    for service, pid in pids.items():
        owners |= dict.fromkeys(host.sockets_of(_family(host, pid)), service)
    return owners


def ensure_folders(places: Places, service: Service) -> None:
    """Programs open their logs, and put files beside their pid, already when they validate; raises OSError.

    Before its first start nobody else has made these folders: systemd does that when it starts a unit.
    """
    for folder in (places.log / service, places.run / service, places.state / service):
        if not folder.is_dir():
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            os.chmod(folder, 0o755)
