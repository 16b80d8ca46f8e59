"""Responses that go on: lines of JSON for agents, server-sent events for people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Message, Send

from holdfast.protocol import PING_EVERY_S

STREAM = "application/x-ndjson"
EVENTS = "text/event-stream"
_TAKEN_WITHIN_S = 3 * PING_EVERY_S  # a peer that takes nothing for so long is dead


class Lines(StreamingResponse):
    """A stream whose reader has to read: one that takes nothing is cut off, so that nothing piles up for it."""

    media_type = STREAM

    def __init__(self, content: AsyncGenerator[bytes, None]) -> None:
        super().__init__(content)
        self._content = content

    async def stream_response(self, send: Send) -> None:
        """Send it, each piece in time; whatever ends it, the source is told at once."""

        async def in_time(message: Message) -> None:
            async with asyncio.timeout(_TAKEN_WITHIN_S):
                await send(message)

        async with aclosing(self._content):
            await super().stream_response(in_time)


class Events(Lines):
    """Server-sent events."""

    media_type = EVENTS


def sent_event(kind: str, data: str, number: int | None = None) -> bytes:
    """One event; `data` is JSON on one line."""
    name = f"id: {number}\n" if number is not None else ""
    return f"{name}event: {kind}\ndata: {data}\n\n".encode()


KEEP_ALIVE = b": \n\n"
