"""The virtual machine's pid 1: runs commands for its owner outside, several at once, and reaps what is orphaned.

Runs without site-packages, standard library alone. If it ends, the kernel panics and with it the machine: there is no
half-dead guest.
"""

from __future__ import annotations

import errno
import fcntl
import os
import selectors
import signal
import struct
import sys
import termios
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from holdfast.lab.vm.guest_loaded import Loaded
from holdfast.lab.vm.wire import (
    MAX_PAYLOAD,
    PORT_NAME,
    STREAM_WINDOW,
    Decoder,
    Frame,
    Kind,
    Order,
    ack,
    of_json,
    window_size,
)

_LINGER_S = 0.5  # how long output is waited for that an orphan of a command that has ended may still write
_PORTS = Path("/sys/class/virtio-ports")


@dataclass
class _Command:
    """One command: its process group, its open streams, and what flow control knows about them."""

    id: int
    pid: int
    stdin: int = -1
    terminal: int = -1
    outputs: dict[int, Kind] = field(default_factory=dict)
    unacknowledged: int = 0
    pending: bytearray = field(default_factory=bytearray)  # input that the command has not read yet
    input_ended: bool = False
    status: int | None = None
    ended_at: float = 0.0


def main() -> NoReturn:
    """Serve until the owner is gone."""
    port = _open_port()
    try:
        Guest(port).serve()
    except BaseException as error:
        # Last words for the console: the panic that follows says nothing about why.
        os.write(2, f"holdfast guest: {type(error).__name__}: {error}\n".encode())
        raise
    power_off()


def power_off() -> NoReturn:
    """At once; QEMU ends with the machine."""
    Path("/proc/sysrq-trigger").write_text("o")
    while True:
        time.sleep(1)


def _open_port() -> int:
    for entry in os.listdir(_PORTS):
        if (_PORTS / entry / "name").read_text().strip() == PORT_NAME:
            return os.open(f"/dev/{entry}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    raise FileNotFoundError(errno.ENOENT, "the machine has no port to its owner", str(_PORTS))


class Guest:
    """The loop over the port, the commands' streams and the children's ends."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._decoder = Decoder()
        self._out = bytearray()
        self._commands: dict[int, _Command] = {}
        self._by_pid: dict[int, _Command] = {}
        self._loaded, self._loader = Loaded(), -1
        self._deferred: list[Frame] = []  # of commands that wait until Holdfast is loaded
        self._selector = selectors.DefaultSelector()
        self._selector.register(port, selectors.EVENT_READ)
        self._running = True
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._woken = woken
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._selector.register(woken, selectors.EVENT_READ)

    def serve(self) -> None:
        """Until the other end of the port is closed."""
        hello = {"kernel": os.uname().release, "uptime": time.clock_gettime(time.CLOCK_BOOTTIME)}
        self._send(of_json(Kind.READY, 0, hello))
        while self._running:
            self._flush()
            for key, events in self._selector.select(self._patience()):
                self._handle(key.fd, events)
            self._reap()
            self._finish()

    def _patience(self) -> float | None:
        ending = [c.ended_at + _LINGER_S for c in self._commands.values() if c.status is not None]
        return max(0.0, min(ending) - time.monotonic()) if ending else None

    def _handle(self, descriptor: int, events: int) -> None:
        if descriptor == self._port:
            if events & selectors.EVENT_READ:
                self._read_port()
            return
        if descriptor == self._woken:
            os.read(self._woken, 4096)
            return
        if descriptor == self._loader:
            self._hear_loader()
            return
        command = self._selector.get_map()[descriptor].data
        if events & selectors.EVENT_READ:
            self._read_output(command, descriptor)
        if events & selectors.EVENT_WRITE and descriptor in self._selector.get_map():
            self._write_input(command)

    # ---- the port

    def _read_port(self) -> None:
        try:
            data = os.read(self._port, MAX_PAYLOAD)
        except BlockingIOError:
            return
        if not data:  # the owner is gone: nobody will ever ask for anything again
            self._running = False
            return
        for frame in self._decoder.feed(data):
            self._obey(frame)

    def _send(self, frame: Frame) -> None:
        self._out += frame.encode()

    def _flush(self) -> None:
        while self._out:
            try:
                written = os.write(self._port, self._out[:MAX_PAYLOAD])
            except BlockingIOError:
                break
            del self._out[:written]
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out else 0)
        if self._selector.get_key(self._port).events != wanted:
            self._selector.modify(self._port, wanted)

    def _obey(self, frame: Frame) -> None:
        if frame.kind is Kind.LOAD:
            self._load(frame)
        elif self._must_wait(frame):
            self._deferred.append(frame)
        elif frame.kind is Kind.START:
            self._start(frame)
        elif command := self._commands.get(frame.id):
            self._tell(command, frame)
        # Otherwise the command has ended while this was on its way.

    def _tell(self, command: _Command, frame: Frame) -> None:
        if frame.kind is Kind.INPUT:
            command.pending += frame.payload
            command.input_ended |= not frame.payload
            self._watch(command)
        elif frame.kind is Kind.ACK:
            command.unacknowledged -= int.from_bytes(frame.payload, "big")
            self._watch(command)
        elif frame.kind is Kind.SIGNAL:
            if command.status is None:
                os.killpg(command.pid, signal.Signals(frame.payload[0]))
        elif frame.kind is Kind.WINDOW and command.terminal >= 0:
            _resize(command.terminal, *window_size(frame))

    # ---- Holdfast, loaded

    def _load(self, frame: Frame) -> None:
        if self._loader >= 0:
            self._selector.unregister(self._loader)
        self._loader = self._loaded.start(Order.of(frame))
        self._selector.register(self._loader, selectors.EVENT_READ)

    def _hear_loader(self) -> None:
        loader = self._loader
        if not self._loaded.heard():
            self._selector.unregister(loader)
            self._loader = -1
        deferred, self._deferred = self._deferred, []
        for frame in deferred:
            self._obey(frame)

    def _must_wait(self, frame: Frame) -> bool:
        if frame.kind is Kind.START:
            return self._loaded.loading and Order.of(frame).loaded is not None
        return any(frame.id == waiting.id for waiting in self._deferred)

    # ---- commands

    def _start(self, frame: Frame) -> None:
        order = Order.of(frame)
        try:
            command = _spawn(frame.id, order, self._loaded)
        except OSError as error:
            self._send(Frame(Kind.ERRORS, frame.id, f"{order.argv[0]}: {error.strerror}\n".encode()))
            self._send(of_json(Kind.EXIT, frame.id, {"status": 127}))
            return
        self._commands[frame.id] = command
        self._by_pid[command.pid] = command
        self._watch(command)

    def _watch(self, command: _Command) -> None:
        """Have the selector look at exactly those streams of the command that something can be done with."""
        wanted = dict.fromkeys(command.outputs, selectors.EVENT_READ if self._may_send(command) else 0)
        if command.stdin >= 0 and (command.pending or command.input_ended):
            wanted[command.stdin] = wanted.get(command.stdin, 0) | selectors.EVENT_WRITE
        for descriptor in {command.stdin, *command.outputs} - {-1}:
            events, known = wanted.get(descriptor, 0), descriptor in self._selector.get_map()
            if not events and known:
                self._selector.unregister(descriptor)
            elif events and known:
                self._selector.modify(descriptor, events, command)
            elif events:
                self._selector.register(descriptor, events, command)

    @staticmethod
    def _may_send(command: _Command) -> bool:
        return command.unacknowledged < STREAM_WINDOW

    def _read_output(self, command: _Command, descriptor: int) -> bool:
        try:
            data = os.read(descriptor, MAX_PAYLOAD)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.EIO:  # what a terminal says when its last user has closed it
                raise
            data = b""
        if not data:
            self._close_output(command, descriptor)
            return False
        self._send(Frame(command.outputs[descriptor], command.id, data))
        command.unacknowledged += len(data)
        self._watch(command)
        return True

    def _close_output(self, command: _Command, descriptor: int) -> None:
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)
        del command.outputs[descriptor]
        if descriptor == command.stdin:  # a terminal is both
            command.stdin = command.terminal = -1
        os.close(descriptor)

    def _write_input(self, command: _Command) -> None:
        if command.pending:
            try:
                written = os.write(command.stdin, command.pending[:4096])
            except BlockingIOError:
                return
            except OSError:  # it reads no more: EPIPE, or EIO of a terminal
                written = len(command.pending)
            del command.pending[:written]
            self._send(ack(command.id, written))
        if command.input_ended and not command.pending:
            self._end_input(command)
        self._watch(command)

    def _end_input(self, command: _Command) -> None:
        command.input_ended = False
        if command.stdin == command.terminal:
            os.write(command.stdin, b"\x04")  # a terminal is not closed, its user types Ctrl-D
            return
        if command.stdin in self._selector.get_map():
            self._selector.unregister(command.stdin)
        os.close(command.stdin)
        command.stdin = -1

    # ---- ends

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if command := self._by_pid.pop(pid, None):
                code = os.waitstatus_to_exitcode(status)
                command.status = code if code >= 0 else 128 - code
                command.ended_at = time.monotonic()

    def _finish(self) -> None:
        """Say of every command that has ended, and whose output was sent, that it has."""
        now = time.monotonic()
        for command in [c for c in self._commands.values() if c.status is not None]:
            for descriptor in list(command.outputs):
                while descriptor in command.outputs and self._may_send(command):
                    if not self._read_output(command, descriptor):
                        break
            if not self._may_send(command):
                command.ended_at = now  # more is there; it is sent when the owner has taken what it was sent
            elif not command.outputs or now >= command.ended_at + _LINGER_S:
                self._forget(command)

    def _forget(self, command: _Command) -> None:
        for descriptor in {command.stdin, *command.outputs} - {-1}:
            if descriptor in self._selector.get_map():
                self._selector.unregister(descriptor)
            os.close(descriptor)
        del self._commands[command.id]
        self._send(of_json(Kind.EXIT, command.id, {"status": command.status}))


def _resize(terminal: int, rows: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _spawn(number: int, order: Order, loaded: Loaded) -> _Command:
    """Start the command of an order; OSError if there is no such program or folder."""
    terminals = order.terminals
    master = slave = -1
    if terminals:
        master, slave = os.openpty()
        _resize(slave, *order.window)
    pipes = {fd: os.pipe2(os.O_CLOEXEC) for fd in (0, 1, 2) if fd not in terminals}
    inner = {fd: pipes[fd][0 if fd == 0 else 1] if fd in pipes else slave for fd in (0, 1, 2)}
    pid = loaded.fork(order, (inner[0], inner[1], inner[2])) if order.loaded is not None else None
    reason = b""
    if pid is None:
        pid, reason = _execute(order, inner, slave)
    for descriptor in set(inner.values()):
        os.close(descriptor)
    outer = {fd: pipe[1 if fd == 0 else 0] for fd, pipe in pipes.items()}
    if reason:
        for descriptor in {*outer.values(), master} - {-1}:
            os.close(descriptor)
        raise OSError(int(reason), os.strerror(int(reason)))
    command = _Command(number, pid, stdin=outer.get(0, master), terminal=master)
    for fd, kind in ((1, Kind.OUTPUT), (2, Kind.ERRORS)):
        command.outputs.setdefault(outer.get(fd, master), kind)
    if master >= 0 and 1 not in terminals and 2 not in terminals:
        command.outputs.setdefault(master, Kind.OUTPUT)  # the echo of what is typed
    for descriptor in {command.stdin, *command.outputs}:
        os.set_blocking(descriptor, False)
    return command


def _execute(order: Order, inner: dict[int, int], slave: int) -> tuple[int, bytes]:
    """The process, and the number of the error that kept it from becoming the command, if any."""
    failed, failing = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        _become(order, inner, slave, failing)
    os.close(failing)
    with open(failed, "rb") as told:
        return pid, told.read()


def _become(order: Order, inner: dict[int, int], slave: int, failing: int) -> NoReturn:
    """In the child: take the streams, then become the command."""
    try:
        os.setsid()
        if slave >= 0:
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd, source in inner.items():
            os.dup2(source, fd)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(order.cwd)
        os.execvpe(order.argv[0], order.argv, order.env)
    except OSError as error:
        os.write(failing, str(error.errno).encode())
    os._exit(127)


if __name__ == "__main__":
    sys.exit(main())
