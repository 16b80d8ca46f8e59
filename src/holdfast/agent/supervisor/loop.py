"""The supervisor's loop: waits for orders, deaths and deadlines, reaps orphans, and stops all in order."""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType

from holdfast.agent.supervisor.commands import COMMANDS, ServiceCommand
from holdfast.agent.supervisor.paths import Paths
from holdfast.agent.supervisor.server import Clients, answer, listen
from holdfast.agent.supervisor.unit import Unit

_LOG = logging.getLogger(__name__)
_LONGEST_WAIT_S = 5.0
_REAPED_AT_ONCE = 10_000  # zombies a round: a bound, not a limit that is met


class Supervisor:
    """Runs `commands` until it is told to stop. The caller holds the lock of `paths`."""

    def __init__(
        self,
        paths: Paths,
        commands: Sequence[ServiceCommand] = COMMANDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paths = paths
        self._clock = clock
        self.units = {command.name: Unit(command, paths, clock) for command in commands}
        self._selector = selectors.DefaultSelector()
        self._clients = Clients(lambda line: answer(line, self.units))
        self._endings: dict[int, str] = {}  # how a main process ended, by its number, until it is handed on
        self._watched: dict[str, tuple[int, int]] = {}  # service -> (pid, pidfd)
        self._stopping = False

    def run(self) -> None:
        """Serve until `ask_to_stop` and all is down; raises OSError where the socket cannot be opened."""
        wakeup, woken = socket.socketpair()
        for end in (wakeup, woken):
            end.setblocking(False)
        signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.ask_to_stop)
        signal.signal(signal.SIGCHLD, _wake)
        signal.signal(signal.SIGHUP, _wake)
        self._selector.register(wakeup, selectors.EVENT_READ, lambda: _drain(wakeup))
        server = listen(self._paths.socket)
        self._selector.register(server, selectors.EVENT_READ, lambda: self._accept(server))
        for unit in self.units.values():
            unit.adopt()
        try:
            while not (self._stopping and self._stop_next()):
                self._round()
        finally:
            signal.set_wakeup_fd(-1)
            server.close()
            self._paths.socket.unlink(missing_ok=True)

    def ask_to_stop(self, number: int = signal.SIGTERM, frame: FrameType | None = None) -> None:
        """Stop the services in the opposite order of their start, then end."""
        self._stopping = True

    def _round(self) -> None:
        self._watch_mains()
        for key, _ in self._selector.select(self._wait_s()):
            key.data()
        self._reap()
        for unit in self.units.values():
            unit.tick()

    def _wait_s(self) -> float:
        deadlines = [unit.deadline for unit in self.units.values() if unit.deadline is not None]
        return min([_LONGEST_WAIT_S] + [max(0.0, deadline - self._clock()) for deadline in deadlines])

    def _stop_next(self) -> bool:
        """Stop the last service that still runs; True once none does."""
        for unit in reversed(self.units.values()):
            if unit.wanted or not unit.at_rest:
                if unit.wanted:
                    unit.stop()
                if not unit.at_rest:
                    return False
        return True

    def _watch_mains(self) -> None:
        """A pidfd tells of the death of any process, also of one that an earlier supervisor started."""
        for name, unit in self.units.items():
            pid, descriptor = self._watched.get(name, (0, -1))
            current = unit.main.pid if unit.main else 0
            if pid == current:
                continue
            if pid:
                self._selector.unregister(descriptor)
                os.close(descriptor)
                del self._watched[name]
            if current:
                self._watch(name, current)

    def _watch(self, name: str, pid: int) -> None:
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            self._main_ended(name)
            return
        self._watched[name] = (pid, descriptor)
        self._selector.register(descriptor, selectors.EVENT_READ, lambda: self._main_ended(name))

    def _main_ended(self, name: str) -> None:
        unit = self.units[name]
        if unit.main is None:
            return
        self._reap()
        unit.main_ended(self._endings.pop(unit.main.pid, "it ended"))
        self._watch_mains()

    def _reap(self) -> None:
        """Collect every zombie: as process 1, or as the nearest reaper, orphans are ours too."""
        mains = {unit.main.pid for unit in self.units.values() if unit.main}
        for _ in range(_REAPED_AT_ONCE):
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in mains:
                self._endings[pid] = _describe(status)

    def _accept(self, server: socket.socket) -> None:
        client, evicted = self._clients.accept(server)
        if evicted is not None:
            self._hang_up(evicted)
        if client is not None:
            self._selector.register(client, selectors.EVENT_READ, lambda: self._serve(client))

    def _serve(self, client: socket.socket) -> None:
        if client.fileno() >= 0 and not self._clients.serve(client):
            self._hang_up(client)

    def _hang_up(self, client: socket.socket) -> None:
        self._selector.unregister(client)
        client.close()


def _wake(number: int, frame: FrameType | None) -> None:
    """Only so that the wake-up descriptor is written to."""


def _drain(wakeup: socket.socket) -> None:
    with suppress(BlockingIOError):
        wakeup.recv(4096)


def _describe(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
