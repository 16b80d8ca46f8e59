"""`holdfast`, loaded once, and forked for each command: `python -m holdfast.cli.loaded SOCKET`, in a virtual machine.

An order is one message with three descriptors: standard input, output and error. Who runs it is a process that its
parent has left behind, so that pid 1 is told how it ends; its first word is its pid. It has an agent process at hand,
forked too, for the same reason.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import termios
from typing import Any

from holdfast.lab.agents_process import fork_at_hand

# Those that are run about a lab: whatever `main` leaves until it is called is loaded here, before the forks.
from . import drain, lab, overrides, realtime, resume, suspend, weight  # noqa: F401
from .main import main as run_command

_LARGEST_ORDER = 1_000_000


def serve(channel: socket.socket) -> dict[str, Any] | None:
    """Take orders until their sender is gone; in the process that is left behind for one, return that one."""
    channel.send(b"ready")
    while True:
        text, descriptors, _, _ = socket.recv_fds(channel, _LARGEST_ORDER, 3)
        if not text:
            return None
        between = os.fork()
        if between == 0:
            if os.fork() != 0:
                os._exit(0)
            order: dict[str, Any] = json.loads(text)
            _take(order, descriptors)
            channel.send(b"%d" % os.getpid())
            return order
        os.waitpid(between, 0)
        for descriptor in descriptors:
            os.close(descriptor)


def _take(order: dict[str, Any], descriptors: list[int]) -> None:
    """What the interpreter would have done at its start."""
    os.setsid()
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    for number in order["terminals"][:1]:
        fcntl.ioctl(number, termios.TIOCSCTTY, 0)
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = ["holdfast", *order["words"]]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=stream.isatty())  # type: ignore[union-attr]


def main() -> None:
    """Entry point: serve, and be the command that was ordered."""
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        order = serve(channel)
    if order is None:
        return
    try:
        os.chdir(order["cwd"])
    except OSError as error:
        sys.stderr.write(f"{order['cwd']}: {error.strerror}\n")
        sys.exit(127)
    fork_at_hand()
    run_command()


if __name__ == "__main__":
    main()
