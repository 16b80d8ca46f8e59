"""A command in a virtual machine as if it ran here: the same terminal, width, colours, input, signals, exit status."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import termios
import threading
import tty
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from holdfast.errors import LabError
from holdfast.lab.vm.channel import Channel, Running
from holdfast.lab.vm.machine import ENVIRONMENT
from holdfast.lab.vm.wire import MAX_PAYLOAD, Order

_PASSED_ON = {"TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "LANG", "TZ", "PYTHONPATH"}
_PREFIXES = ("LC_", "HOLDFAST_")
_CLEANING_UP_S = 60.0  # what an interrupted command gets to take down what it has built
_KILLED_S = 60.0  # and the machine, to say that it has killed it


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """What a command in the machine gets of the user's environment: how to show things, nothing else."""
    passed = {name: value for name, value in own.items() if name in _PASSED_ON or name.startswith(_PREFIXES)}
    return {**ENVIRONMENT, **passed}


def holdfast(arguments: Sequence[str]) -> list[str]:
    """The command line of `holdfast ARGUMENTS` with this interpreter."""
    return [sys.executable, "-P", "-m", "holdfast.cli", *arguments]


def loader() -> list[str]:
    """The command line of the process that has `holdfast` loaded, but for its last word."""
    return [sys.executable, "-P", "-m", "holdfast.cli.loaded"]


def relay(
    channel: Channel, argv: Sequence[str], env: Mapping[str, str], *, interactive: bool, loaded: int | None = None
) -> int:
    """Run a command to its end, and return its exit status; Ctrl-C reaches it, a second one ends it.

    With `interactive` it can read standard input, key by key where that is a terminal. `loaded` is as in Order.
    LabError if the machine stops.
    """
    terminals = tuple(fd for fd in (0, 1, 2) if (fd > 0 or interactive) and os.isatty(fd))
    order = Order(tuple(argv), env, os.getcwd(), terminals, _window(terminals), loaded)
    with _raw(0 in terminals):
        command = channel.start(order, _write)
        with _resizing(command, terminals):
            if interactive:
                threading.Thread(target=_pump, args=(command,), name="holdfast-vm-input", daemon=True).start()
            else:
                command.end_input()
            return _wait(command)


def _wait(command: Running) -> int:
    try:
        return command.wait()
    except KeyboardInterrupt:
        command.signal(signal.SIGINT)
    try:
        return command.wait(_CLEANING_UP_S)
    except (KeyboardInterrupt, subprocess.TimeoutExpired):
        command.signal(signal.SIGKILL)
    try:
        return command.wait(_KILLED_S)
    except subprocess.TimeoutExpired:
        raise LabError(
            f"the command in the virtual machine was killed, and that is not told within {_KILLED_S:g} s",
            "the machine is very busy, or stuck: where the lab is still there, holdfast lab down NAME ends both",
        ) from None


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    with suppress(BrokenPipeError):  # the reader of a pipe has left; the command's own end is told all the same
        while left:
            left = left[os.write(descriptor, left) :]


def _pump(command: Running) -> None:
    """Pass on what comes in on standard input, until its end or the command's."""
    with suppress(LabError):  # the machine stopped: the one who waits for the command says so
        while True:
            if not select.select([0], [], [], 0.5)[0]:
                if command.ended:
                    return
                continue
            data = os.read(0, MAX_PAYLOAD)
            if not data:
                command.end_input()
                return
            command.send(data)


def _window(terminals: tuple[int, ...]) -> tuple[int, int]:
    if not terminals:
        return 24, 80
    size = os.get_terminal_size(terminals[-1])
    return size.lines, size.columns


@contextmanager
def _resizing(command: Running, terminals: tuple[int, ...]) -> Iterator[None]:
    if not terminals or threading.current_thread() is not threading.main_thread():
        yield
        return

    def changed(number: int, frame: object) -> None:
        with suppress(LabError, OSError):
            command.resize(*_window(terminals))

    before = signal.signal(signal.SIGWINCH, changed)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)


@contextmanager
def _raw(wanted: bool) -> Iterator[None]:
    """Every key goes to the command: it has a terminal of its own, with its own Ctrl-C."""
    if not wanted:
        yield
        return
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
