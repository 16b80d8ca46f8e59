"""The traffic of a rehearsal, seen from its parent: start it in a namespace, add listeners, collect every record."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from holdfast.errors import LabError
from holdfast.lab.commands import tool
from holdfast.lab.traffic_records import (
    Finished,
    Item,
    Late,
    Outstanding,
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
        self._finished: Finished | None = None
        self._outstanding = Outstanding(0.0, 0.0)
        self._failed = self._repeated = 0
        self._problem = ""
        self._lock = threading.Lock()
        self._child = subprocess.Popen(
            [tool("nsenter"), f"--net={netns}", sys.executable, "-m", "holdfast.lab.traffic_client"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the parent's to handle; the client ends when its input does
        )
        self._readers = [threading.Thread(target=t, daemon=True) for t in (self._read, self._read_errors)]
        for reader in self._readers:
            reader.start()
        self._send({"plan": asdict(self.plan)})

    def __enter__(self) -> Traffic:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The client's process."""
        return self._child.pid

    def add(self, listeners: Iterable[TargetListener]) -> None:
        """Start asking these listeners too; those that are asked already are left as they are."""
        self._send({"add": [listener_to_json(listener) for listener in listeners]})

    def counts(self) -> TrafficCounts:
        """How much has been asked and has failed so far; raises LabError if the client died."""
        self._check()
        with self._lock:
            return TrafficCounts(len(self._records), self._failed, self._repeated)

    def since(self, start: float) -> tuple[Record, ...]:
        """The finished requests that ended at or after `start` (monotonic seconds); raises LabError as above."""
        self._check()
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
        self._check()
        with self._lock:
            return self._outstanding.oldest

    def stop(self) -> TrafficResult:
        """Start no more requests, wait for those on their way, and return everything; LabError if a record was lost."""
        self._send({"stop": True})
        try:
            self._child.wait(self.plan.timeout_s + _STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            raise LabError("The traffic client did not end") from None
        finally:
            self.close()
        if self._problem or self._finished is None or self._finished.records != len(self._records):
            raise LabError(f"The traffic client lost records or failed: {self._problem or 'its output ends early'}")
        return TrafficResult(tuple(sorted(self._records, key=lambda r: r.start)), tuple(self._late))

    def close(self) -> None:
        """End the process if it still runs. May be called again."""
        if self._child.stdin and not self._child.stdin.closed:
            try:
                self._child.stdin.close()
            except BrokenPipeError:
                self._problem = self._problem or "it ended early"
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        for reader in self._readers:
            reader.join(_STOP_GRACE_S)
        for stream in (self._child.stdout, self._child.stderr):
            if stream:
                stream.close()

    def _send(self, command: dict[str, object]) -> None:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(command).encode() + b"\n")
            self._child.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise LabError(f"The traffic client has ended: {self._problem or 'it said nothing'}") from None

    def _check(self) -> None:
        if self._child.poll() is not None or self._problem:
            raise LabError(f"The traffic client has ended: {self._problem or 'it said nothing'}")

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            try:
                item = parse_line(line)
            except ValueError as error:
                self._problem = str(error)
                return
            with self._lock:
                self._take(item)

    def _take(self, item: Item) -> None:
        if isinstance(item, Late):
            self._late.append(item)
        elif isinstance(item, Outstanding):
            self._outstanding = item
        elif isinstance(item, Finished):
            self._finished = item
        elif len(self._records) >= MAX_RECORDS:
            self._problem = f"more than {MAX_RECORDS} requests: make the scenario shorter"
        else:
            self._records.append(item)
            self._failed += not item.ok
            self._repeated += item.repeated

    def _read_errors(self) -> None:
        assert self._child.stderr is not None
        last = ""
        for line in self._child.stderr:
            last = line.decode(errors="replace").strip() or last
        if last:
            self._problem = self._problem or last


def error_kinds(records: Iterable[Record]) -> dict[str, int]:
    """How often each kind of error occurred, the most frequent first."""
    return dict(Counter(r.error for r in records if r.error).most_common())
