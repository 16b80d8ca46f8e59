"""One question to one server: a connection, or a GET whose status counts. Bounded in time and in what is read."""

from __future__ import annotations

import asyncio
import errno
import os
import re

from holdfast.bundle import Probe, ProbedServer
from holdfast.sentences import Sentence

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})[ \r\n]")
_READ_AT_MOST = 4096  # bytes: a status line is shorter
_GOOD = range(200, 400)  # as HAProxy's checks have it, where a spec names no statuses


async def ask(server: ProbedServer, check: Probe) -> tuple[bool, str]:
    """Whether it answered as it should, and what became of the question, in a few words. Raises nothing of its own."""
    try:
        async with asyncio.timeout(check.timeout_ms / 1000):
            return await _asked(server, check)
    except TimeoutError:
        return False, Sentence("no answer within %(ms)s ms", ms=check.timeout_ms)
    except OSError as error:
        return False, _in_words(error)


async def _asked(server: ProbedServer, check: Probe) -> tuple[bool, str]:
    reader, writer = await asyncio.open_connection(str(server.address), check.port or server.port, limit=_READ_AT_MOST)
    try:
        if check.http is None:
            return True, Sentence("takes connections")
        writer.write(_request(server, check))
        await writer.drain()
        try:
            line = await reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return False, Sentence("answers, but not in HTTP")
    finally:
        writer.transport.abort()  # the rest of the answer is of no interest, and nobody may make us wait for it
    found = _STATUS_LINE.match(line)
    if found is None:
        return False, Sentence("answers, but not in HTTP")
    status = int(found[1])
    return (status in check.expect if check.expect else status in _GOOD), Sentence("answers %(status)s", status=status)


def _request(server: ProbedServer, check: Probe) -> bytes:
    own = f"[{server.address}]" if server.address.version == 6 else str(server.address)
    head = f"GET {check.http} HTTP/1.1\r\nHost: {check.host or own}\r\nUser-Agent: holdfast-prober\r\n"
    return f"{head}Connection: close\r\n\r\n".encode()


def _in_words(error: OSError) -> str:
    """The kernel's word for it: asyncio puts the address and more around it."""
    if error.errno is None or error.errno not in errno.errorcode:
        return str(error)[:200]
    return os.strerror(error.errno).lower()
