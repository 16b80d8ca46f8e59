"""The traffic of a rehearsal, seen from its parent: start it in a namespace, add listeners, collect every record."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from holdfast.errors import LabError
from holdfast.lab.commands import tool
from holdfast.lab.helper import Helper
from holdfast.lab.traffic_records import (
    Finished,
    Item,
    Late,
    Outstanding,
    Pause,
    Record,
    TargetListener,
    TrafficPlan,
    listener_to_json,
    parse_line,
)

MAX_RECORDS = 5_000_000
_STOP_GRACE_S = 10.0


@dataclass(frozen=True)
class TrafficResult:
    """Everything that the client did, and when it was late itself."""

    records: tuple[Record, ...]
    late: tuple[Late, ...]
    pauses: tuple[Pause, ...] = ()


@dataclass(frozen=True)
class TrafficCounts:
    """A look at the running traffic, for people."""

    sent: int
    failed: int
    repeated: int


class Traffic:
    """One traffic client. Use as a context manager: leaving it ends the process, whatever happened."""

    def __init__(self, netns: Path, plan: TrafficPlan | None = None) -> None:
        """Start the client in the network namespace at `netns`; it asks nothing until listeners are added."""
        self.plan = plan or TrafficPlan()
        self._records: list[Record] = []
        self._late: list[Late] = []
        self._pauses: list[Pause] = []
        self._finished: Finished | None = None
        self._outstanding = Outstanding(0.0, 0.0)
        self._failed = self._repeated = 0
        self._lock = threading.Lock()
        argv = [tool("nsenter"), f"--net={netns}", sys.executable, "-m", "holdfast.lab.traffic_client"]
        self._helper = Helper("The traffic client", argv, self._take)
        self._helper.send({"plan": asdict(self.plan)})

    def __enter__(self) -> Traffic:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The client's process."""
        return self._helper.pid

    def add(self, listeners: Iterable[TargetListener]) -> None:
        """Start asking these listeners too; those that are asked already are left as they are."""
        self._helper.send({"add": [listener_to_json(listener) for listener in listeners]})

    def counts(self) -> TrafficCounts:
        """How much has been asked and has failed so far; raises LabError if the client died."""
        self._helper.check()
        with self._lock:
            return TrafficCounts(len(self._records), self._failed, self._repeated)

    def since(self, start: float) -> tuple[Record, ...]:
        """The finished requests that ended at or after `start` (monotonic seconds); raises LabError as above."""
        self._helper.check()
        with self._lock:
            found = []
            for record in reversed(self._records):
                if record.end < start - 1:  # records arrive in the order of their end, but for what a flush gathers
                    break
                if record.end >= start:
                    found.append(record)
        return tuple(reversed(found))

    def oldest_on_its_way(self) -> float:
        """When the oldest request began that had no answer when the client last said so; raises LabError as above."""
        self._helper.check()
        with self._lock:
            return self._outstanding.oldest

    def stop(self) -> TrafficResult:
        """Start no more requests, wait for those on their way, and return everything; LabError if a record was lost."""
        self._helper.send({"stop": True})
        try:
            if not self._helper.wait(self.plan.timeout_s + _STOP_GRACE_S):
                raise LabError("The traffic client did not end")
        finally:
            self.close()
        problem = self._helper.problem
        if problem or self._finished is None or self._finished.records != len(self._records):
            raise LabError(f"The traffic client lost records or failed: {problem or 'its output ends early'}")
        records = tuple(sorted(self._records, key=lambda r: r.start))
        return TrafficResult(records, tuple(self._late), tuple(self._pauses))

    def close(self) -> None:
        """End the process if it still runs. May be called again."""
        self._helper.close()

    def _take(self, line: bytes) -> None:
        item = parse_line(line)
        with self._lock:
            self._sort_in(item)

    def _sort_in(self, item: Item) -> None:
        if isinstance(item, Late):
            self._late.append(item)
        elif isinstance(item, Pause):
            self._pauses.append(item)
        elif isinstance(item, Outstanding):
            self._outstanding = item
        elif isinstance(item, Finished):
            self._finished = item
        elif len(self._records) >= MAX_RECORDS:
            raise ValueError(f"more than {MAX_RECORDS} requests: make the scenario shorter")
        else:
            self._records.append(item)
            self._failed += not item.ok
            self._repeated += item.repeated


def error_kinds(records: Iterable[Record]) -> dict[str, int]:
    """How often each kind of error occurred, the most frequent first."""
    return dict(Counter(r.error for r in records if r.error).most_common())
