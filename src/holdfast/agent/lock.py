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
_MARKS_DONE_WITHIN_S = 60.0  # a mark that is being set ends with nginx: it has taken it, or what was before


class Turn:
    """The node's lock, held."""

    def __init__(self, marks: int) -> None:
        self._marks = marks

    @contextmanager
    def marks_meanwhile(self) -> Iterator[None]:
        """Whoever holds it only waits: marks of servers may be set until then, and nothing else. Raises ApplyError."""
        fcntl.flock(self._marks, fcntl.LOCK_UN)  # closing would not do: programs that were started hold it, too
        try:
            yield
        finally:
            _acquire(self._marks, time.monotonic() + _MARKS_DONE_WITHIN_S)


@contextmanager
def exclusive(places: Places, patience_s: float = 5.0) -> Iterator[Turn]:
    """Hold the node's lock; raises ApplyError when another command has it for longer than `patience_s`
    seconds.

    The kernel drops the lock of a process that is killed.
    """
    deadline = time.monotonic() + patience_s
    with _opened(places, "lock") as lock, _opened(places, "lock.marks") as marks:
        _acquire(lock, deadline)
        _acquire(marks, deadline)
        yield Turn(marks)


@contextmanager
def marking(places: Places, patience_s: float) -> Iterator[None]:
    """Hold only what setting marks needs, while whoever has the node's lock waits. Raises ApplyError if it does not."""
    with _opened(places, "lock.marks") as marks:
        _acquire(marks, time.monotonic() + patience_s)
        yield


@contextmanager
def _opened(places: Places, name: str) -> Iterator[int]:
    create_folder(places.state)
    descriptor = os.open(places.state / name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Programs that the agent runs inherit it: after a kill of the agent alone, a last `nft -f` must end before the
        # next agent command looks at what is there.
        os.set_inheritable(descriptor, True)
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, deadline: float) -> None:
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
