"""A web server for the move test: /slow answers after 1.5 s, /stream in ten parts over 1.5 s, all else at once."""

from __future__ import annotations

import asyncio


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split()[1]
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n"
        if path == b"/stream":
            writer.write(head)
            for _ in range(10):
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.15)
        else:
            if path == b"/slow":
                await asyncio.sleep(1.5)
            writer.write(head + b"x" * 10)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        return
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "0.0.0.0", 9000, backlog=4096)
    async with server:
        await server.serve_forever()


asyncio.run(main())
