"""The server that plays the servers of pools and virtual servers: it says who it is, and is slow or sick when told to.

Run by a bare interpreter, so the standard library is all that it uses. Every path answers 200 with the server's name,
also in the header `X-Origin`; the query says what else: `?delay=2.5` (seconds before the answer, at most 60),
`?status=404`, `?bytes=100000` (at most 50 million), `?drip=5` (an answer in ten pieces over 5 seconds).
`/healthz` answers 503 while the server is told to be unhealthy. `/trickle?pieces=40&every=0.25` sends that many parts
of a text that the client knows, one each so many seconds. What was uploaded comes back as its SHA-256 (`X-Body`).
One line of JSON on the control socket changes what it does: `{"delay": 2.0, "healthy": false}`; it answers with the
state that then holds. Other ports speak HTTPS, SCTP (with HTTP in it), SMTP, or answer datagrams.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import hashlib
import json
import math
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

from holdfast.lab.origin_sockets import Datagrams, datagram_socket, piece, speak_smtp, stream_socket

MAX_HEAD = 64 * 1024  # bytes; a longer request is refused with 431
MAX_BODY = 64 * 1024 * 1024
MAX_DELAY = 60.0  # seconds
MAX_BYTES = 50_000_000
IDLE = 75.0  # seconds that a kept connection may stay silent
MAX_PIECES = 100_000
SPEAKS = ("http", "https", "udp", "sctp", "smtp")
_PIECES = 10
_CHUNK = 64 * 1024
_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}
_GONE = (ConnectionError, asyncio.IncompleteReadError, TimeoutError)


@dataclass(frozen=True)
class Behaviour:
    """What control may change: a delay (seconds) before every answer, and what the health check says."""

    delay: float = 0.0
    healthy: bool = True


@dataclass(frozen=True)
class Request:
    """A request whose head has been read."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    keep: bool


@dataclass(frozen=True)
class Answer:
    """What to send: a status, a body, seconds to wait before it, and seconds over which to spread it."""

    status: int
    body: bytes
    delay: float = 0.0
    drip: float = 0.0
    uploaded: str = ""


class BadRequestError(Exception):
    """The request cannot be understood or is too large; the connection ends after the answer."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


def parse_head(head: bytes) -> Request:
    """Read a request's head (with its empty line); BadRequestError says with which status to refuse it."""
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1.") or parts[0] not in _METHODS:
        raise BadRequestError(400)
    headers = {}
    for line in lines[1:]:
        if line:
            name, colon, value = line.partition(":")
            if not colon or not name.strip():
                raise BadRequestError(400)
            headers[name.strip().lower()] = value.strip()
    try:
        url = urlsplit(parts[1])
        fields = parse_qs(url.query, max_num_fields=20) if url.query else {}
        query = {key: values[-1] for key, values in fields.items()}
    except ValueError:
        raise BadRequestError(400) from None
    wanted = headers.get("connection", "").lower()
    keep = wanted != "close" if parts[2] == "HTTP/1.1" else wanted == "keep-alive"
    return Request(parts[0], url.path, query, headers, keep)


def number(query: dict[str, str], key: str, default: float, most: float) -> float:
    """A number of the query between 0 and `most`; BadRequestError for anything else."""
    try:
        value = float(query.get(key, default))
    except ValueError:
        raise BadRequestError(400) from None
    if not math.isfinite(value) or not 0 <= value <= most:
        raise BadRequestError(400)
    return value


def decide(request: Request, name: str, behaviour: Behaviour) -> Answer:
    """What to answer to `request`; BadRequestError for a query that makes no sense."""
    query = request.query
    healthy = behaviour.healthy or request.path != "/healthz"
    status = int(number(query, "status", 200 if healthy else 503, 599))
    if status < 200:
        raise BadRequestError(400)
    body = f"{name}\n{request.method} {request.path}\n".encode()
    size = int(number(query, "bytes", -1, MAX_BYTES)) if "bytes" in query else len(body)
    body = body[:size] + b"." * (size - len(body[:size]))
    if status in (204, 304):
        body = b""
    delay = behaviour.delay + number(query, "delay", 0.0, MAX_DELAY)
    return Answer(status, body, delay, number(query, "drip", 0.0, MAX_DELAY))


def render_head(answer: Answer, name: str, keep: bool) -> bytes:
    """The head of an answer, up to and with its empty line."""
    lines = [
        f"HTTP/1.1 {answer.status} Lab",
        f"X-Origin: {name}",
        "Content-Type: text/plain; charset=utf-8",
        f"Connection: {'keep-alive' if keep else 'close'}",
    ]
    if answer.uploaded:
        lines.append(f"X-Body: {answer.uploaded}")
    if answer.status not in (204, 304):
        lines.append(f"Content-Length: {len(answer.body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@dataclass
class Origin:
    """The server's state: who it is and how it behaves now."""

    name: str
    behaviour: Behaviour = field(default_factory=Behaviour)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection; a client that breaks off is no error."""
        own = f"{self.name}:{writer.get_extra_info('sockname')[1]}"
        try:
            while await self._one(reader, writer, own):
                pass
        except BadRequestError as bad:
            await self._refuse(writer, own, bad.status)
        except _GONE:
            pass  # the client has gone: nobody is left to be told
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, own: str) -> bool:
        try:
            async with asyncio.timeout(IDLE):  # without a task of its own, as wait_for would have
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise BadRequestError(431) from None
        request = parse_head(head)
        uploaded = await _skip_body(reader, request)
        if request.path == "/trickle":
            await _trickle(writer, own, request.query)
            return False
        answer = replace(decide(request, own, self.behaviour), uploaded=uploaded)
        if answer.delay:
            await asyncio.sleep(answer.delay)
        head = render_head(answer, own, request.keep)
        if request.method == "HEAD":
            writer.write(head)
        elif answer.drip:
            writer.write(head)
            await _drip(writer, answer)
        else:
            writer.write(head + answer.body)
        await writer.drain()
        return request.keep

    async def _refuse(self, writer: asyncio.StreamWriter, own: str, status: int) -> None:
        answer = Answer(status, f"{own}\nnot understood\n".encode())
        writer.write(render_head(answer, own, keep=False) + answer.body)
        with contextlib.suppress(*_GONE):
            await writer.drain()

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry out one line of orders, and answer with the behaviour that holds now."""
        try:
            order = json.loads(await asyncio.wait_for(reader.readline(), 5.0) or b"{}")
            delay = min(max(float(order.get("delay", self.behaviour.delay)), 0.0), MAX_DELAY)
            healthy = bool(order.get("healthy", self.behaviour.healthy))
            self.behaviour = replace(self.behaviour, delay=delay, healthy=healthy)
            writer.write(json.dumps({"delay": delay, "healthy": healthy}).encode() + b"\n")
            await writer.drain()
        except (ValueError, AttributeError, TypeError):
            writer.write(b'{"error": "an order is one line: {\\"delay\\": seconds, \\"healthy\\": true}"}\n')
        except _GONE:
            pass  # whoever asked has gone
        finally:
            writer.close()


async def _skip_body(reader: asyncio.StreamReader, request: Request) -> str:
    """Read the body to its end; its SHA-256 in hex, or nothing where there is none."""
    if request.headers.get("transfer-encoding", "").lower() == "chunked":
        await _skip_chunks(reader)
        return ""
    length = request.headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit() or int(length) > MAX_BODY:
        raise BadRequestError(413 if length.isdigit() else 400)
    if not int(length):
        return ""
    seen = hashlib.sha256()
    await _skip(reader, int(length), seen.update)
    return seen.hexdigest()


async def _skip_chunks(reader: asyncio.StreamReader) -> None:
    total = 0
    while True:
        line = await asyncio.wait_for(reader.readuntil(b"\r\n"), IDLE)
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError:
            raise BadRequestError(400) from None
        total += size
        if size < 0 or total > MAX_BODY:
            raise BadRequestError(413)
        await _skip(reader, size + 2)
        if size == 0:
            return


async def _skip(reader: asyncio.StreamReader, length: int, see: Callable[[bytes], None] = lambda part: None) -> None:
    left = length
    while left:
        part = await asyncio.wait_for(reader.read(min(left, _CHUNK)), IDLE)
        if not part:
            raise ConnectionResetError
        see(part)
        left -= len(part)


async def _trickle(writer: asyncio.StreamWriter, own: str, query: dict[str, str]) -> None:
    """Send pieces with pauses between them; the client knows each one, so that it sees what is lost or repeated."""
    pieces = int(number(query, "pieces", 1, MAX_PIECES))
    every = number(query, "every", 0.0, MAX_DELAY)
    head = render_head(Answer(200, b""), own, keep=False)
    writer.write(head.replace(b"Content-Length: 0", b"Content-Length: %d" % (pieces * len(piece(0)))))
    for place in range(pieces):
        writer.write(piece(place))
        await writer.drain()
        if every:
            await asyncio.sleep(every)


async def _drip(writer: asyncio.StreamWriter, answer: Answer) -> None:
    size = max(1, -(-len(answer.body) // _PIECES))
    for start in range(0, len(answer.body), size):
        await asyncio.sleep(answer.drip / _PIECES)
        writer.write(answer.body[start : start + size])
        await writer.drain()


async def run(name: str, ports: list[tuple[str, int]], control: str, certificate: str) -> None:
    """Serve until SIGTERM. The control socket comes last: where it answers, all ports are open. Raises OSError."""
    origin = Origin(name)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number_ in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number_, ended.set)
    for speaks, port in ports:
        await _open(origin, speaks, port, certificate)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(control)
    await asyncio.start_unix_server(origin.control, control)
    await ended.wait()


async def _open(origin: Origin, speaks: str, port: int, certificate: str) -> None:
    match speaks:
        case "udp":
            for family in (socket.AF_INET, socket.AF_INET6):
                Datagrams(datagram_socket(family, port), f"{origin.name}:{port}").start()
        case "sctp":
            for family in (socket.AF_INET, socket.AF_INET6):
                await asyncio.start_server(
                    origin.serve, sock=stream_socket(family, port, sctp=True), limit=MAX_HEAD, backlog=128
                )
        case "smtp":
            await asyncio.start_server(functools.partial(speak_smtp, origin.name), None, port, backlog=1024)
        case _:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if speaks == "https" else None
            if tls is not None:
                tls.load_cert_chain(certificate)
            await asyncio.start_server(
                origin.serve, None, port, limit=MAX_HEAD, backlog=1024, reuse_address=True, ssl=tls
            )


def listened(text: str) -> tuple[str, int]:
    """`80`, `https:443`, `udp:53`, `sctp:9000`, `smtp:25`: what is spoken, and the port; ValueError if it is none."""
    speaks, colon, port = text.rpartition(":")
    if colon and speaks not in SPEAKS:
        raise ValueError(text)
    return speaks or "http", int(port)


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; 1 where a port is taken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--name", required=True)
    parser.add_argument("--listen", type=listened, action="append", required=True, metavar="[KIND:]PORT")
    parser.add_argument("--control", required=True, metavar="SOCKET")
    parser.add_argument("--certificate", default="", metavar="FILE", help="for https: certificate and key")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(run(options.name, options.listen, options.control, options.certificate))
    except OSError as error:
        sys.stderr.write(f"origin {options.name}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
