"""What the programs that run all the time have in common: the port, log tails, workers and listeners."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from holdfast.agent.host.port import Host, Places, Process
from holdfast.agent.service_manager import ServiceManager
from holdfast.bundle import Bundle, ListenerExpectation, Service
from holdfast.errors import VerificationFailed

VALIDATE_TIMEOUT_S = 30.0
VERIFY_TIMEOUT_S = 15.0  # nginx alone tries a busy port for 2.5 s before it gives up
_LOG_AT_MOST = 1 << 20  # bytes of new log lines that are read
_POLL_S = 0.05
_SETTLE_S = 0.25  # a worker that dies of its configuration does so at once


@dataclass(frozen=True)
class Node:
    """Everything that a service's file works with."""

    host: Host
    places: Places
    manager: ServiceManager


@dataclass(frozen=True)
class Before:
    """What was seen of a service before it was touched; `logs` maps a file to its inode and length."""

    running: bool
    pids: frozenset[int] = frozenset()
    logs: Mapping[Path, tuple[int, int]] = field(default_factory=dict)
    held: frozenset[str] = frozenset()  # VRRP groups that this node held


class Daemon(Protocol):
    """A program that runs all the time. Its file knows all that is peculiar to it."""

    service: Service

    def validate(self, node: Node, folder: Path) -> str:
        """Ask the program itself about the staged files in `folder`; raises ValidationFailed, returns a remark."""

    def observe(self, node: Node, bundle: Bundle | None) -> Before:
        """Look at it before it is touched."""

    def verify(self, node: Node, bundle: Bundle, before: Before) -> str:
        """Wait until it does what the bundle expects; raises VerificationFailed, returns what was seen."""


def children(host: Host, parent: int | None) -> tuple[Process, ...]:
    """The living children of a process."""
    return tuple(process for process in host.processes() if process.parent == parent)


def log_lengths(places: Places, service: Service) -> dict[Path, tuple[int, int]]:
    """Inode and length of each log of a service, access logs aside."""
    found = {}
    folder = places.log / service
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        if path.is_file() and "access" not in path.name:
            status = path.stat()
            found[path] = (status.st_ino, status.st_size)
    return found


def new_log_lines(places: Places, service: Service, before: Mapping[Path, tuple[int, int]]) -> tuple[str, ...]:
    """Lines that were written since `before`; a file that is new, or was rotated, counts from its beginning."""
    lines: list[str] = []
    for path, (inode, length) in log_lengths(places, service).items():
        known_inode, known_length = before.get(path, (inode, 0))
        start = known_length if known_inode == inode and known_length <= length else 0
        with path.open("rb") as log:
            log.seek(max(start, length - _LOG_AT_MOST))
            lines += log.read(_LOG_AT_MOST).decode("utf-8", "replace").splitlines()
    return tuple(lines)


def missing_listeners(
    host: Host, expected: Sequence[ListenerExpectation], pids: Sequence[int]
) -> tuple[ListenerExpectation, ...]:
    """Those that none of these processes has open for listening."""
    ours = host.sockets_of(pids)
    there = {(socket.address, socket.port) for socket in host.listening() if socket.inode in ours}
    return tuple(e for e in expected if (shortest(e.address), e.port) not in there)


def shortest(address: str) -> str:
    """The one spelling of an address that is compared."""
    return str(ipaddress.ip_address(address))


def listeners_of(bundle: Bundle, service: Service) -> tuple[ListenerExpectation, ...]:
    """What the bundle expects of this service."""
    return tuple(e for e in bundle.expected.listeners if e.service is service)


class WorkerGenerations:
    """Verification of programs whose master replaces its workers: a new one must serve every listener."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def is_worker(self, process: Process) -> bool:
        """Whether this child of the master takes connections."""
        raise NotImplementedError

    def gave_up(self, line: str, reloaded: bool) -> bool:
        """Whether a log line says that the new configuration is not in use, and that the program takes orders again."""
        raise NotImplementedError

    def worth_quoting(self, line: str) -> bool:
        """Whether a log line tells the reason."""
        raise NotImplementedError

    def observe(self, node: Node, bundle: Bundle | None) -> Before:
        """See Daemon."""
        status = node.manager.status(self.service)
        workers = children(node.host, status.pid) if status.running else ()
        logs = log_lengths(node.places, self.service)
        return Before(status.running, frozenset(process.pid for process in workers), logs)

    def verify(self, node: Node, bundle: Bundle, before: Before) -> str:
        """See Daemon."""
        deadline = node.host.monotonic() + VERIFY_TIMEOUT_S
        expected = listeners_of(bundle, self.service)
        while True:  # ends: at the deadline
            why = self._not_yet(node, bundle, before)
            if not why:
                node.host.sleep(_SETTLE_S)
                why = self._not_yet(node, bundle, before)
                if not why:
                    return f"new workers, {len(expected)} listener{'' if len(expected) == 1 else 's'} open"
            if node.host.monotonic() >= deadline:
                raise VerificationFailed(
                    f"{self.service}: {why}, {VERIFY_TIMEOUT_S:g} s after it was told to use its new configuration",
                    f"read {node.places.log / self.service}; is another program using the port?",
                )
            node.host.sleep(_POLL_S)

    def _not_yet(self, node: Node, bundle: Bundle, before: Before) -> str:
        lines = new_log_lines(node.places, self.service, before.logs)
        if any(self.gave_up(line, before.running) for line in lines):
            raise VerificationFailed(
                f"{self.service} took the order, but not its new configuration",
                f"correct what it complains about; its log is in {node.places.log / self.service}",
                next((line.strip() for line in lines if self.worth_quoting(line)), ""),
            )
        status = node.manager.status(self.service)
        if not status.running or status.pid is None:
            return f"it does not run ({status.state})"
        workers = [p.pid for p in children(node.host, status.pid) if self.is_worker(p) and p.pid not in before.pids]
        if not workers:
            return "no new worker process has appeared"
        missing = missing_listeners(node.host, listeners_of(bundle, self.service), workers)
        return f"nothing of it listens on {_names(missing)}" if missing else ""


def _names(listeners: Sequence[ListenerExpectation]) -> str:
    return ", ".join(f"[{e.address}]:{e.port}" if ":" in e.address else f"{e.address}:{e.port}" for e in listeners)


def healthy(node: Node, bundle: Bundle, service: Service) -> str:
    """Why a service does not do what the bundle expects, without touching it; empty where it does."""
    status = node.manager.status(service)
    if not status.running or status.pid is None:
        return f"{service} does not run"
    family = _family(node.host, status.pid)
    missing = missing_listeners(node.host, listeners_of(bundle, service), family)
    return f"nothing of {service} listens on {_names(missing)}" if missing else ""


def _family(host: Host, pid: int) -> tuple[int, ...]:
    return (pid, *(process.pid for process in children(host, pid)))


def service_of(host: Host, pids: Mapping[Service, int]) -> dict[int, Service]:
    """Which service each open socket (by inode) belongs to."""
    owners: dict[int, Service] = {}
    for service, pid in pids.items():
        owners |= dict.fromkeys(host.sockets_of(_family(host, pid)), service)
    return owners


def ensure_log_folder(places: Places, service: Service) -> None:
    """Programs open their logs already when they validate; raises OSError."""
    folder = places.log / service
    if not folder.is_dir():
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        os.chmod(folder, 0o755)
