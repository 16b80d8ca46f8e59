"""Keeps the logs of this node's services from filling its disk: a full one would forbid every change."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from holdfast.agent.daemon.log import LOG
from holdfast.agent.daemon.state import State
from holdfast.agent.host.port import Places

LOOK_EVERY_S = 15.0
LARGEST = 256_000_000  # bytes of one log
_SHARE = 16  # … but never more than this part of its file system
_FILES_AT_MOST = 500


class LogKeeper:
    """Of one node. Whoever rotates logs himself, before they are as large, is not interfered with."""

    def __init__(self, state: State, every_s: float = LOOK_EVERY_S) -> None:
        self._state, self._every_s = state, every_s

    async def keep(self) -> None:
        """Until cancelled."""
        while True:  # ends: cancelled
            for path in await self._state.look(partial(shortened, self._state.work.node.places)):
                LOG.info("a log was begun anew", extra={"file": str(path)})
            await asyncio.sleep(self._every_s)


def shortened(places: Places, largest: int = LARGEST) -> tuple[Path, ...]:
    """Every log that is too large is emptied, after a copy beside it (`.1`); returns those.

    Programs go on writing to the same file, which they opened to append: nobody has to be told. What comes between the
    copy and the end of it is lost. Where there is no room for a copy, there is none.
    """
    return tuple(path for path in _logs(places) if _shorten(path, largest))


def _logs(places: Places) -> Iterator[Path]:
    return islice(places.log.glob("*/*.log"), _FILES_AT_MOST)


def _shorten(path: Path, largest: int) -> bool:
    try:
        # By its descriptor alone: the program that owns the folder may put links there, and this runs as root.
        log = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found, disk = os.fstat(log), os.fstatvfs(log)
            small = found.st_size <= min(largest, disk.f_blocks * disk.f_frsize // _SHARE)
            if small or not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                return False
            _copy(log, found, path)
            os.ftruncate(log, 0)
        finally:
            os.close(log)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP):  # somebody rotated it meanwhile; a link
            LOG.warning("a log cannot be begun anew", extra={"file": str(path), "why": str(error)})
        return False
    return True


def _copy(log: int, found: os.stat_result, path: Path) -> None:
    """Beside it, in place of the copy before; none where there is no room."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    copy = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.fchown(copy, found.st_uid, found.st_gid)
        os.fchmod(copy, stat.S_IMODE(found.st_mode))
        at = 0
        while at < found.st_size and (sent := os.sendfile(copy, log, at, found.st_size - at)):
            at += sent
    except OSError as error:
        new.unlink(missing_ok=True)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
    else:
        new.replace(path.with_name(f"{path.name}.1"))
    finally:
        os.close(copy)
