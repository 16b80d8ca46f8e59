"""Streams that travel packed, each piece packed once for all who are sent it.

A gzip file is a header and a chain of blocks of DEFLATE (RFC 1951, 1952). Blocks that refer to nothing before them can
be chained in any order: each piece of a stream becomes such blocks once, and every reader's chain is made of them. The
trailer that ends a file is not sent: nobody waits for the end of such a stream, which is left, and opened again.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import lru_cache

HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # DEFLATE, no name, no time, of no system
_KEPT = 64  # pieces: those that some readers have still to be sent
_LEVEL = 5


@lru_cache(_KEPT)
def packed(piece: bytes) -> bytes:
    """A piece as blocks that end at a whole byte, and refer to nothing but themselves."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)


async def packing(source: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same stream, packed."""
    yield HEADER
    async with aclosing(source):
        async for piece in source:
            yield packed(piece)
