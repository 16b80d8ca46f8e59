"""Servers that answer each kind of check, badly while a file BAD/KIND is there: python responders.py ADDRESS BAD."""

from __future__ import annotations

import asyncio
import ssl
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

PORTS = {"tcp": 8001, "http": 8002, "https": 8003, "smtp": 8004, "dns": 8005, "udp": 8006}
GOOD_BODY, BAD_BODY = b"all is well", b"all is lost"
ASKED, ANSWERED = b"\x68\x6f\x77", b"\x77\x65\x6c\x6c"  # "how", "well"

Stream = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Answering(asyncio.DatagramProtocol):
    """Answers datagrams by a function of the question; None is no answer."""

    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # of another class until Python 3.12

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        said = self._answer(data)
        if said is not None:
            self._transport.sendto(said, addr)


class Responders:
    """All of them on one address."""

    def __init__(self, address: str, bad: Path) -> None:
        self._address, self._bad = address, bad

    def well(self, kind: str) -> bool:
        return not (self._bad / kind).exists()

    def page(self, kind: str, status: bool) -> Stream:
        """An HTTP answer: while bad another status, or the same with another body."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            good = self.well(kind)
            first = b"200 OK" if good or not status else b"503 Service Unavailable"
            body = GOOD_BODY if good else BAD_BODY
            head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (first, len(body))
            writer.write(head + body)

        return answer

    async def mail(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.well("smtp"):
            writer.write(b"554 no service here\r\n")
            return
        writer.write(b"220 mail ready\r\n")
        while line := await reader.readline():
            ends = line.upper().startswith(b"QUIT")
            writer.write(b"221 bye\r\n" if ends else b"250 mail\r\n")
            await writer.drain()
            if ends:
                return

    def name(self, question: bytes) -> bytes | None:
        """RFC 1035, 4.1.1: the question again, as an answer without an error."""
        return question[:2] + struct.pack("!H", 0x8180) + question[4:] if self.well("dns") else None

    def datagram(self, question: bytes) -> bytes | None:
        return ANSWERED if self.well("udp") and question == ASKED else b"\x00\x00\x00\x00"

    async def serve(self, kind: str, stream: Stream, tls: ssl.SSLContext | None = None) -> None:
        async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await asyncio.wait_for(stream(reader, writer), 10)
                await writer.drain()
            except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
                pass  # the check went away: that is its right
            finally:
                writer.close()

        while True:  # ends with the process
            server = await asyncio.start_server(once, self._address, PORTS[kind], ssl=tls)
            while kind != "tcp" or self.well("tcp"):
                await asyncio.sleep(0.1)
            server.close()
            while not self.well("tcp"):
                await asyncio.sleep(0.1)

    async def all(self, tls: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        for kind, answer in (("dns", self.name), ("udp", self.datagram)):
            where = (self._address, PORTS[kind])
            await loop.create_datagram_endpoint(lambda answer=answer: Answering(answer), local_addr=where)  # type: ignore[misc]
        streams = [
            self.serve("tcp", self.page("tcp", status=True)),
            self.serve("http", self.page("http", status=True)),
            self.serve("https", self.page("https", status=False), tls),
            self.serve("smtp", self.mail),
        ]
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.gather(*streams)


def certificate(folder: Path) -> ssl.SSLContext:
    """Signed by itself: the checks of keepalived believe every certificate."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    words = [*argv, "-subj", "/CN=rs01", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


if __name__ == "__main__":
    bad = Path(sys.argv[2])
    asyncio.run(Responders(sys.argv[1], bad).all(certificate(bad)))
