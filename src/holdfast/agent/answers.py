"""Whether an answer is on its way on a TCP connection: a pure judgement of what the kernel counts."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.agent.host.port import Connection

Key = tuple[str, int, str, int]

GREETING_MS = 1000  # a client whose handshake is done sends its request within this, or keeps it as a spare
PAUSE_MS = 30  # between two writes of one ordinary answer
LATE_MS = 50  # an answer that is still written so long after its request may be a slow stream …
STREAM_PAUSE_MS = 1000  # … so it must be silent for so long before it counts as ended


def busy(connection: Connection, held_ms: float) -> bool:
    """True while an answer is on its way, or a request is. `held_ms`: since when new connections are held
    back.

    The kernel counts whole milliseconds. A request that came in the same one as the end of the answer before
    it looks
    like an answered one until its own answer begins.
    """
    if connection.half_open or connection.unread or connection.unsent:
        return True
    if connection.received_bytes == 0:
        return held_ms < GREETING_MS
    written_after = connection.since_received_ms - connection.since_sent_ms
    if written_after < 0 or connection.sent_bytes == 0:
        return True
    return connection.since_sent_ms < (STREAM_PAUSE_MS if written_after > LATE_MS else PAUSE_MS)


class SeenIdle:
    """Which connections have been seen without an answer on its way at least once since it began to look."""

    def __init__(self) -> None:
        self._waiting: set[Key] = set()
        self._done: set[Key] = set()

    def look(self, connections: Iterable[Connection], held_ms: float) -> int:
        """Take a new picture; returns how many have been busy all the time.

        Connections that ended count as idle.
        """
        there = {connection.key: busy(connection, held_ms) for connection in connections}
        self._done |= {key for key, is_busy in there.items() if not is_busy}
        self._waiting = set(there) - self._done
        return len(self._waiting)
