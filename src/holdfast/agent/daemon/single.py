"""One agent a node: a second one would only take turns with the first."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.agent.files import create_folder
from holdfast.agent.host.port import Places
from holdfast.agent.steps import translated
from holdfast.errors import UsageError


@contextmanager
def only_one(places: Places) -> Iterator[None]:
    """Hold the daemon's lock, which the kernel drops with the process; UsageError where another one has it."""
    folder = places.state / "agent"
    with translated():
        create_folder(folder, 0o700)
        descriptor = os.open(folder / "running", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                "an agent runs on this node already", "look at `systemctl status holdfast-agent`"
            ) from None
        yield
    finally:
        os.close(descriptor)


def runs(places: Places) -> bool:
    """Whether an agent runs on this node."""
    try:
        descriptor = os.open(places.state / "agent" / "running", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
