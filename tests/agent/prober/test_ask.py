"""One question to a server that answers well, badly, slowly, endlessly, or not at all."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest

from holdfast.agent.prober.ask import ask
from holdfast.bundle import Probe, ProbedServer


def question(answer: bytes | None, keep: bool = False, **check: Any) -> tuple[tuple[bool, str], bytes]:
    """What is made of `answer` (None: the connection stays open in silence), and what was asked."""

    async def main() -> tuple[tuple[bool, str], bytes]:
        asked = b""
        let_go = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal asked
            if "http" in check:
                asked = await reader.readuntil(b"\r\n\r\n")
            if answer:
                writer.write(answer)
            if answer is None or keep:
                await let_go.wait()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        # An answer that is there at once may be seen late, behind what has the processors.
        timeout_ms = 300 if answer is None else 60_000
        probe = Probe(**{"every_ms": 1000, "timeout_ms": timeout_ms, "fall": 3, "rise": 2, **check})
        found = await ask(ProbedServer(name="web", address="127.0.0.1", port=port), probe)
        let_go.set()
        server.close()
        return found, asked

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("answer", "good", "said"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True, "answers 200"),
        (b"HTTP/1.0 399\r\n\r\n", True, "answers 399"),
        (b"HTTP/1.1 500 No\r\n\r\n", False, "answers 500"),
        (b"HTTP/1.1 199 No\r\n\r\n", False, "answers 199"),
        (b"HTTP/1.1 404 No\r\n\r\n", False, "answers 404"),
        (b"SSH-2.0-x\r\n", False, "answers, but not in HTTP"),
        (b"", False, "answers, but not in HTTP"),
        (b"x" * 100_000, False, "answers, but not in HTTP"),
        (b"HTTP/1.1 2000 No\r\n", False, "answers, but not in HTTP"),
        (None, False, "no answer within 300 ms"),
    ],
)
def test_the_status_counts(answer: bytes | None, good: bool, said: str) -> None:
    assert question(answer, http="/healthz")[0] == (good, said)


def test_stated_statuses_are_the_only_good_ones() -> None:
    assert question(b"HTTP/1.1 404 x\r\n", http="/", expect=(404, 410))[0] == (True, "answers 404")
    assert question(b"HTTP/1.1 200 x\r\n", http="/", expect=(404, 410))[0] == (False, "answers 200")


def test_a_whole_answer_is_not_waited_for() -> None:
    began = time.monotonic()
    assert question(b"HTTP/1.1 200 OK\r\n", keep=True, http="/", timeout_ms=200_000)[0][0]
    assert time.monotonic() - began < 100


def test_what_is_asked() -> None:
    _, asked = question(b"HTTP/1.1 200 OK\r\n\r\n", http="/alive?deep=1", host="shop.example.com")
    assert asked.startswith(b"GET /alive?deep=1 HTTP/1.1\r\nHost: shop.example.com\r\n")
    assert b"\r\nConnection: close\r\n\r\n" in asked
    assert b"\r\nHost: 127.0.0.1\r\n" in question(b"HTTP/1.1 200 OK\r\n\r\n", http="/")[1]


def test_a_connection_is_enough_for_tcp_and_a_refusal_is_not() -> None:
    assert question(None, timeout_ms=60_000)[0] == (True, "takes connections")
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        server = ProbedServer(name="web", address="127.0.0.1", port=taken.getsockname()[1])
        probe = Probe(every_ms=1000, timeout_ms=60_000, fall=1, rise=1)
        assert asyncio.run(ask(server, probe)) == (False, "connection refused")
