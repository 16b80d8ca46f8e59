"""Processes by identity: a pid alone may have been given to somebody else since, a pid with its start time has not."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

_DEAD = {"Z", "X", "x"}
Namespace = tuple[int, int]  # device and inode of a namespace file: what the kernel tells namespaces apart by


class Process(BaseModel):
    """A process of this machine, as the root pid namespace numbers it; `started` is in clock ticks since boot."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has `pid` now, or None where nothing lives there."""
        stat = _stat(pid)
        return None if stat is None or stat[0] in _DEAD else cls(pid=pid, started=int(stat[19]))

    @classmethod
    def here(cls) -> Process:
        """This very process."""
        found = cls.of(os.getpid())
        assert found is not None
        return found

    @property
    def alive(self) -> bool:
        """True while this very process runs (a zombie does not)."""
        return Process.of(self.pid) == self

    @property
    def state(self) -> str:
        """The kernel's letter (R, S, D, T …), or an empty string once it is gone."""
        stat = _stat(self.pid)
        return "" if stat is None or int(stat[19]) != self.started else stat[0]

    @property
    def program(self) -> str:
        """The name of what it runs (man proc, comm: 15 characters), or an empty string once it is gone."""
        try:
            name = Path(f"/proc/{self.pid}/comm").read_text(errors="replace").rstrip("\n")
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return name if self.alive else ""

    def signal(self, number: signal.Signals) -> bool:
        """Signal this very process; False if it is gone. A descriptor holds the pid between check and kill."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        except OSError as error:
            # The number is still in use as that of a group or session, whose leader is gone.
            if error.errno == errno.EINVAL:
                return False
            raise
        try:
            if not self.alive:
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third on (the second, the name, may hold anything)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def namespace(path: Path | str) -> Namespace | None:
    """What the namespace file at `path` stands for, or None where there is none."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return found.st_dev, found.st_ino


def inside(kind: str, wanted: Iterable[Namespace]) -> tuple[Process, ...]:
    """Every living process whose namespace of `kind` (net, pid …) is one of `wanted`, but never this process."""
    spaces = set(wanted)
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        if namespace(f"/proc/{entry}/ns/{kind}") in spaces:
            process = Process.of(int(entry))
            # Looked up again: between the two looks the pid may have changed hands.
            if process is not None and namespace(f"/proc/{entry}/ns/{kind}") in spaces:
                found.append(process)
    return tuple(found)


def program(process: Process) -> str:
    """The file name of the program that `process` runs, or an empty string once it is gone."""
    try:
        return os.path.basename(os.readlink(f"/proc/{process.pid}/exe")).removesuffix(" (deleted)")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


def leads_namespace(process: Process) -> bool:
    """True if `process` is pid 1 of a pid namespace below this one, so that its end is the end of all in there."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text(errors="replace").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return False
    numbers = next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])
    return len(numbers) > 1 and numbers[-1] == "1"


def reap(processes: Iterable[Process]) -> None:
    """Collect those of `processes` that are dead children of this process, so that no zombie stays behind."""
    for process in processes:
        try:
            os.waitpid(process.pid, os.WNOHANG)
        except (ChildProcessError, ProcessLookupError):
            continue


def wait_gone(processes: Iterable[Process], timeout: float) -> tuple[Process, ...]:
    """Wait up to `timeout` seconds until all have ended; return those that have not."""
    left = tuple(processes)
    deadline = time.monotonic() + timeout
    while left and time.monotonic() < deadline:
        reap(left)
        left = tuple(p for p in left if p.alive)
        if left:
            time.sleep(0.005)
    return left
