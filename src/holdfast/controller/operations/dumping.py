"""The whole store as a dump, for administrators: sealed as it is kept, without what can be made again."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from holdfast.errors import StoreUnavailable
from holdfast.sentences import Sentence
from holdfast.store.dump import dump

from .desk import Desk

LONGEST_S = 900.0  # a reader that is slower is cut off: the store keeps all that it has for as long as it is read
PIECE = 65_536  # bytes
# Compiled bundles hold generated passwords in clear, as nodes need them; controllers compile them again.
_COMPILED = re.compile(r"cluster/[^/]+/other/(bundle|bundle-piece|revision-bundles)/")


async def dumped(desk: Desk) -> AsyncGenerator[bytes, None]:
    """The lines of a dump in larger pieces; what it was asked for is audited before the first.

    Bounded in time: StoreUnavailable then, and its end is missing. StoreError if there is nothing whole to be dumped.
    """
    await desk.store.audit.append(desk.told("store.dump", "the whole store"))
    deadline = asyncio.get_running_loop().time() + LONGEST_S
    lines = dump(desk.store.engine, desk.store.clock, leave_out=is_compiled)
    piece = bytearray()
    async with aclosing(lines):
        while line := await _next(lines, deadline):
            piece += line
            if len(piece) >= PIECE:
                yield bytes(piece)
                piece.clear()
    yield bytes(piece)


async def _next(lines: AsyncIterator[bytes], deadline: float) -> bytes:
    """The next line, nothing at the end."""
    try:
        async with asyncio.timeout_at(deadline):  # around this alone: whoever takes the lines is not to be cancelled
            return await anext(lines, b"")
    except TimeoutError:
        raise StoreUnavailable(
            Sentence("the dump took longer than %(s)s s", s=f"{LONGEST_S:.0f}"), "dump where the store is"
        ) from None


def is_compiled(key: str) -> bool:
    """Whether an entry is of a bundle."""
    return _COMPILED.match(key) is not None
