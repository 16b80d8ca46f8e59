"""Keeps the logs of this node's services from filling its disk: a full one would forbid every change."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from itertools import islice
from pathlib import Path

from holdfast.agent.daemon.log import LOG
from holdfast.agent.daemon.state import State
from holdfast.agent.host.port import Places
from holdfast.agent.lock import exclusive
from holdfast.agent.services.logs import COPY
from holdfast.errors import ApplyError, HoldfastError

LOOK_EVERY_S = 15.0
LARGEST = 256_000_000  # bytes of one log
_SHARE = 16  # … but never more than this part of its file system, as much of which is left free beside a copy
_FILES_AT_MOST = 500
_BLOCK = 1 << 16  # bytes; disks have smaller ones


class LogKeeper:
    """Of one node. Whoever rotates logs himself, before they are as large, is not interfered with."""

    def __init__(self, state: State, every_s: float = LOOK_EVERY_S) -> None:
        self._state, self._every_s = state, every_s
        self._unable = ""

    async def keep(self) -> None:
        """Until cancelled."""
        while True:  # ends: cancelled
            await self.look()
            await self._state.beat.rest(self._every_s)

    async def look(self) -> None:
        """Once; not while the node is being changed, as what its services say then decides whether it is put back."""
        if self._state.busy:
            return
        try:
            for path in await self._state.look(partial(shortened, self._state.work.node.places)):
                LOG.info("a log was begun anew", extra={"file": str(path)})
        except Exception as error:  # noqa: BLE001  # what a disk does to logs must not end the agent, whatever it is
            known = isinstance(error, OSError | HoldfastError)
            why = str(error) if known else repr(error)
            if why != self._unable:  # once, not every few seconds
                LOG.warning("logs cannot be looked after", extra={"why": why}, exc_info=not known)
            self._unable = why


def shortened(places: Places, largest: int = LARGEST) -> tuple[Path, ...]:
    """Every log that is too large is emptied, after a copy beside it (COPY); returns those. Raises OSError.

    Programs go on writing to the same file: nobody has to be told. HAProxy does so behind the place where it was before
    (it takes O_APPEND from its output), so its file begins with a hole, which takes no room and counts for nothing.
    What comes between the copy and the end of it is lost. Where there is no room for a copy, there is none.
    """
    return tuple(path for path in _logs(places) if _shorten(places, path, largest))


def _logs(places: Places) -> Iterator[Path]:
    return islice(places.log.glob("*/*.log"), _FILES_AT_MOST)


def _shorten(places: Places, path: Path, largest: int) -> bool:
    try:
        # By its descriptor alone: the program that owns the folder may put links there, and this runs as root.
        log = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not _too_large(log, largest):
                return False
            with ExitStack() as alone:
                with suppress(OSError):  # on a full disk without a lock nobody else can have it, either
                    alone.enter_context(exclusive(places, 0.0))
                _copy(log, path)
                os.ftruncate(log, 0)
        finally:
            os.close(log)
    except ApplyError:  # a command on this node reads it at the moment; there will be another look
        return False
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP):  # somebody rotated it meanwhile; a link
            LOG.warning("a log cannot be begun anew", extra={"file": str(path), "why": str(error)})
        return False
    return True


def _too_large(log: int, largest: int) -> bool:
    found, disk = os.fstat(log), os.fstatvfs(log)
    large = _used(found) > min(largest, disk.f_blocks * disk.f_frsize // _SHARE)
    return large and stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def _used(found: os.stat_result) -> int:
    """What a file takes of its disk, without holes."""
    return min(found.st_size, 512 * found.st_blocks)


def _copy(log: int, path: Path) -> None:
    """Beside it, in place of the copy before, which makes room; none where there is not enough of it."""
    new = path.with_name(path.name + COPY)
    new.unlink(missing_ok=True)
    found, disk = os.fstat(log), os.fstatvfs(log)
    if _used(found) > (disk.f_bavail - disk.f_blocks // _SHARE) * disk.f_frsize:
        return
    copy = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.fchown(copy, found.st_uid, found.st_gid)
        os.fchmod(copy, stat.S_IMODE(found.st_mode))
        _send(log, copy, 2 * _used(found), _begins(log))
    except OSError as error:
        new.unlink(missing_ok=True)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
    finally:
        os.close(copy)


def _begins(log: int) -> int:
    """Where the text begins behind a hole, which ends with a block of the disk and not with a line."""
    at = os.lseek(log, 0, os.SEEK_DATA)
    block = os.pread(log, _BLOCK, at)
    return at + len(block) - len(block.lstrip(b"\0"))


def _send(log: int, copy: int, most: int, at: int = 0) -> None:
    """All from `at` on, with what is written meanwhile; at `most` bytes somebody writes faster than this copies."""
    end = at + most
    while at < end and (sent := os.sendfile(copy, log, at, end - at)):
        at += sent
