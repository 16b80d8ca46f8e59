"""What a service writes to its logs from a moment on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from holdfast.agent.host.port import Places
from holdfast.bundle import Service

COPY = ".cut"  # behind the name of a log: what the agent kept of one that was too large
_READ_AT_MOST = 1 << 20  # bytes a look; what is skipped is the oldest
_LINES_AT_MOST = 1000


def log_lengths(places: Places, service: Service) -> dict[Path, tuple[int, int]]:
    """Inode and length of each log of a service, the oldest first, access logs and copies aside; raises OSError."""
    found = []
    folder = places.log / service
    for path in folder.glob("*") if folder.is_dir() else ():
        if path.is_file() and "access" not in path.name and not path.name.endswith(COPY):
            status = path.stat()
            found.append((status.st_mtime_ns, path, (status.st_ino, status.st_size)))
    return {path: place for _, path, place in sorted(found)}


class LogTail:
    """Whole lines since `before` (of nothing: all that there is); a log that is new counts from its start.

    What has a rotated log's name and was not there is a copy of lines that are old.

    Lines that begin with a brace are requests (HAProxy writes them to the same file as its own complaints): they are
    many, and what they say is the users' choice.
    """

    def __init__(self, places: Places, service: Service, before: Mapping[Path, tuple[int, int]]) -> None:
        self._places, self._service = places, service
        self._since = bool(before)
        self._read_up_to = dict(before.values())  # by inode: a rotated file has another name, but was read already
        self._lines: list[str] = []

    def lines(self) -> tuple[str, ...]:
        """All so far; raises OSError."""
        for path, (inode, length) in log_lengths(self._places, self._service).items():
            if self._since and inode not in self._read_up_to and path.suffix != ".log":
                continue
            position = self._read_up_to.get(inode, 0)
            position = max(position if position <= length else 0, length - _READ_AT_MOST)
            with path.open("rb") as log:
                log.seek(position)
                whole, newline, _ = log.read(_READ_AT_MOST).rpartition(b"\n")
            self._read_up_to[inode] = position + len(whole) + len(newline)
            whole = whole.lstrip(b"\0")  # the hole where a log was begun anew under its program
            self._lines += [line for line in whole.decode("utf-8", "replace").splitlines() if line[:1] != "{"]
        del self._lines[:-_LINES_AT_MOST]
        return tuple(self._lines)
