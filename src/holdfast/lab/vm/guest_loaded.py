"""The guest's side of a process that has Holdfast loaded and forks for each command: to load it takes many seconds.

What it forks is left to the guest, which collects it as any other command. Standard library alone, as the guest.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import suppress

from holdfast.lab.vm.wire import Order

_LONGEST = 64
_ANSWERS_S = 30.0  # a fork; beyond that the command is started in the ordinary way


class Loaded:
    """At most one such process: loading, ready, or gone."""

    def __init__(self) -> None:
        self._channel: socket.socket | None = None
        self.loading = False

    def start(self, order: Order) -> int:
        """Start loading, instead of what was loaded before; returns the descriptor that tells of its end."""
        self.end()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            try:
                os.setsid()
                signal.set_wakeup_fd(-1)
                for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT):
                    signal.signal(number, signal.SIG_DFL)
                theirs.set_inheritable(True)
                os.execvpe(order.argv[0], (*order.argv, str(theirs.fileno())), order.env)
            finally:
                os._exit(127)
        theirs.close()
        ours.settimeout(_ANSWERS_S)
        self._channel, self.loading = ours, True
        return ours.fileno()

    def heard(self) -> bool:
        """Call when the descriptor can be read: False where that is the process's end, and it is not there any more."""
        assert self._channel is not None
        self.loading = False
        with suppress(OSError):
            if self._channel.recv(_LONGEST):
                return True
        self.end()
        return False

    def end(self) -> None:
        """Let the process end; what it has forked goes on."""
        if self._channel is not None:
            self._channel.close()
        self._channel, self.loading = None, False

    def fork(self, order: Order, streams: tuple[int, int, int]) -> int | None:
        """The pid of a process for the order, leader of its own session; None if there is none to be had."""
        if self._channel is None or self.loading:
            return None
        wanted = {"words": order.words(), "env": dict(order.env), "cwd": order.cwd, "terminals": order.terminals}
        try:
            socket.send_fds(self._channel, [json.dumps(wanted).encode()], streams)
            return int(self._channel.recv(_LONGEST))
        except (OSError, ValueError):
            self.end()
            return None
