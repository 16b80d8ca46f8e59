"""The observer of a rehearsal, seen from its parent: start it, watch nodes and addresses, collect what it saw."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from holdfast.errors import LabError
from holdfast.lab.commands import tool
from holdfast.lab.observe_timeline import AddressTimeline, Event, timelines, who_at

MAX_EVENTS = 1_000_000
_END_S = 10.0


@dataclass(frozen=True)
class Probe:
    """An address that is asked for, on the client's interface that lies in its network."""

    address: str
    interface: str


class Observer:
    """One observer process. Use as a context manager: leaving it ends the process, whatever happened."""

    def __init__(self, nodes: Mapping[str, Path], client: Path, macs: Mapping[str, str]) -> None:
        """Watch the namespaces of `nodes`, and ask from the namespace `client`. `macs` names the node behind a MAC."""
        self._macs = dict(macs)
        self._events: list[Event] = []
        self._problem = ""
        self._lock = threading.Lock()
        self._child = subprocess.Popen(
            [tool(sys.executable), "-m", "holdfast.lab.observe_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the parent's to handle; the observer ends when its input does
        )
        self._readers = [threading.Thread(target=t, daemon=True) for t in (self._read, self._read_errors)]
        for reader in self._readers:
            reader.start()
        watched = [{"name": name, "netns": str(path)} for name, path in nodes.items()]
        self._send({"nodes": watched, "client": str(client)})

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def probe(self, probes: Iterable[Probe]) -> None:
        """Ask for these addresses too, from now on."""
        self._send({"probes": [{"address": p.address, "interface": p.interface} for p in probes]})

    def events(self) -> tuple[Event, ...]:
        """Everything seen so far; raises LabError if the observer died."""
        if self._child.poll() is not None or self._problem:
            raise LabError(f"The observer has ended: {self._problem or 'it said nothing'}")
        with self._lock:
            return tuple(self._events)

    def timelines(self, addresses: Iterable[str]) -> dict[str, AddressTimeline]:
        """The timeline of each address up to now; raises LabError as above."""
        return timelines(self.events(), addresses, self._macs, monotonic())

    def holders(self, addresses: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Who carries each address on a link that is up, now; raises LabError as above."""
        now = monotonic()
        # Cut off a moment later, so that what is still going on covers this one.
        lines = timelines(self.events(), addresses, self._macs, now + 1.0)
        return {address: who_at(line.reachable, now) for address, line in lines.items()}

    def close(self) -> None:
        """End the process if it still runs. May be called again."""
        if self._child.stdin and not self._child.stdin.closed:
            try:
                self._child.stdin.close()
            except BrokenPipeError:
                self._problem = self._problem or "it ended early"
        try:
            self._child.wait(1.0)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        for reader in self._readers:
            reader.join(_END_S)
        for stream in (self._child.stdout, self._child.stderr):
            if stream:
                stream.close()

    def _send(self, command: dict[str, object]) -> None:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(command).encode() + b"\n")
            self._child.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise LabError(f"The observer has ended: {self._problem or 'it said nothing'}") from None

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                self._problem = f"it wrote {line[:80]!r}"
                return
            with self._lock:
                if len(self._events) >= MAX_EVENTS:
                    self._problem = f"it saw more than {MAX_EVENTS} changes of addresses"
                    return
                self._events.append(event)

    def _read_errors(self) -> None:
        assert self._child.stderr is not None
        last = ""
        for line in self._child.stderr:
            last = line.decode(errors="replace").strip() or last
        if last:
            self._problem = self._problem or last
