"""The observer of a rehearsal, seen from its parent: start it, watch nodes and addresses, collect what it saw."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from holdfast.lab.commands import tool
from holdfast.lab.helper import Helper
from holdfast.lab.observe_timeline import AddressTimeline, Event, timelines, who_at

MAX_EVENTS = 1_000_000
_END_S = 1.0


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
        self._lock = threading.Lock()
        self._held: tuple[int, dict[str, tuple[str, ...]]] = (-1, {})
        argv = [tool(sys.executable), "-m", "holdfast.lab.observe_process"]
        self._helper = Helper("The observer", argv, self._take)
        watched = [{"name": name, "netns": str(path)} for name, path in nodes.items()]
        self._helper.send({"nodes": watched, "client": str(client)})

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def probe(self, probes: Iterable[Probe]) -> None:
        """Ask for these addresses too, from now on."""
        self._helper.send({"probes": [{"address": p.address, "interface": p.interface} for p in probes]})

    def events(self) -> tuple[Event, ...]:
        """Everything seen so far; raises LabError if the observer died."""
        self._helper.check()
        with self._lock:
            return tuple(self._events)

    def timelines(self, addresses: Iterable[str]) -> dict[str, AddressTimeline]:
        """The timeline of each address up to now; raises LabError as above."""
        return timelines(self.events(), addresses, self._macs, monotonic())

    def holders(self, addresses: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Who carries each address on a link that is up, now; raises LabError as above."""
        events, wanted, now = self.events(), tuple(addresses), monotonic()
        seen, held = self._held
        if seen != len(events) or any(address not in held for address in wanted):
            # Cut off a moment later, so that what is still going on covers this one.
            lines = timelines(events, wanted, self._macs, now + 1.0)
            held = {address: who_at(line.reachable, now) for address, line in lines.items()}
            self._held = (len(events), held)  # asked many times a second, and nothing happens in most of them
        return {address: held[address] for address in wanted}

    def close(self) -> None:
        """End the process if it still runs. May be called again."""
        self._helper.close(_END_S)

    def _take(self, line: bytes) -> None:
        try:
            event: Event = json.loads(line)
        except ValueError:
            raise ValueError(f"it wrote {line[:80]!r}") from None
        with self._lock:
            if len(self._events) >= MAX_EVENTS:
                raise ValueError(f"it saw more than {MAX_EVENTS} changes of addresses")
            self._events.append(event)
