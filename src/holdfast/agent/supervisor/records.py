"""What the supervisor remembers of a service on disk, should it be killed while the service runs on."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from holdfast.agent.supervisor.paths import write_atomically
from holdfast.agent.supervisor.processes import Process

_LOG = logging.getLogger(__name__)
_LARGEST = 4096  # bytes


@dataclass(frozen=True)
class Record:
    """`pid` is 0 where no main process was known; `start_ticks` tells a reused number apart."""

    wanted: bool = False
    failed: bool = False
    pid: int = 0
    start_ticks: int = 0

    @property
    def leader(self) -> Process | None:
        """The main process as it was."""
        if not self.pid:
            return None
        return Process(self.pid, parent=0, session=self.pid, start_ticks=self.start_ticks, state="?")


def write_record(path: Path, record: Record) -> None:
    """Best effort: without it only a killed supervisor forgets."""
    try:
        write_atomically(path, json.dumps(asdict(record)))
    except OSError as error:
        _LOG.error("%s cannot be written: %s", path, error.strerror)


def read_record(path: Path) -> Record:
    """The record, or an empty one where none can be read."""
    try:
        with path.open("rb") as stream:
            found = json.loads(stream.read(_LARGEST))
    except FileNotFoundError:
        return Record()
    except (OSError, ValueError) as error:
        _LOG.error("%s cannot be read, so what ran before is not known: %s", path, error)
        return Record()
    if not isinstance(found, dict):
        return Record()
    pid, ticks = found.get("pid"), found.get("start_ticks")
    known = isinstance(pid, int) and isinstance(ticks, int) and pid > 1
    return Record(
        wanted=found.get("wanted") is True,
        failed=found.get("failed") is True,
        pid=pid if known and isinstance(pid, int) else 0,
        start_ticks=ticks if known and isinstance(ticks, int) else 0,
    )
