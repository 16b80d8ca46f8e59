"""The agents of a lab, run by a process that has loaded the agent already: each command costs a fork, not a start.

The agent that runs in a node is the same code, in the node's namespaces, with the environment and the exit status that
`python -m holdfast.agent …` there would have. Starting an interpreter and loading the agent takes 0.4 s on an ordinary
machine and 5 s on an emulated one, and a rehearsal needs a hundred of these commands.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol

from holdfast.errors import LabError
from holdfast.lab.boot import clean_environment
from holdfast.lab.commands import tool
from holdfast.lab.node import Node

_END_S = 5.0
_SUPERVISE_S = 90.0  # the agent may have to be loaded first, on an emulated machine
_MOST_BYTES = 64_000_000  # of one answer


class Entered(Protocol):
    """What has namespaces of its own, with a pid 1."""

    @property
    def pid1(self) -> int:
        """Its pid 1, as this machine numbers it."""


class _Forked:
    """A child of this process, with what is used of a Popen."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._handle = os.pidfd_open(pid)

    def poll(self) -> int | None:
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired("the process that runs the agents", timeout or 0.0)
        return status

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self._pid, signal.SIGKILL)

    def _ended(self, within_s: float | None) -> int | None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._handle, selectors.EVENT_READ)
            if not selector.select(within_s):
                return None
        return 0  # how is of no interest; it is collected at this process's own end


_READY: list[tuple[socket.socket, _Forked]] = []


def have_ready(channel: socket.socket, child: int) -> None:
    """The first `Agents` of this process need not start theirs: it is its child `child`, at the end of `channel`."""
    _READY.append((channel, _Forked(child)))


def is_ready() -> bool:
    """Whether the first `Agents` of this process has its process already."""
    return bool(_READY)


class Agents:
    """Runs agent commands in the nodes of a lab. The process behind it is started at first use, and ends with this."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | _Forked | None = None
        self._channel: socket.socket | None = None

    def start(self) -> None:
        """Start loading the agent; nothing happens if that was done before."""
        with self._lock:
            if self._child is None or self._child.poll() is not None:
                self._launch()

    def run(
        self, node: Entered, words: Sequence[str], *, input: str | None = None, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run `holdfast-agent` with `words` on `node`, and wait.

        Raise subprocess.TimeoutExpired when `timeout` (seconds) is over, by when all that the command started in its
        group has been killed; LabError if the node is down.
        """
        with ExitStack() as stack:
            files = [os.memfd_create(name, os.MFD_CLOEXEC) for name in ("stdin", "stdout", "stderr")]
            for descriptor in files:
                stack.callback(os.close, descriptor)
            os.write(files[0], (input or "").encode())
            os.lseek(files[0], 0, os.SEEK_SET)
            code = self._order(node, words, files, timeout)
            out, err = (os.pread(f, _MOST_BYTES, 0).decode(errors="replace") for f in files[1:])
        return subprocess.CompletedProcess(list(words), code, out, err)

    def supervise(self, node: Node) -> None:
        """Leave the agent's supervisor running in `node`, its output in the node's log; LabError if the node is down.

        It is not the node's pid 1, which collects what the supervisor leaves behind.
        """
        with open(os.devnull, "rb") as nothing, node.log.open("ab") as log:
            files = [nothing.fileno(), log.fileno(), log.fileno()]
            if self._order(node, (), files, _SUPERVISE_S) != 0:
                raise LabError(f"The supervisor of {node.name} could not be started", hint=f"see {node.log}")

    def _order(self, node: Entered, words: Sequence[str], files: Sequence[int], timeout: float) -> int:
        self.start()
        order = {"pid1": node.pid1, "words": list(words), "environment": clean_environment()}
        status, theirs = os.pipe2(os.O_CLOEXEC)
        try:
            try:
                self._send(json.dumps(order).encode(), (*files, theirs))
            finally:
                os.close(theirs)
            return _Ending(status, words, timeout).wait()
        finally:
            os.close(status)

    def close(self) -> None:
        """End the process. It is started again if a command is run later."""
        with self._lock:
            if self._channel is not None:
                self._channel.close()  # the end of its orders is its end
                self._channel = None
            if self._child is not None:
                try:
                    self._child.wait(_END_S)
                except subprocess.TimeoutExpired:
                    self._child.kill()
                    self._child.wait()
                self._child = None

    def _launch(self) -> None:
        if _READY:
            self._channel, self._child = _READY.pop()
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._child = subprocess.Popen(
                [tool(sys.executable), "-m", "holdfast.lab.agents_process", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for who waits here
            )
        self._channel = ours

    def _send(self, order: bytes, descriptors: Sequence[int]) -> None:
        with self._lock:
            assert self._channel is not None  # started above
            try:
                socket.send_fds(self._channel, [order], list(descriptors))
            except OSError as error:
                raise LabError(f"The process that runs the agents has ended: {error.strerror}") from None


class _Ending:
    """The end of one command: its process group on the first line of the pipe, its exit status on the second."""

    def __init__(self, status: int, words: Sequence[str], timeout: float) -> None:
        self._status, self._words, self._timeout = status, words, timeout
        self._deadline = time.monotonic() + timeout
        self._said = b""

    def wait(self) -> int:
        try:
            while self._said.count(b"\n") < 2:
                if not self._read():
                    raise LabError(f"`{' '.join(self._words)}` could not be run: its process ended without a status")
        except BaseException:
            self._kill()
            raise
        return int(self._said.split()[1])

    def _read(self) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._status, selectors.EVENT_READ)
            if not selector.select(max(0.0, self._deadline - time.monotonic())):
                raise subprocess.TimeoutExpired(list(self._words), self._timeout)
        piece = os.read(self._status, 100)
        self._said += piece
        return bool(piece)

    def _kill(self) -> None:
        group = self._said.split(b"\n")[0]
        if group and self._said.count(b"\n") == 1:  # no status yet: its leader has not been collected
            try:
                os.killpg(int(group), signal.SIGKILL)
            except ProcessLookupError:
                return
