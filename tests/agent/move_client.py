"""Users for the move test: new connections at a steady pace, and kept-alive ones that repeat a GET once.

Usage: move_client.py SECONDS ADDRESS…; prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

LIMIT_S = 30.0  # a packet that was dropped is sent again after 1, 3 and 7 s, and the machine may be busy
failures: list[str] = []
counts = {"sent": 0, "failed": 0, "repeated": 0, "longest": 0.0}


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, close: bool) -> None:
    more = "Connection: close\r\n" if close else ""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode())
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.splitlines()[0]:
        raise OSError(head.splitlines()[0].decode())
    length = int(head.lower().split(b"content-length:")[1].split()[0])
    await reader.readexactly(length)


async def counted(what: str, work: object) -> None:
    started = time.monotonic()
    counts["sent"] += 1
    try:
        await asyncio.wait_for(work, LIMIT_S)  # type: ignore[arg-type]
    except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
        counts["failed"] += 1
        failures.append(f"{what} begun at {time.time():.3f} - {time.monotonic() - started:.3f} s: {error!r}")
    counts["longest"] = max(counts["longest"], time.monotonic() - started)


async def once(address: str, path: str) -> None:
    reader, writer = await asyncio.open_connection(address, 80)
    try:
        await ask(reader, writer, path, close=True)
    finally:
        writer.close()


async def new_connections(address: str, until: float) -> None:
    tasks = []
    number = 0
    while time.monotonic() < until:
        path = {0: "/slow", 10: "/stream"}.get(number % 20, "/")
        tasks.append(asyncio.create_task(counted(f"new {address}{path}", once(address, path))))
        number += 1
        await asyncio.sleep(0.01)
    await asyncio.gather(*tasks)


class Kept:
    def __init__(self, address: str) -> None:
        self.address = address
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> None:
        for last in (False, True):
            reused = self.streams is not None
            if self.streams is None:
                self.streams = await asyncio.open_connection(self.address, 80)
            try:
                return await ask(*self.streams, path, close=False)
            except (OSError, asyncio.IncompleteReadError):
                self.streams[1].close()
                self.streams = None
                if last or not reused:
                    raise
                counts["repeated"] += 1
        return None


async def kept_alive(address: str, until: float, pause: float) -> None:
    kept = Kept(address)
    number = 0
    while time.monotonic() < until:
        await counted(f"kept {address}", kept.get("/slow" if number % 50 == 7 else "/"))
        number += 1
        await asyncio.sleep(pause)


async def main() -> None:
    until = time.monotonic() + float(sys.argv[1])
    work = []
    for address in sys.argv[2:]:
        work.append(new_connections(address, until))
        work += [kept_alive(address, until, pause) for pause in (0.005, 0.02, 0.1, 0.4)]
    await asyncio.gather(*work)
    print(json.dumps({**counts, "failures": failures[:20]}))  # noqa: T201 - its parent reads it


asyncio.run(main())
