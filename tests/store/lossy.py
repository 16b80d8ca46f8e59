"""A way to etcd on which answers get lost, requests get lost, and requests arrive long after they were given up."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter

_LATE = 0.25  # seconds


class LossyProxy:
    """Hands HTTP requests on to one member. What happens to a transaction is drawn; everything else goes through."""

    def __init__(self, port: int, seed: int, *, lose: float = 0.25) -> None:
        self._member = port
        self._random = random.Random(seed)
        self._lose = lose
        self._late: set[asyncio.Task[None]] = set()
        self.happened: Counter[str] = Counter()
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        await asyncio.gather(*self._late)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                request = await _message(reader)
                fate = "through"
                if b"/v3/kv/txn" in request.split(b"\r\n", 1)[0] and self._random.random() < self._lose:
                    fate = self._random.choice(["answer lost", "request lost", "late"])
                self.happened[fate] += 1
                if fate == "through":
                    writer.write(await self._ask(request))
                    await writer.drain()
                    continue
                if fate == "answer lost":
                    await self._ask(request)
                elif fate == "late":
                    self._late.add(asyncio.create_task(self._ask_late(request)))
                break
        writer.close()

    async def _ask_late(self, request: bytes) -> None:
        await asyncio.sleep(self._random.uniform(0, _LATE))
        await self._ask(request)

    async def _ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._member)
        try:
            writer.write(request)
            await writer.drain()
            return await _message(reader)
        finally:
            writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
        assert not line.startswith(b"transfer-encoding"), line
    return head + await reader.readexactly(length)
