"""Keeps the virtual machine of one lab in the background, and lets any number of commands speak to its guest.

`python -m holdfast.lab.vm.keeper LAB PORT`: it holds the machine, listens on a socket in the lab's folder, and passes
frames on, each client's commands under numbers of their own. It ends when the machine does, or when it is told to
(SIGTERM).
"""

from __future__ import annotations

import itertools
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType

from holdfast.errors import HoldfastError
from holdfast.lab.vm import kept
from holdfast.lab.vm.machine import MEMORY_MB, PROCESSORS
from holdfast.lab.vm.power import switch_on
from holdfast.lab.vm.wire import Decoder, Frame, GarbledError, Kind, ack

_READ_BYTES = 1 << 18
_FROM_CLIENTS = {Kind.START, Kind.INPUT, Kind.ACK, Kind.SIGNAL, Kind.WINDOW, Kind.LOAD}
_OUTPUT = {Kind.OUTPUT, Kind.ERRORS}


@dataclass(eq=False)
class _Peer:
    """One connection, to a client or to the guest. Flow control bounds what waits to be sent."""

    connection: socket.socket
    decoder: Decoder = field(default_factory=Decoder)
    waiting: bytearray = field(default_factory=bytearray)
    numbers: dict[int, int] = field(default_factory=dict)  # its number of a command → the guest's


class Keeper:
    """The loop between clients and guest."""

    def __init__(self, listener: socket.socket, guest: socket.socket, hello: Frame) -> None:
        self._listener = listener
        self._hello = hello
        self._numbers = itertools.count(1)
        self._owners: dict[int, tuple[_Peer, int] | None] = {}  # None: its client is gone
        self._selector = selectors.DefaultSelector()
        self._guest = self._add(guest)
        self._selector.register(listener, selectors.EVENT_READ, None)

    def serve(self) -> None:
        """Until the guest is gone."""
        while self._guest.connection.fileno() >= 0:
            for key, events in self._selector.select():
                if key.data is None:
                    self._accept()
                    continue
                if events & selectors.EVENT_READ:
                    self._read(key.data)
                if events & selectors.EVENT_WRITE and key.data.connection.fileno() >= 0:
                    self._flush(key.data)

    def _add(self, connection: socket.socket) -> _Peer:
        connection.setblocking(False)
        peer = _Peer(connection)
        self._selector.register(connection, selectors.EVENT_READ, peer)
        return peer

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self._send(self._add(connection), self._hello)

    def _read(self, peer: _Peer) -> None:
        try:
            data = peer.connection.recv(_READ_BYTES)
            frames = list(peer.decoder.feed(data))
        except BlockingIOError:
            return
        except (OSError, GarbledError):
            data = b""
        if not data:
            self._drop(peer)
            return
        for frame in frames:
            if peer is self._guest:
                self._from_guest(frame)
            elif frame.kind in _FROM_CLIENTS:
                self._from_client(peer, frame)

    def _from_client(self, peer: _Peer, frame: Frame) -> None:
        if frame.kind is Kind.START:
            number = next(self._numbers)
            peer.numbers[frame.id] = number
            self._owners[number] = (peer, frame.id)
        elif frame.kind is Kind.LOAD:
            self._send(self._guest, frame)
            return
        elif frame.id not in peer.numbers:
            return  # it has ended, which the client does not know yet
        self._send(self._guest, frame._replace(id=peer.numbers[frame.id]))

    def _from_guest(self, frame: Frame) -> None:
        owner = self._owners.get(frame.id)
        if owner is not None:
            peer, number = owner
            self._send(peer, frame._replace(id=number))
            if frame.kind is Kind.EXIT:
                del peer.numbers[number]
        elif frame.kind in _OUTPUT:
            self._send(self._guest, ack(frame.id, len(frame.payload)))  # nobody reads it, but it must not stop
        if frame.kind is Kind.EXIT:
            self._owners.pop(frame.id, None)

    def _drop(self, peer: _Peer) -> None:
        """As when a terminal is closed: what still runs for it is told to hang up, and reads the end of its input."""
        self._selector.unregister(peer.connection)
        peer.connection.close()
        if peer is self._guest:
            return
        for number in peer.numbers.values():
            self._owners[number] = None
            self._send(self._guest, Frame(Kind.SIGNAL, number, bytes([signal.SIGHUP])))
            self._send(self._guest, Frame(Kind.INPUT, number))

    def _send(self, peer: _Peer, frame: Frame) -> None:
        peer.waiting += frame.encode()
        self._flush(peer)

    def _flush(self, peer: _Peer) -> None:
        if peer.connection.fileno() < 0:
            return
        try:
            while peer.waiting:
                del peer.waiting[: peer.connection.send(peer.waiting)]
        except BlockingIOError:
            pass  # the selector tells when there is room
        except OSError:
            peer.waiting.clear()  # it is gone: its next reading says so
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.waiting else 0)
        self._selector.modify(peer.connection, events, peer)


def _told_to_end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Entry point: boot, say `ready` on standard output, serve. What goes wrong is said there too."""
    lab, port = sys.argv[1], int(sys.argv[2])
    signal.signal(signal.SIGTERM, _told_to_end)
    try:
        with kept.listening(lab) as listener:
            power = switch_on(
                memory_mb=MEMORY_MB,
                processors=PROCESSORS,
                port=port,
                progress=lambda line: _say("progress", line),
            )
            try:
                _say("ready", str(power.hello.data()["kernel"]))
                Keeper(listener, power.connection, power.hello).serve()
            finally:
                power.off()
    except HoldfastError as error:
        _say("failed", f"{error.message}\t{error.hint}")
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _say(word: str, text: str) -> None:
    """A line to the one who started this; once `ready` was said, nobody listens any more."""
    with suppress(BrokenPipeError):
        os.write(1, f"{word} {text}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
