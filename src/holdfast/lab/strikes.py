"""The moments of faults: what is prepared beforehand, so that only one call is left to make it happen."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from signal import SIGSTOP

from holdfast.lab import network
from holdfast.lab.commands import Armed, tool
from holdfast.lab.node import Node
from holdfast.lab.processes import Process, program

Strike = Callable[[], None]
_STOP_WAIT = 1.0


def arm_links(lab: str, ports: Iterable[str], *, up: bool) -> Strike:
    """Prepare the pulling, or the plugging in, of the cables that end in these bridge ports."""
    wanted = frozenset(ports)
    if not wanted:
        return lambda: None
    armed = Armed(["ip", "-n", network.switch_name(lab), "-batch", "-"])
    return lambda: armed.strike(network.port_lines(wanted, up=up))


def arm_cut(lab: str, pairs: Iterable[tuple[str, str]], *, cut: bool) -> Strike:
    """Prepare the cutting, or the joining, of pairs of bridge ports, in both directions."""
    lines = network.cut_lines(pairs, cut=cut)
    armed = Armed(["nsenter", f"--net={network.NETNS_DIR / network.switch_name(lab)}", tool("nft"), "-f", "-"])
    return lambda: armed.strike(lines)


def running(node: Node, name: str) -> tuple[Process, ...]:
    """The processes of `node` that run the program with this file name."""
    return tuple(p for p in node.processes() if program(p) == name)


def stop(find: Callable[[], tuple[Process, ...]]) -> None:
    """SIGSTOP to all that `find` finds, until it finds none that still runs.

    What is forked while the others are being stopped is found by the next look; and on a busy machine a process goes
    on for a moment before it sees its signal.
    """
    deadline = time.monotonic() + _STOP_WAIT
    while True:
        moving = [p for p in find() if p.state not in ("T", "t", "")]
        for process in moving:
            process.signal(SIGSTOP)
        if not moving or time.monotonic() > deadline:
            return
        time.sleep(0.001)


def fill(path: Path, size: int) -> None:
    """Append `size` bytes to `path`, or as many as there is room for."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        block = bytes(64 * 1024)
        left = size
        while left > 0:
            left -= os.write(handle, block[:left])
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    finally:
        os.close(handle)
