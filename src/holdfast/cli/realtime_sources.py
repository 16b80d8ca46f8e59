"""Where `holdfast realtime` looks: at this machine's table, or through the agents of a lab's nodes at theirs."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, NamedTuple

from holdfast.agent.table_watch import looks
from holdfast.errors import HoldfastError, LabError, TableUnreadable
from holdfast.ipvs.document import LONGEST, Look, from_line
from holdfast.ipvs.reader import KernelTable
from holdfast.ipvs.select import wanted
from holdfast.lab.cluster import LabCluster
from holdfast.lab.lab import Lab

_ENDS_WITHIN_S = 5.0
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Watch:
    """What to look at: `count` 0 is without end; `vip` is empty for all."""

    every_s: float
    count: int
    connections: bool
    vip: str


class Seen(NamedTuple):
    """One look at a node, or why there is none (and will be none)."""

    node: str
    look: Look | None
    error: HoldfastError | None = None


def here(watch: Watch) -> Generator[Seen, None, None]:
    """This machine's table. Raises TableUnreadable."""
    only = wanted(watch.vip) if watch.vip else None
    node = socket.gethostname()
    with KernelTable() as reader:
        for look in looks(reader, every_s=watch.every_s, count=watch.count, connections=watch.connections, only=only):
            yield Seen(node, look)


def in_lab(name: str, nodes: Sequence[str], watch: Watch) -> Generator[Seen, None, None]:
    """The tables of a lab's nodes, in the order in which they come in. LabError if the lab or a node is not there."""
    lab = Lab.attach(name)
    chosen = list(dict.fromkeys(nodes)) or directors(name)
    argv = ["python", "-m", "holdfast.agent", "ipvs", "--json", "--every", f"{round(watch.every_s * 1000)}ms"]
    argv += ["--count", str(watch.count), *(["--connections"] if watch.connections else [])]
    argv += ["--vip", watch.vip] if watch.vip else []
    yield from told_by({node: lab.node(node).argv(argv) for node in chosen})


def told_by(commands: Mapping[str, Sequence[str]]) -> Generator[Seen, None, None]:
    """What the agents tell that these commands run, by node. They are ended when this is closed."""
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for node, command in commands.items():
            child = _Child(node, command)
            stack.callback(child.end)
            selector.register(child.output, selectors.EVENT_READ, child)
        while selector.get_map():  # until each has ended
            for key, _ in selector.select():
                child = key.data
                yield from child.read()
                if child.ended:
                    selector.unregister(child.output)


def directors(name: str) -> list[str]:
    """The nodes of a lab that direct virtual servers. LabError if there is none."""
    bundles = LabCluster.attach(name).bundles()
    found = [node for node, bundle in bundles.items() if bundle.expected.virtual_servers]
    if not found:
        raise LabError(f"no node of lab {name} directs virtual servers", "name one with --node to see its table anyway")
    return found


class _Child:
    """The agent of one node, telling a line for each look."""

    def __init__(self, node: str, argv: Sequence[str]) -> None:
        self.node = node
        self.ended = False
        self._held = bytearray()
        self._process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        assert self._process.stdout is not None  # a pipe was asked for
        self.output: IO[bytes] = self._process.stdout

    def read(self) -> Iterator[Seen]:
        """What came in; at the end, why it ended if that was not as it should be."""
        data = os.read(self.output.fileno(), _CHUNK)
        self._held += data
        if len(self._held) > LONGEST:
            raise TableUnreadable(f"{self.node} told more than {LONGEST} bytes at once", "look at it with --vip")
        if not data:
            self.ended = True
            if self._process.wait(_ENDS_WITHIN_S) != 0:
                yield Seen(self.node, None, self._failure(bytes(self._held)))
            return
        if b"\n" not in data:
            return
        *lines, rest = bytes(self._held).split(b"\n")
        self._held = bytearray(rest)
        for line in lines:
            if line.startswith(b'{"error"'):
                self._held = bytearray(line)  # the last word; its end is near
            elif line:
                yield Seen(self.node, from_line(line, self.node))

    def _failure(self, last: bytes) -> HoldfastError:
        try:
            said = json.loads(last)["error"]
            return HoldfastError(f"{self.node}: {said['message']}", str(said["hint"]))
        except (ValueError, KeyError, TypeError):
            status = self._process.returncode
            return HoldfastError(f"the agent of {self.node} ended with status {status}", "is the node up?")

    def end(self) -> None:
        """End it and whatever entered the node for it."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(_ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self.output.close()
