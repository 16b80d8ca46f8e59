"""Whether an answer is on its way on a TCP connection: a pure judgement of what the kernel counts.

The kernel does not know where an answer ends. It ended if it was written at one go and nothing followed; one that is
written late, or whose last part came from a server behind just before, may be a stream between two parts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from holdfast.agent.host.port import Connection

Key = tuple[str, int, str, int]

GREETING_MS = 1000  # a client whose handshake is done sends its request within this, or keeps it as a spare
PAUSE_MS = 30  # between two writes of one ordinary answer
LATE_MS = 50  # an answer that is still written so long after its request may be a stream …
STREAM_PAUSE_MS = 600  # … which must be silent for so long before it counts as ended
# Sent so often in vain, an answer reaches nobody: its client was lost when the addresses were elsewhere, and the kernel
# goes on for a quarter of an hour. The third repetition is due 1.4 s after the answer, at Linux's shortest interval.
DEAF_AFTER = 3
_RELAY_MS = 8  # from a server's part to the client's: the kernel's clock ticks every 4 ms, and there are two readings


@dataclass(frozen=True)
class Picture:
    """The connections at one moment: of clients to the group's addresses, and of our programs to servers behind."""

    clients: tuple[Connection, ...]
    upstreams: tuple[Connection, ...]

    @classmethod
    def of(cls, everything: Iterable[Connection], addresses: Collection[str], ports: Collection[int]) -> Picture:
        """`addresses` are the group's; what ends at none of our listening `ports` was opened from here."""
        clients, upstreams = [], []
        for each in everything:
            if each.local_port not in ports:
                upstreams.append(each)
            elif each.local in addresses:
                clients.append(each)
        return cls(tuple(clients), tuple(upstreams))

    def busy(self, held_ms: float) -> tuple[Connection, ...]:
        """Clients whose answer, or request, is on its way. `held_ms`: since when new connections are held back."""
        ticks = {each.since_received_ms // _RELAY_MS for each in self.upstreams if each.received_bytes}
        relayed = ticks | {tick - 1 for tick in ticks} | {tick + 1 for tick in ticks}
        return tuple(c for c in self.clients if busy(c, held_ms, c.since_sent_ms // _RELAY_MS in relayed))


def busy(connection: Connection, held_ms: float, relayed: bool = False) -> bool:
    """True while an answer is on its way, or a request is. `relayed`: its last part may just have come from a server.

    A request that came within the same tick of the kernel's clock as the end of the answer before it looks like an
    answered one until its own answer begins.
    """
    if connection.repeats >= DEAF_AFTER:
        return False
    if connection.half_open or connection.unread or connection.unsent:
        return True
    if connection.closed:
        return False
    if connection.received_bytes == 0:
        return held_ms < GREETING_MS
    if not _written_last(connection):
        return True
    late = connection.since_received_ms - connection.since_sent_ms > LATE_MS
    return connection.since_sent_ms < (STREAM_PAUSE_MS if late or relayed else PAUSE_MS)


def _written_last(connection: Connection) -> bool:
    return connection.sent_bytes + connection.unsent > 0 and connection.since_sent_ms <= connection.since_received_ms


class Uploads:
    """Tells clients that are still sending their request from those that sent all of it, by two looks or more."""

    def __init__(self) -> None:
        self._received: dict[Key, int] = {}

    def sent_all(self, clients: Iterable[Connection]) -> tuple[Connection, ...]:
        """Those whose answer has begun, or who have sent nothing more since the look before."""
        before, self._received = self._received, {each.key: each.received_bytes for each in clients}
        return tuple(
            each
            for each in clients
            if not each.half_open and (_written_last(each) or before.get(each.key) == each.received_bytes)
        )


class SeenIdle:
    """Which connections have been seen without an answer on its way at least once since it began to look.

    A client that sends its next request has its answer: that it was idle between two looks shows afterwards.
    """

    def __init__(self) -> None:
        self._quiet: dict[Key, int] = {}  # seemed answered; how many bytes had been received by then
        self._done: set[Key] = set()

    def look(self, picture: Picture, held_ms: float) -> int:
        """Take a new picture; returns how many have been busy all the time. Connections that ended count as idle."""
        still = {connection.key for connection in picture.busy(held_ms)}
        for each in picture.clients:
            if each.key not in still or each.received_bytes > self._quiet.get(each.key, each.received_bytes):
                self._done.add(each.key)
            elif not each.unread and _written_last(each):  # unacknowledged, perhaps: the next request does that
                self._quiet[each.key] = each.received_bytes
        return len(still - self._done)
