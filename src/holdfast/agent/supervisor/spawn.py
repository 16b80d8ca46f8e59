"""Starts a service's main process in a session of its own, its output appended to its log."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from holdfast.agent.supervisor.processes import Process, read_process

_LARGEST_LOG = 16 * 1024 * 1024  # bytes; then the log becomes the one old log beside it
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
# Python ignores SIGPIPE and SIGXFSZ, and the supervisor handles others; its children start with the defaults.
_DEFAULT_SIGNALS = (
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGCHLD,
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
)


def spawn(argv: tuple[str, ...], log: Path) -> Process:
    """Start `argv`; raises OSError where the program cannot be run."""
    output = _open_log(log)
    try:
        pid = os.posix_spawn(
            argv[0],
            argv,
            _ENVIRONMENT,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=_DEFAULT_SIGNALS,
        )
    finally:
        os.close(output)
    started = read_process(pid)  # a child stays readable until it is reaped, dead or not
    if started is None:
        raise OSError(f"process {pid} vanished")
    return started


def _open_log(log: Path) -> int:
    """A full disk or a read-only one must not keep a service down: then its words are lost."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        if log.exists() and log.stat().st_size > _LARGEST_LOG:
            os.replace(log, log.with_name(log.name + ".1"))
        return os.open(log, flags, 0o640)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
