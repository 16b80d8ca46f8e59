"""Users of what is not HTTP: a question and its answer over UDP, and the greeting of a mail server."""

from __future__ import annotations

import asyncio
from time import monotonic

from holdfast.lab.traffic_records import Record, RequestClass, TargetListener, TrafficPlan
from holdfast.lab.traffic_sockets import Dialer, FailedError, error_kind

_MOST_BYTES = 65_535


class OtherUsers:
    """Everybody who uses one listener that does not speak HTTP."""

    def __init__(self, listener: TargetListener, plan: TrafficPlan) -> None:
        self.listener, self._plan = listener, plan
        self._dialer = Dialer(listener)
        self._asked = 0

    async def request(self, request_class: RequestClass) -> Record:
        """Ask once and say what came of it."""
        self._asked += 1
        start = monotonic()
        server, error = "", ""
        try:
            if request_class == "datagram":
                server = await self._ask(b"holdfast %d" % self._asked)
            else:
                server = await self._greeted()
        except TimeoutError:
            error = "lost" if request_class == "datagram" else "timeout (no answer)"
        except FailedError as failed:
            error = failed.kind
        except OSError as wrong:
            error = error_kind(wrong)
        end = monotonic()
        got = 0.0 if error else end
        return Record(
            self.listener.name, 0, request_class, start, got, got, end, 0 if error else 200, server, error, False, False
        )

    async def _ask(self, question: bytes) -> str:
        """Send a datagram, and wait for the answer that repeats it; raises TimeoutError, FailedError, OSError."""
        loop = asyncio.get_running_loop()
        with self._dialer.datagrams() as channel:
            async with asyncio.timeout(self._plan.datagram_timeout_s):
                await loop.sock_sendall(channel, question)
                answer = await loop.sock_recv(channel, _MOST_BYTES)
        server, _, repeated = answer.partition(b"\n")
        if repeated != question:
            raise FailedError("malformed")
        return server.decode("latin-1")[:100]

    async def _greeted(self) -> str:
        reader = asyncio.StreamReader()
        async with asyncio.timeout(self._plan.timeout_s):
            protocol = await self._dialer.connect(lambda: asyncio.StreamReaderProtocol(reader), self.listener.address)
            line = await reader.readline()
        del protocol
        if not line.startswith(b"220 "):
            raise FailedError("malformed" if line else "closed")
        return f"{line.split()[1].decode('latin-1')[:100]}:{self.listener.port}"

    def close(self) -> None:
        """Nothing is kept between two questions."""
        return
