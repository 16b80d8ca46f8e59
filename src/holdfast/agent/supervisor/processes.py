"""The processes of a service: who belongs to it, whether it listens, and signals that hit no stranger."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp
_GONE = frozenset("ZX")


@dataclass(frozen=True)
class Process:
    """A process as /proc/PID/stat shows it; `start_ticks` (since boot) tells a reused number apart."""

    pid: int
    parent: int
    session: int
    start_ticks: int
    state: str

    @property
    def alive(self) -> bool:
        """False for a zombie: it holds no socket and runs nothing."""
        return self.state not in _GONE


def read_process(pid: int) -> Process | None:
    """The process with this number now, or None where there is none."""
    try:
        text = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:  # it ended while we looked
        return None
    fields = text.rpartition(b")")[2].split()  # the name before it may hold blanks and brackets
    if len(fields) < 20:
        return None
    return Process(
        pid=pid,
        parent=int(fields[1]),
        session=int(fields[3]),
        start_ticks=int(fields[19]),
        state=fields[0].decode("ascii", "replace"),
    )


def is_halted(pid: int) -> bool:
    """Whether it was told to stand still (SIGSTOP): it is there, and does nothing."""
    found = read_process(pid)
    return found is not None and found.state == "T"


def all_processes() -> tuple[Process, ...]:
    """Every process of this pid namespace."""
    numbers = (int(name) for name in os.listdir(_PROC) if name.isdigit())
    return tuple(found for found in map(read_process, numbers) if found is not None)


def family(leader: Process, everybody: Iterable[Process]) -> tuple[Process, ...]:
    """The living processes of `leader`'s session and its descendants, itself included.

    Each service leads a session of its own. Orphans keep theirs when it is killed, and no other process
    gets a number that is in use as a session; another leader under it means that the session ended.
    """
    known = {process.pid: process for process in everybody}
    namesake = known.get(leader.pid)
    if namesake is not None and namesake.start_ticks != leader.start_ticks:
        return ()
    members = {pid for pid, process in known.items() if process.session == leader.pid or pid == leader.pid}
    grown = True
    while grown:  # ends: each round adds at least one of finitely many
        children = {pid for pid, process in known.items() if process.parent in members} - members
        members |= children
        grown = bool(children)
    return tuple(known[pid] for pid in sorted(members) if known[pid].alive)


def send(process: Process, number: signal.Signals) -> bool:
    """Signal exactly this process; False where it is gone (its number may belong to somebody else by now)."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        return False
    try:
        now = read_process(process.pid)
        if now is None or now.start_ticks != process.start_ticks:
            return False
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def listens(processes: Iterable[Process]) -> bool:
    """Whether one of these processes holds a listening TCP socket of this network namespace."""
    listening = _listening_inodes()
    return bool(listening) and any(_sockets(process.pid) & listening for process in processes)


def _listening_inodes() -> frozenset[str]:
    inodes: set[str] = set()
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        with suppress(OSError), open(table, encoding="ascii") as lines:  # no IPv6 in the kernel: no table
            next(lines, None)
            for line in lines:
                fields = line.split()
                if len(fields) > 9 and fields[3] == _LISTEN:
                    inodes.add(fields[9])
    return frozenset(inodes)


def _sockets(pid: int) -> frozenset[str]:
    folder = f"/proc/{pid}/fd"
    found: set[str] = set()
    with suppress(OSError):  # it ended while we looked
        for name in os.listdir(folder):
            with suppress(OSError):
                target = os.readlink(f"{folder}/{name}")
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return frozenset(found)
