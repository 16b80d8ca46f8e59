"""Waiting until a node takes orders: its supervisor answers on its socket."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from pathlib import Path

from holdfast.bundle import RUN_DIR
from holdfast.errors import LabError
from holdfast.lab.node import Node

SUPERVISOR_SOCKET = f"{RUN_DIR}/supervisor.sock"
READY_TIMEOUT = 90.0  # as for a boot: loading the supervisor alone takes 5 s of an emulated processor


def connect(path: Path, timeout: float = 2.0) -> socket.socket:
    """A connection to the Unix socket at `path` (which may go through /proc/PID/root); raises OSError."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        channel.settimeout(timeout)
        channel.connect(str(path))
    except OSError:
        channel.close()
        raise
    return channel


def answers(path: Path) -> bool:
    """True if something accepts connections on the Unix socket at `path`."""
    try:
        connect(path).close()
    except OSError:
        return False
    return True


def wait_ready(nodes: Sequence[Node], timeout: float = READY_TIMEOUT) -> None:
    """Wait up to `timeout` seconds until the supervisors of those with an agent among `nodes` take orders."""
    deadline = time.monotonic() + timeout
    waiting = {n.name: n for n in nodes if n.spec.has_agent}
    while waiting:
        waiting = {name: n for name, n in waiting.items() if not answers(_socket(n))}
        if waiting and time.monotonic() > deadline:
            names = ", ".join(waiting)
            raise LabError(f"The supervisor of {names} did not come up within {timeout:g} s", _last_words(waiting))
        if waiting:
            time.sleep(0.02)


def _socket(node: Node) -> Path:
    return node.root / SUPERVISOR_SOCKET.lstrip("/")


def _last_words(nodes: dict[str, Node]) -> str:
    for node in nodes.values():
        said = node.log.read_text(errors="replace").strip().splitlines()
        if said:
            return f"it said: {said[-1]}"
    return "its log is empty"
