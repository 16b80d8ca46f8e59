"""One agent command at a time changes a node."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.agent.files import create_folder
from holdfast.agent.host.port import Places
from holdfast.errors import ApplyError

_POLL_S = 0.05


@contextmanager
def exclusive(places: Places, patience_s: float = 5.0) -> Iterator[None]:
    """Hold the node's lock; raises ApplyError when another command has it for longer than `patience_s`
    seconds.

    The kernel drops the lock of a process that is killed.
    """
    create_folder(places.state)
    descriptor = os.open(places.state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Programs that the agent runs inherit it: after a kill of the agent alone, a last `nft -f` must end before the
        # next agent command looks at what is there.
        os.set_inheritable(descriptor, True)
        _acquire(descriptor, patience_s)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while True:  # ends: at the deadline
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise ApplyError(
                    "another agent command is changing this node at the moment", "wait for its end, then try again"
                ) from error
        time.sleep(_POLL_S)
