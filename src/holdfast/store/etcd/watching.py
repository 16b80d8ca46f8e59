"""A watch on etcd that survives everything: silence, lost members, compaction, a login that has run out.

Nothing is read ahead: whoever is slow leaves etcd waiting, and is resynced if etcd has compacted meanwhile.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Protocol

import httpx

from holdfast.errors import StoreDamaged, StoreUnavailable

from ..port import Change, Changes, Entry, Page, Resync, Told, end_of
from .answers import Meaning, Refused, streamed, translate
from .client import Client, as_transport_errors

_SILENCE = 15.0  # seconds; after that another member is asked: this one may be cut off from the others
_AGAIN = 0.2  # seconds before the next try
_LONGEST_LINE = 32 * 1024 * 1024  # bytes; etcd cuts its answers at 2 MiB and 1000 revisions of one request each


class Source(Protocol):
    """What a watch needs of its engine."""

    def snapshot(self, prefix: str) -> AsyncIterator[Page]:
        """As of the port."""

    async def revision(self) -> int:
        """The store's revision now."""

    def encoded(self, key: str) -> str:
        """A key as the gateway takes it."""

    def decoded(self, key: str) -> str:
        """A key as the gateway tells it."""

    def entry(self, kv: dict[str, Any]) -> Entry:
        """A key and its value as the gateway tells them."""


async def follow(
    source: Source, client: Client, closing: asyncio.Event, prefix: str, after: int | None
) -> AsyncGenerator[Told, None]:
    """What the port calls a watch; ends when `closing` is set."""
    known = after
    if known is None or known > await source.revision():
        first = await _resync(source, prefix)
        known = first.revision
        yield first
    while not closing.is_set():
        broken = True
        try:
            async with aclosing(_stream(source, client, closing, prefix, known)) as told:
                async for one in told:
                    known = one.revision
                    if one.changes:
                        yield one
        except Refused as refused:
            if refused.meaning is Meaning.DENIED:
                raise translate(refused, client.where) from None
            again = await _until_resynced(source, closing, prefix) if refused.meaning is Meaning.COMPACTED else None
            if again:
                known, broken = again.revision, False
                yield again
        except httpx.ReadTimeout:
            broken = False  # only silent; but perhaps this member is cut off from the others
            client.move_on()
        except (httpx.TransportError, StoreUnavailable):
            broken = True
        if broken and not closing.is_set():
            client.move_on()
            await asyncio.sleep(_AGAIN)


async def _until_resynced(source: Source, closing: asyncio.Event, prefix: str) -> Resync | None:
    while not closing.is_set():
        try:
            return await _resync(source, prefix)
        except StoreUnavailable:
            await asyncio.sleep(_AGAIN)
    return None


async def _resync(source: Source, prefix: str) -> Resync:
    entries: list[Entry] = []
    revision = 0
    async for page in source.snapshot(prefix):
        entries.extend(page.entries)
        revision = page.revision
    return Resync(revision, tuple(entries))


async def _stream(
    source: Source, client: Client, closing: asyncio.Event, prefix: str, after: int
) -> AsyncGenerator[Changes, None]:
    request = {
        "key": source.encoded(prefix),
        "range_end": source.encoded(end_of(prefix)),
        "start_revision": str(after + 1),
        "fragment": True,
    }
    async with (
        client.stream("watch", {"create_request": request}, _SILENCE) as response,
        aclosing(_lines(response, closing)) as lines,
    ):
        async for line in lines:
            answer = _parsed(line)
            if "error" in answer:
                raise streamed(answer["error"])
            result = answer.get("result", {})
            if result.get("canceled"):
                compacted = int(result.get("compact_revision", 0))
                meaning = Meaning.COMPACTED if compacted else _why(str(result.get("cancel_reason", "")))
                raise Refused(meaning, str(result.get("cancel_reason", "the watch was cancelled"))[:500])
            yield _changes(source, result, after)


def _why(reason: str) -> Meaning:
    return Meaning.DENIED if "permission denied" in reason else Meaning.UNSURE


def _changes(source: Source, result: dict[str, Any], after: int) -> Changes:
    changes = []
    last = after
    for event in result.get("events", ()):
        kv = event["kv"]
        last = int(kv["mod_revision"])
        entry = None if event.get("type") == "DELETE" else source.entry(kv)
        changes.append(Change(source.decoded(kv["key"]), entry))
    # The rest of a revision that was cut in two is still to come: a resumed watch must see all of it again.
    return Changes(last - 1 if result.get("fragment") and changes else last, tuple(changes))


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise StoreDamaged("etcd's watch tells what is no JSON object", "check that this address is etcd's own")
    return answer


async def _lines(response: httpx.Response, closing: asyncio.Event) -> AsyncGenerator[bytes, None]:
    """Lines as they come, until `closing` is set; httpx.TransportError when the connection breaks or ends."""
    chunks = response.aiter_raw()
    closed = asyncio.ensure_future(closing.wait())
    buffer = b""
    try:
        while True:
            reading = asyncio.ensure_future(anext(chunks, b""))
            try:
                await asyncio.wait({reading, closed}, return_when=asyncio.FIRST_COMPLETED)
                if closing.is_set():
                    return
                with as_transport_errors():
                    chunk = await reading
            finally:
                if not reading.done():
                    reading.cancel()
                    await asyncio.wait({reading})
            if not chunk:
                raise httpx.ReadError("the watch ended")
            *lines, buffer = (buffer + chunk).split(b"\n")
            if len(buffer) > _LONGEST_LINE:
                raise httpx.ReadError("a line without an end")
            for line in lines:
                if line.strip():
                    yield line
    finally:
        closed.cancel()
