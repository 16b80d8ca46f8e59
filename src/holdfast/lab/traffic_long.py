"""Users with live connections: a download that trickles for many seconds, of which each byte is known beforehand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from holdfast.lab.origin_sockets import piece
from holdfast.lab.traffic_records import Pause, Record, Target, TargetListener, TrafficPlan
from holdfast.lab.traffic_sockets import Dialer, FailedError, error_kind

PAUSE_S = 0.5  # a silence that is longer than this, beyond the pieces' own distance, is worth telling
_AGAIN_S = 0.5
_MAX_HEAD = 64_000


class LiveConnection:
    """One place for a live connection: opened, read to its end or until it is cut, opened again."""

    def __init__(self, listener: TargetListener, plan: TrafficPlan, place: int, tell: Callable[[Pause], None]) -> None:
        self._listener, self._plan, self._place, self._tell = listener, plan, place, tell
        self._dialer = Dialer(listener)
        self.waits_since: float | None = None  # of the present one: when it was opened, or its latest byte came

    async def live(self, stopping: asyncio.Event, done: Callable[[Record], None]) -> None:
        """One after the other until `stopping`; each is handed to `done` at its end."""
        count = max(1, self._plan.long_connections)
        # The first ones live shorter, so that they do not all end together.
        share = (self._place + 1) / count
        while not stopping.is_set():
            done(await self._one(share, stopping))
            share = 1.0
            if not stopping.is_set():
                await asyncio.sleep(_AGAIN_S)

    async def _one(self, share: float, stopping: asyncio.Event) -> Record:
        start = self.waits_since = monotonic()
        life = _Life()
        error = ""
        try:
            error = await self._read_all(life, share, stopping)
        except FailedError as failed:
            error = failed.kind
        except TimeoutError:
            error = "silent" if life.connected else "timeout (no connection)"
        except asyncio.IncompleteReadError:
            error = "closed"
        except OSError as wrong:
            error = error_kind(wrong)
        except asyncio.CancelledError:
            if not stopping.is_set():
                raise
            error = "silent"  # nobody will know whether it would have gone on, so it is not counted as whole
        finally:
            self.waits_since = None
            if life.writer:
                life.writer.abort()
        return Record(
            self._listener.name, 0, "long", start, life.connected, life.first_byte, monotonic(),
            life.status, life.server, error, False, False,
        )  # fmt: skip

    async def _read_all(self, life: _Life, share: float, stopping: asyncio.Event) -> str:
        """Ask, and read piece after piece; the kind of error, or nothing."""
        plan, target = self._plan, trickled(self._listener)
        reader = asyncio.StreamReader(limit=_MAX_HEAD)
        async with asyncio.timeout(plan.timeout_s):
            protocol = await self._dialer.connect(lambda: _Opened(reader), target.host)
        life.connected, life.writer = monotonic(), protocol.transport_
        assert life.writer is not None  # it is connected
        pieces = max(1, round(plan.long_life_s * share / plan.long_piece_every_s))
        life.writer.write(target.request(keep=False, query=f"pieces={pieces}&every={plan.long_piece_every_s}"))
        async with asyncio.timeout(plan.timeout_s):
            life.read_head(await reader.readuntil(b"\r\n\r\n"))
        if life.status != 200:
            return f"status {life.status}"
        for number in range(pieces):
            expected = piece(number)
            async with asyncio.timeout(plan.long_silence_s):
                received = await reader.readexactly(len(expected))
            self._note(life)
            if received != expected:
                return "corrupted"
            if stopping.is_set():
                break
        return ""

    def _note(self, life: _Life) -> None:
        now, before = monotonic(), self.waits_since
        life.first_byte = life.first_byte or now
        self.waits_since = now
        if before is not None and now - before > self._plan.long_piece_every_s + PAUSE_S:
            self._tell(Pause(self._listener.name, before, now))


class _Opened(asyncio.StreamReaderProtocol):
    """Keeps the transport, which the protocol of the library hides."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self.transport_: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport_ = transport
        super().connection_made(transport)


class _Life:
    """How far a live connection got."""

    def __init__(self) -> None:
        self.connected = self.first_byte = 0.0
        self.status, self.server = 0, ""
        self.writer: asyncio.Transport | None = None

    def read_head(self, head: bytes) -> None:
        """Take status and server's name."""
        lines = head.decode("latin-1").split("\r\n")
        status = lines[0].split(" ")[1:2]
        self.status = int(status[0]) if status and status[0].isdigit() else 0
        for line in lines[1:]:
            name, _, value = line.partition(":")
            if name.strip().lower() == "x-origin":
                self.server = value.strip()


def trickled(listener: TargetListener) -> Target:
    """What is asked for: of the host, and with the headers, of a request that the listener's root takes."""
    base = next((t for t in listener.targets if t.path == "/"), listener.targets[0])
    return Target(base.host, "/trickle", base.headers)
