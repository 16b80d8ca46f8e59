"""The owner's end of a machine's byte stream: several commands at once, each with its input, output and end."""

from __future__ import annotations

import itertools
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress

from holdfast.errors import LabError
from holdfast.lab.vm.wire import MAX_PAYLOAD, STREAM_WINDOW, Decoder, Frame, GarbledError, Kind, Order, ack, window

OnOutput = Callable[[int, bytes], None]  # descriptor (1 or 2) and what was written; called in the channel's own thread
Gone = Callable[[], LabError]  # what to say when the stream has ended
_DESCRIPTOR = {Kind.OUTPUT: 1, Kind.ERRORS: 2}


class Running:
    """A command that runs in the machine."""

    def __init__(self, channel: Channel, number: int, on_output: OnOutput) -> None:
        self._channel = channel
        self._number = number
        self._on_output = on_output
        self._ended = threading.Event()
        self._credit = STREAM_WINDOW
        self._more_credit = threading.Condition()
        self._status: int | None = None

    def send(self, data: bytes) -> None:
        """Give it input; waits while it does not read, returns when it ends. LabError if the machine has stopped."""
        for start in range(0, len(data), MAX_PAYLOAD):
            piece = data[start : start + MAX_PAYLOAD]
            if not self._pay(len(piece)):
                return
            self._channel.send(Frame(Kind.INPUT, self._number, piece))

    def _pay(self, size: int) -> bool:
        with self._more_credit:
            self._more_credit.wait_for(lambda: self._credit >= size or self._ended.is_set())
            self._credit -= size
        return not self._ended.is_set()

    def end_input(self) -> None:
        """Nothing more will come."""
        self._channel.send(Frame(Kind.INPUT, self._number))

    def signal(self, number: signal.Signals) -> None:
        """To its process group."""
        self._channel.send(Frame(Kind.SIGNAL, self._number, bytes([number])))

    def resize(self, rows: int, columns: int) -> None:
        """Its terminal has another size now."""
        self._channel.send(window(self._number, rows, columns))

    @property
    def ended(self) -> bool:
        """True once it has ended, or the machine with it."""
        return self._ended.is_set()

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status (128 + n after signal n), once it has ended.

        LabError if the machine stops before; subprocess.TimeoutExpired after `timeout` seconds.
        """
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("a command in the virtual machine", timeout or 0.0)
        if self._status is None:
            raise self._channel.gone()
        return self._status

    def take(self, frame: Frame) -> None:
        """Called by the channel for each frame that is about this command."""
        if frame.kind in _DESCRIPTOR:
            self._on_output(_DESCRIPTOR[frame.kind], frame.payload)
            self._channel.send(ack(self._number, len(frame.payload)))
        elif frame.kind is Kind.ACK:
            with self._more_credit:
                self._credit += int.from_bytes(frame.payload, "big")
                self._more_credit.notify_all()
        elif frame.kind is Kind.EXIT:
            self.end(int(frame.data()["status"]))

    def end(self, status: int | None) -> None:
        """Called by the channel: it has ended, or the machine is gone (None)."""
        self._status = status
        self._ended.set()
        with self._more_credit:
            self._more_credit.notify_all()


class Channel:
    """Frames over `connection`, read by a thread of its own. `gone` says what is raised once the stream has ended."""

    def __init__(self, connection: socket.socket, gone: Gone) -> None:
        self._connection = connection
        self.gone = gone
        self._numbers = itertools.count(1)
        self._commands: dict[int, Running] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._reader = threading.Thread(target=self._read, name="holdfast-vm-channel", daemon=True)
        self._reader.start()

    def start(self, order: Order, on_output: OnOutput = lambda descriptor, data: None) -> Running:
        """Start a command. LabError if the machine has stopped."""
        number = next(self._numbers)
        command = Running(self, number, on_output)
        with self._lock:
            self._commands[number] = command
        self.send(order.frame(number))
        return command

    def send(self, frame: Frame) -> None:
        """Send one frame, in one piece. LabError if the machine has stopped."""
        try:
            with self._lock:
                if self._closed:
                    raise BrokenPipeError
                self._connection.sendall(frame.encode())
        except OSError:
            raise self.gone() from None

    def close(self) -> None:
        """Let go; who waits for a command is told that the machine is gone."""
        with suppress(OSError):  # the other side was first
            self._connection.shutdown(socket.SHUT_RDWR)
        self._reader.join(5.0)
        self._connection.close()

    def _read(self) -> None:
        decoder = Decoder()
        try:
            while data := self._connection.recv(1 << 18):
                for frame in decoder.feed(data):
                    self._take(frame)
        except (OSError, GarbledError, LabError):
            pass  # the same to everybody who waits: the machine cannot be spoken to any more
        finally:
            self._end()

    def _take(self, frame: Frame) -> None:
        command = self._commands.get(frame.id)
        if command is None:
            return  # a keeper's first word, which says nothing new
        command.take(frame)
        if frame.kind is Kind.EXIT:
            with self._lock:
                del self._commands[frame.id]

    def _end(self) -> None:
        with self._lock:
            self._closed = True
            left = list(self._commands.values())
            self._commands.clear()
        for command in left:
            command.end(None)
