"""One supervised service as a state machine: it acts on orders, deaths and time, and never blocks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from signal import SIGKILL, Signals
from typing import Any

from holdfast.agent.supervisor.backoff import next_delay_s
from holdfast.agent.supervisor.commands import ServiceCommand, StopStep
from holdfast.agent.supervisor.paths import Paths, write_atomically
from holdfast.agent.supervisor.processes import Process, all_processes, family, listens, read_process, send
from holdfast.agent.supervisor.records import Record, read_record, write_record
from holdfast.agent.supervisor.spawn import spawn
from holdfast.errors import ApplyError

_LOG = logging.getLogger(__name__)

_SURVIVED_S = 0.5  # a program that refuses its configuration ends sooner
_LISTENS_AT_MOST_S = 5.0  # nginx gives up binding after 2.5 s; what lives longer has no TCP listener to wait for
_STARTING_TICK_S = 0.1
_CLEANING_TICK_S = 0.05
_LEFTOVER_PATIENCE_S = 1.0
_CLEANING_AT_MOST_S = 5.0  # a process stuck in the kernel is reported, not waited for


class State(StrEnum):
    """Where a service stands. Only `running` is good."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    CLEANING = "cleaning"  # its main process is dead or killed, others of it are left
    BACKOFF = "backoff"  # it died and waits for its next start
    FAILED = "failed"  # killed by the order `fail`, down until `mend`


class OrderError(ApplyError):
    """An order that makes no sense in the service's state; the text says why."""


@dataclass
class Unit:
    """A service, its main process and what is wanted of it. `clock` gives monotonic seconds."""

    command: ServiceCommand
    paths: Paths
    clock: Callable[[], float]
    state: State = State.STOPPED
    wanted: bool = False
    failed: bool = False
    main: Process | None = None
    restarts: int = 0  # of its own accord, since the last order to start
    last_exit: str = ""
    deadline: float | None = None  # when `tick` has something to do; None: only an order or a death can matter
    _leader: Process | None = None  # leads the session in which leftovers are looked for
    _started: float = 0.0
    _delay_s: float = 0.0
    _at_once: bool = False  # the next start is ordered, not a retry
    _read_again: bool = False  # reload as soon as it runs
    _steps_left: list[StopStep] = field(default_factory=list)
    _cleaning_until: float = 0.0
    _kill_after: float = 0.0

    # orders

    def start(self) -> None:
        """Want it to run; at once, whatever the back-off says."""
        if self.failed:
            raise OrderError(f"{self.command.name} was failed by order; mend it first")
        self.wanted = True
        self.restarts, self._delay_s = 0, 0.0
        if self.state in (State.STOPPED, State.BACKOFF):
            self._launch()
        elif self.state is State.STARTING:  # it may have read its configuration before that was changed
            self._read_again = True
        self._remember()

    def stop(self) -> None:
        """Want it not to run; gracefully, then with more force."""
        self.wanted = False
        self._say("-1\n")
        if self.state in (State.RUNNING, State.STARTING):
            self._at_once = True
            self._steps_left = list(self.command.stop_steps)
            self._enter(State.STOPPING)
            self._next_stop_step()
        elif self.state is State.BACKOFF:
            self._enter(State.STOPPED)
        self._remember()

    def reload(self) -> None:
        """Tell the main process to read its configuration again."""
        if self.main is None or self.state not in (State.RUNNING, State.STARTING):
            raise OrderError(f"{self.command.name} is {self.state}, so there is nothing to reload")
        if not send(self.main, self.command.reload_signal):
            raise OrderError(f"{self.command.name} died just now")

    def fail(self) -> None:
        """Kill all of it without warning, and keep it down until `mend`."""
        self.failed = True
        self._say("-1\n")
        if self.main is not None:
            send(self.main, SIGKILL)
        if self._leader is not None:
            self._clean(SIGKILL)
        else:
            self._enter(State.FAILED)
        self._remember()

    def mend(self) -> None:
        """End a `fail`: start at once what is wanted."""
        self.failed, self._at_once, self._delay_s = False, True, 0.0
        if self.state is State.FAILED:
            self._settle(self.clock())
        self._remember()

    # events

    def main_ended(self, how: str) -> None:
        """The main process is dead (and reaped, if it was a child)."""
        if self.main is None:
            return
        self._say("-1\n")
        _LOG.warning("%s (process %d) ended: %s", self.command.name, self.main.pid, how)
        self.main, self.last_exit = None, how
        if self.state is not State.CLEANING:
            self._clean(self.command.leftover_signal)
        self._remember()
        self.tick()

    def tick(self) -> None:
        """Do what is due now."""
        now = self.clock()
        if self.deadline is None or now < self.deadline:
            return
        match self.state:
            case State.STARTING:
                self._look_whether_it_runs(now)
            case State.STOPPING:
                self._next_stop_step()
            case State.CLEANING:
                self._look_whether_it_is_clean(now)
            case State.BACKOFF:
                self.restarts += 1
                self._launch()
                self._remember()
            case State.STOPPED | State.RUNNING | State.FAILED:
                self.deadline = None

    @property
    def at_rest(self) -> bool:
        """Nothing of it runs."""
        return self.state in (State.STOPPED, State.BACKOFF, State.FAILED)

    def status(self) -> dict[str, Any]:
        """What the order `status` answers for this service."""
        return {
            "running": self.state is State.RUNNING,
            "pid": self.main.pid if self.main else None,
            "state": str(self.state),
            "wanted": self.wanted,
            "restarts": self.restarts,
            "last_exit": self.last_exit,
        }

    def adopt(self) -> None:
        """Take over what an earlier supervisor, killed, left running or wanted."""
        record = read_record(self.paths.record(self.command.name))
        self.wanted, self.failed, self._leader = record.wanted, record.failed, record.leader
        self._say("-1\n")
        now = read_process(record.pid) if record.pid else None
        if now is not None and now.alive and now.start_ticks == record.start_ticks:
            _LOG.info("%s: took over process %d", self.command.name, now.pid)
            self.main = self._leader = now
            self._started = self.clock()
            self._enter(State.STARTING, self._started)
            if self.failed:
                self.fail()
            elif not self.wanted:
                self.stop()
        elif self._leader is not None:
            self._at_once = True
            self._clean(self.command.leftover_signal)
        else:
            self._at_once = True
            self._settle(self.clock())
        self.tick()

    # inside

    def _enter(self, state: State, deadline: float | None = None) -> None:
        if state is not self.state:
            _LOG.info("%s: %s, was %s", self.command.name, state, self.state)
        self.state, self.deadline = state, deadline

    def _launch(self) -> None:
        self._started = self.clock()
        self._at_once = self._read_again = False
        try:
            self.main = self._leader = spawn(self.command.argv, self.paths.log_file(self.command.name))
        except OSError as error:
            self.last_exit = f"{self.command.argv[0]} cannot be started: {error.strerror or error}"
            _LOG.error("%s", self.last_exit)
            self._back_off(self._started)
            return
        self._enter(State.STARTING, self._started + _SURVIVED_S)

    def _look_whether_it_runs(self, now: float) -> None:
        if self.main is None:
            return
        waits = self.command.listens and now - self._started < _LISTENS_AT_MOST_S
        if waits and not listens(family(self.main, all_processes())):
            self.deadline = now + _STARTING_TICK_S
            return
        self._enter(State.RUNNING)
        self._say("0\n")
        if self._read_again:
            self._read_again = False
            send(self.main, self.command.reload_signal)

    def _next_stop_step(self) -> None:
        if self.main is None or not self._steps_left:
            _LOG.warning("%s does not stop, so it is killed", self.command.name)
            self._clean(SIGKILL)
            return
        step = self._steps_left.pop(0)
        send(self.main, step.signal)
        self.deadline = self.clock() + step.patience_s

    def _clean(self, number: Signals) -> None:
        """Signal all that is left of it, and look again until nothing is or the time is over."""
        now = self.clock()
        self._cleaning_until = now + _CLEANING_AT_MOST_S
        self._kill_after = now if number is SIGKILL else now + _LEFTOVER_PATIENCE_S
        for process in self._leftovers():
            send(process, number)
        self._enter(State.CLEANING, now)

    def _leftovers(self) -> tuple[Process, ...]:
        return family(self._leader, all_processes()) if self._leader else ()

    def _look_whether_it_is_clean(self, now: float) -> None:
        left = self._leftovers()
        if left and now < self._cleaning_until:
            if now >= self._kill_after:  # again: one of them may have forked while it was listed
                for process in left:
                    send(process, SIGKILL)
            self.deadline = now + _CLEANING_TICK_S
            return
        if left:
            self.last_exit = "cannot be killed: " + ", ".join(f"process {process.pid}" for process in left)
            _LOG.error("%s %s", self.command.name, self.last_exit)
        self.main = self._leader = None
        self._settle(now)
        self._remember()

    def _settle(self, now: float) -> None:
        """Nothing of it runs any more: what now?"""
        if self.failed:
            self._enter(State.FAILED)
        elif not self.wanted:
            self._enter(State.STOPPED)
        elif self._at_once:
            self._launch()
        else:
            self._back_off(now)

    def _back_off(self, now: float) -> None:
        self._delay_s = next_delay_s(self._delay_s, ran_s=now - self._started)
        self._enter(State.BACKOFF, now + self._delay_s)

    def _say(self, text: str) -> None:
        """Tell keepalived, which follows the file: -1 times the tracker's weight of 254 is FAULT."""
        if not self.command.tracked:
            return
        path = self.paths.service_state / self.command.name
        try:
            write_atomically(path, text)
        except OSError as error:
            _LOG.error("%s cannot be written: %s", path, error.strerror)

    def _remember(self) -> None:
        pid, ticks = (self._leader.pid, self._leader.start_ticks) if self._leader else (0, 0)
        record = Record(wanted=self.wanted, failed=self.failed, pid=pid, start_ticks=ticks)
        write_record(self.paths.record(self.command.name), record)
