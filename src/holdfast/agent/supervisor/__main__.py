"""The supervisor's process: `python -m holdfast.agent.supervisor`, also as process 1 of a container."""

from __future__ import annotations

import ctypes
import fcntl
import logging
import os
import resource
import sys

from holdfast.agent.supervisor.commands import COMMANDS
from holdfast.agent.supervisor.loop import Supervisor
from holdfast.agent.supervisor.paths import Paths
from holdfast.errors import ApplyError, HoldfastError

_LOG = logging.getLogger("holdfast.supervisor")
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_OPEN_FILES = 131_072  # containers may allow 2^30, for which HAProxy would reserve memory


def main() -> int:
    """Run until SIGTERM; 1 where it cannot."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s supervisor %(levelname)s %(message)s"
    )
    try:
        _run(Paths())
    except HoldfastError as error:
        _LOG.error("%s; %s", error.message, error.hint)
        return error.exit_status
    return 0


def _run(paths: Paths) -> None:
    os.chdir("/")
    os.umask(0o022)
    try:
        paths.prepare(tuple(command.name for command in COMMANDS))
        lock = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ApplyError(
            f"the supervisor cannot prepare {error.filename}: {error.strerror}", "run it as root"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ApplyError(
            f"another supervisor runs here: it holds {paths.lock}", "stop it first, or leave it to its work"
        ) from None
    _become_reaper()
    _limit_open_files()
    try:
        Supervisor(paths).run()
    except OSError as error:
        raise ApplyError(
            f"the supervisor cannot listen on {paths.socket}: {error.strerror}",
            "look at that folder's rights",
        ) from error
    finally:
        os.close(lock)


def _become_reaper() -> None:
    """Orphans of services become our children, as they are process 1's."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        _LOG.warning("orphans go to process 1: %s", os.strerror(ctypes.get_errno()))


def _limit_open_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))


if __name__ == "__main__":
    sys.exit(main())
