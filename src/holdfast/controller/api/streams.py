"""Responses that go on: lines of JSON for agents, server-sent events for people."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing

from pydantic import BaseModel
from starlette.responses import StreamingResponse
from starlette.types import Message, Send

from holdfast.errors import StoreUnavailable
from holdfast.protocol import PING_EVERY_S

from ..context import Context, Stopping
from ..identity import Person
from .packing import packing

STREAM = "application/x-ndjson"
EVENTS = "text/event-stream"
LONGEST_S = 600.0  # people's streams end after that, and are opened again: who may do that is asked then
_TAKEN_WITHIN_S = 3 * PING_EVERY_S  # a peer that takes nothing for so long is dead
_KEEP_ALIVE = b": \n\n"


class Lines(StreamingResponse):
    """A stream whose reader has to read: one that takes nothing is cut off, so that nothing piles up for it."""

    media_type = STREAM

    def __init__(self, content: AsyncGenerator[bytes, None], status_code: int = 200) -> None:
        super().__init__(content, status_code)  # FastAPI reads the status for its document from this signature
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


def events(context: Context, who: Person, source: AsyncGenerator[bytes, None], *, packed: bool = False) -> Events:
    """What a source tells, with signs of life in between; StoreUnavailable if too many follow, or `who` too often.

    `packed`: for readers that understand gzip, where pieces are large, hold no secret, and many are sent the same.
    """
    if context.followers.of[who.name] >= context.settings.limits.most_followers_each:
        raise StoreUnavailable("you have too many event streams open", "close pages or programs that follow events")
    if context.followers.count >= context.settings.limits.most_followers:
        raise StoreUnavailable("too many event streams are open", "close one, or ask another controller")
    paced = _paced(context, who, source)
    if not packed:
        return Events(paced)
    answer = Events(packing(paced))
    answer.headers["content-encoding"] = "gzip"
    return answer


async def _paced(context: Context, who: Person, source: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Until the source ends, the controller stops, or whoever follows is not welcome any more."""
    with context.vigil.over(who, context.doors.logins.still) as over:
        async with aclosing(_until(context, who.name, source, over)) as told:
            async for piece in told:
                yield piece


async def _until(
    context: Context, name: str, source: AsyncGenerator[bytes, None], over: asyncio.Event
) -> AsyncGenerator[bytes, None]:
    ends = context.store.clock.steady() + LONGEST_S
    stopping = asyncio.ensure_future(_first(over, context.stopping))
    following: asyncio.Task[bytes] | None = None
    context.followers.count += 1
    context.followers.of[name] += 1
    try:
        yield _KEEP_ALIVE  # at once: whoever follows knows that it was let in
        while not stopping.done() and context.store.clock.steady() < ends:
            if following is None:
                following = asyncio.create_task(_next(source))
            waiting = {following, stopping}
            await asyncio.wait(waiting, timeout=PING_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                yield _KEEP_ALIVE
                continue
            piece, following = following.result(), None
            if not piece:
                return
            yield piece
    finally:
        context.followers.count -= 1
        context.followers.of[name] -= 1
        context.followers.of += Counter()  # without those who follow nothing any more
        tasks = [stopping] if following is None else [stopping, following]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await source.aclose()


async def _first(over: asyncio.Event, stopping: Stopping) -> None:
    with stopping.waking(over):
        if not stopping.begun:
            await over.wait()


async def _next(source: AsyncGenerator[bytes, None]) -> bytes:
    """What comes next; nothing at the end."""
    return await anext(source, b"")


def told_as(kind: str, model: type[BaseModel]) -> dict[str, object]:
    """How the document describes a stream of such events: each as its reader gets it, what `data` holds included."""
    data = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"$ref": f"#/components/schemas/{model.__name__}"},
    }
    fields = {"event": {"const": kind}, "data": data, "id": {"type": "string"}}
    return {"schema": {"type": "object", "properties": fields, "required": ["event", "data"]}}


def sent_event(kind: str, data: str, number: int | None = None) -> bytes:
    """One event; `data` is JSON on one line."""
    name = f"id: {number}\n" if number is not None else ""
    return f"{name}event: {kind}\ndata: {data}\n\n".encode()
