"""`python -m holdfast.lab.relay FD HOST PORT`: what arrives at a socket of the host goes on inside a lab's namespace.

The socket was made outside and is inherited; the process runs inside, and so ends with the lab.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

_PIECE = 65_536


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(_PIECE):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(ConnectionError, OSError):
        writer.write_eof()


async def relay(listener: socket.socket, host: str, port: int) -> None:
    """Serve until cancelled; a connection that cannot go on is closed."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            try:
                there, back = await asyncio.open_connection(host, port)
            except OSError:
                return
            with contextlib.closing(back):
                await asyncio.gather(_pump(reader, back), _pump(there, writer))

    server = await asyncio.start_server(carry, sock=listener)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(relay(socket.socket(fileno=int(sys.argv[1])), sys.argv[2], int(sys.argv[3])))
