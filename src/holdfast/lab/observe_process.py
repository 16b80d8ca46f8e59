"""The observer as a process of its own: who carries an address (netlink), and who answers for it (ARP, ND).

It reads JSON lines on stdin (nodes, then probes) and writes an event a line. Standard library only, one thread, so that
what it measures is not held up by anything else.
"""

from __future__ import annotations

import errno
import json
import os
import select
import selectors
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from holdfast.lab.observe_netlink import (
    AddressChange,
    Change,
    LinkChange,
    ask_everything,
    decode,
    subscribe,
)
from holdfast.lab.observe_probe import answer, open_probe, question

PROBE_EVERY_S = 0.05
# Whether a node's namespace is still the same one (a crash removes it, a boot makes another) is looked at when mounts
# change, as they do then, and besides this often: while one is neither there nor gone, and else.
_LOOK_SOON_S = 0.01
_LOOK_EVERY_S = 0.25


def emit(**event: Any) -> None:
    """Write one event at once."""
    os.write(sys.stdout.fileno(), json.dumps(event, separators=(",", ":")).encode() + b"\n")


@dataclass
class Node:
    """One node's namespace: the present one's identity, its socket, and what is known of its links and addresses."""

    name: str
    netns: Path
    identity: tuple[int, int] | None = None
    link: socket.socket | None = None
    names: dict[int, str] = field(default_factory=dict)
    up: dict[str, bool] = field(default_factory=dict)
    held: set[tuple[int, str]] = field(default_factory=set)
    dumping: list[str] = field(default_factory=list)

    def look(self, selector: selectors.BaseSelector) -> bool:
        """Follow the node through crash and boot: let go of a namespace that went away, and watch a new one.

        False where it is to be looked at again in a moment.
        """
        identity = _identity(self.netns)
        if identity == self.identity:
            return True
        if self.link is not None:
            self._lose(selector)
        if identity is None:
            self.identity = None
            return True
        try:
            self.link = subscribe(self.netns)
        except OSError:  # it is being made or removed right now
            return False
        self.identity = identity
        selector.register(self.link, selectors.EVENT_READ, self)
        self.dumping = ["addresses"]
        ask_everything(self.link, "links")
        return True

    def _lose(self, selector: selectors.BaseSelector) -> None:
        assert self.link is not None
        selector.unregister(self.link)
        self.link.close()
        self.link = None
        self.names, self.up, self.held = {}, {}, set()
        emit(t=monotonic(), kind="gone", node=self.name)

    def read(self) -> None:
        """Take what the kernel says; after an overrun everything is asked for anew."""
        assert self.link is not None
        try:
            data = self.link.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            # What was missed is unknown, so everything is forgotten and asked for anew: a blip, and a true one after.
            emit(t=monotonic(), kind="gone", node=self.name)
            self.names, self.up, self.held, self.dumping = {}, {}, set(), ["addresses"]
            ask_everything(self.link, "links")
            return
        now = monotonic()
        changes, ended = decode(data)
        for change in changes:
            self._take(change, now)
        if ended and self.dumping:
            ask_everything(self.link, self.dumping.pop())

    def _take(self, change: Change, now: float) -> None:
        if isinstance(change, LinkChange):
            self.names[change.index] = change.name
            if self.up.get(change.name) != change.up:
                self.up[change.name] = change.up
                emit(t=now, kind="link", node=self.name, interface=change.name, up=change.up)
            return
        self._take_address(change, now)

    def _take_address(self, change: AddressChange, now: float) -> None:
        key = (change.index, change.address)
        if change.added == (key in self.held):
            return
        (self.held.add if change.added else self.held.discard)(key)
        interface = self.names.get(change.index, str(change.index))
        emit(
            t=now, kind="add" if change.added else "del",
            node=self.name, address=change.address, interface=interface,
        )  # fmt: skip


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Prober:
    """Asks the client's segments who has each address, round after round; says when the set of answers changes."""

    def __init__(self, netns: Path, selector: selectors.BaseSelector) -> None:
        self._netns, self._selector = netns, selector
        self._sockets: dict[str, socket.socket] = {}
        self._questions: dict[str, tuple[str, bytes]] = {}
        self._round: dict[str, set[str]] = {}
        self._last: dict[str, list[str]] = {}
        self._began = 0.0

    def add(self, address: str, interface: str) -> None:
        """Ask for `address` on `interface` from now on."""
        if interface not in self._sockets:
            probe = self._sockets[interface] = open_probe(self._netns, interface)
            self._selector.register(probe, selectors.EVENT_READ, self)
        self._questions[address] = (interface, question(address))

    def next_round(self, now: float) -> None:
        """Close the round that ends now, and ask again."""
        for address in self._round:
            answers = sorted(self._round[address])
            if answers != self._last.get(address):
                self._last[address] = answers
                emit(t=self._began, kind="answers", address=address, macs=answers)
        self._began = now
        self._round = {address: set() for address in self._questions}
        for interface, frame in self._questions.values():
            try:
                self._sockets[interface].send(frame)
            except OSError as error:
                if error.errno not in (errno.ENETDOWN, errno.ENOBUFS, errno.ENXIO):
                    raise  # a client's link that is down answers nothing, which is what is then reported

    def read(self, probe: socket.socket) -> None:
        """Take every frame that waits."""
        while True:
            try:
                frame = probe.recv(2048)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ENETDOWN:
                    return
                raise
            found = answer(frame)
            if found and found.address in self._round:
                self._round[found.address].add(found.mac)


class Mounts:
    """Can be read when something was mounted or unmounted in this mount namespace (proc_pid_mountinfo(5))."""

    def __init__(self) -> None:
        self._table = open("/proc/self/mountinfo", "rb")  # noqa: SIM115 - as long as the process
        self._changes = select.epoll()
        self._changes.register(self._table, select.EPOLLPRI)  # the table itself can be read at any time

    def fileno(self) -> int:
        """For a selector."""
        return self._changes.fileno()

    def read(self) -> None:
        """Take notice of what has changed."""
        self._changes.poll(0)


class Observer:
    """The loop around both."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._mounts = Mounts()
        self._nodes: list[Node] = []
        self._prober: Prober | None = None
        self._buffer = b""
        self._selector.register(sys.stdin, selectors.EVENT_READ, "commands")
        self._selector.register(self._mounts, selectors.EVENT_READ, self._mounts)

    def run(self) -> None:
        """Watch until the input ends."""
        look = probe = monotonic()
        while True:
            wait = max(0.0, min(look, probe) - monotonic())
            for key, _ in self._selector.select(wait):
                if key.data == "commands":
                    if not self._commands():
                        return
                    look = 0.0
                elif isinstance(key.data, Mounts | Node):
                    key.data.read()
                    look = 0.0 if key.data is self._mounts else look
                else:
                    key.data.read(key.fileobj)
            now = monotonic()
            if now >= look:
                settled = [node.look(self._selector) for node in self._nodes]
                look = monotonic() + (_LOOK_EVERY_S if all(settled) else _LOOK_SOON_S)
            if now >= probe:
                if self._prober:
                    self._prober.next_round(now)
                probe = max(probe + PROBE_EVERY_S, now)

    def _commands(self) -> bool:
        data = os.read(sys.stdin.fileno(), 1 << 16)
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            command = json.loads(line)
            for node in command.get("nodes", ()):
                self._nodes.append(Node(node["name"], Path(node["netns"])))
            if "client" in command:
                self._prober = Prober(Path(command["client"]), self._selector)
            for probe in command.get("probes", ()):
                assert self._prober is not None
                self._prober.add(probe["address"], probe["interface"])
        return bool(data)


def main() -> None:
    """Entry point of the process."""
    try:
        Observer().run()
    except (BrokenPipeError, KeyboardInterrupt):
        raise SystemExit(1) from None  # the parent is gone


if __name__ == "__main__":
    main()
