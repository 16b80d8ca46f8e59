"""What nginx did, out of its access log: it has no other source of what its servers answered, and how fast."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from holdfast.errors import ApplyError
from holdfast.protocol.realtime import WebKind, WebRow
from holdfast.sentences import Sentence

ENGINE = "nginx"
MOST_ROWS = 2_000
_LONGEST = 150  # characters of a name
_BETWEEN = re.compile(r", | : ")  # nginx: servers that were tried for one request, and those after an internal redirect
_ENDPOINT = re.compile(r".{1,140}:[0-9]{1,5}")


class Growth(NamedTuple):
    """What was written since the last time; `share` of it was read, from its end."""

    lines: list[bytes]
    share: float


class LogTail:
    """A log that grows, is moved away and begun anew. What was there before is not looked at."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._at = 0
        self._began = False

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def read(self, most: int) -> Growth:
        """Whole lines, `most` bytes of them; ApplyError where the log cannot be read."""
        try:
            return self._read(most)
        except OSError as error:
            self.close()
            raise ApplyError(
                Sentence("%(path)s cannot be read: %(error)s", path=self._path, error=error.strerror),
                "is it a file, and may root read it?",
            ) from None

    def _read(self, most: int) -> Growth:
        if self._file is None and not self._open(at_end=not self._began):
            return Growth([], 1.0)
        found = self._grown(most)
        if self._replaced():  # what came into the old one after it was moved has been read just now
            self.close()
            if self._open(at_end=False):
                more = self._grown(most)
                found = Growth([*found.lines, *more.lines], min(found.share, more.share))
        return found

    def _open(self, *, at_end: bool) -> bool:
        self._began = True
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        known = os.fstat(file)
        if not stat.S_ISREG(known.st_mode):
            os.close(file)
            raise OSError(0, "it is no file")
        self._file, self._at = file, known.st_size if at_end else 0
        return True

    def _replaced(self) -> bool:
        assert self._file is not None
        try:
            there = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return not os.path.samestat(there, os.fstat(self._file))

    def _grown(self, most: int) -> Growth:
        assert self._file is not None
        size = os.fstat(self._file).st_size
        if size < self._at:
            self._at = 0  # it was emptied in place
        grown, skipped = size - self._at, max(0, size - self._at - most)
        data = os.pread(self._file, grown - skipped, self._at + skipped)
        end = data.rfind(b"\n") + 1
        self._at += skipped + end
        begin = data.find(b"\n") + 1 if skipped else 0
        share = (end - begin) / (skipped + end) if skipped and end > begin else 1.0
        return Growth(data[begin:end].splitlines(), share)


@dataclass
class Count:
    """Of one row; a projection where not all of the log was read."""

    requests: float = 0.0
    statuses: list[float] = field(default_factory=lambda: [0.0] * 6)
    milliseconds: float = 0.0  # until an answer, of all that were timed
    timed: float = 0.0

    def add(self, status: int, seconds: float | None, weight: float) -> None:
        """One answer, which stands for `weight` of them."""
        self.requests += weight
        self.statuses[status // 100 - 1 if 100 <= status < 600 else 5] += weight
        if seconds is not None:
            self.milliseconds += seconds * 1000 * weight
            self.timed += weight


Key = tuple[WebKind, str, str]  # kind, name, pool


class Counts:
    """All rows since the agent began."""

    def __init__(self) -> None:
        self.rows: dict[Key, Count] = {}

    def take(self, growth: Growth) -> None:
        """What was written. Lines that are none of Holdfast's form are passed over."""
        weight = 1.0 / growth.share
        for line in growth.lines:
            try:
                said = json.loads(line)
                self._one(said, weight)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                continue

    def _one(self, said: dict[str, object], weight: float) -> None:
        status, pool = int(str(said["status"])), str(said["pool"])
        seconds = float(str(said["request_time"]))
        self._of(WebKind.LISTENER, str(said["listener"]), "").add(status, seconds, weight)
        if not pool:
            return
        servers = _BETWEEN.split(str(said["upstream_addr"]))
        statuses = _BETWEEN.split(str(said["upstream_status"]))
        times = [_seconds(one) for one in _BETWEEN.split(str(said["upstream_response_time"]))]
        known = [one for one in times if one is not None]
        self._of(WebKind.POOL, pool, "").add(status, sum(known) if known else None, weight)
        for server, answered, took in zip(servers, statuses, times, strict=False):
            if _ENDPOINT.fullmatch(server):  # else it is the pool's own name: there was no server to ask
                code = int(answered) if answered.isdecimal() and len(answered) == 3 else 0
                self._of(WebKind.SERVER, server, pool).add(code, took, weight)

    def _of(self, kind: WebKind, name: str, pool: str) -> Count:
        key = kind, name[:_LONGEST] or "-", pool[:_LONGEST]
        found = self.rows.get(key)
        if found is None:
            found = Count()
            if len(self.rows) < MOST_ROWS:
                self.rows[key] = found
        return found


def _seconds(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None  # `-`: it was not asked


def rows(counts: Counts) -> Iterable[WebRow]:
    """As they are told, without what needs a look before this one."""
    for (kind, name, pool), one in sorted(counts.rows.items()):
        first, second, third, fourth, fifth, other = (round(number) for number in one.statuses)
        yield WebRow(
            engine=ENGINE,
            kind=kind,
            name=name,
            pool=pool,
            requests=round(one.requests),
            statuses=(first, second, third, fourth, fifth, other),
        )


def times(counts: Counts) -> dict[Key, tuple[float, float]]:
    """Milliseconds, and how many answers took them together."""
    return {key: (one.milliseconds, one.timed) for key, one in counts.rows.items()}
