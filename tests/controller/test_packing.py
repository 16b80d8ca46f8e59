"""Pieces that are packed once make a gzip stream in whatever order each reader is sent them."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncGenerator

from holdfast.controller.api.packing import packed, packing

ROW = b"<tr><td>10.0.0.3:80</td><td>web01</td></tr>"
PIECES = [b": \n\n", b"event: now\ndata: %s\n\n" % (ROW * 1000), b": \n\n", b"event: now\ndata: %s\n\n" % (ROW * 999)]


def sent(pieces: list[bytes]) -> list[bytes]:
    async def source() -> AsyncGenerator[bytes, None]:
        for one in pieces:
            yield one

    async def all_of_it() -> list[bytes]:
        return [one async for one in packing(source())]

    return asyncio.run(all_of_it())


def test_each_piece_is_there_as_soon_as_it_has_come() -> None:
    for pieces in (PIECES, PIECES[::-1], PIECES * 3):
        reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
        header, *rest = sent(pieces)
        assert reader.decompress(header) == b""
        assert [reader.decompress(one) for one in rest] == pieces


def test_with_a_trailer_it_would_be_a_file() -> None:
    whole = b"".join(PIECES)
    end = b"\x03\x00" + zlib.crc32(whole).to_bytes(4, "little") + len(whole).to_bytes(4, "little")
    assert gzip.decompress(b"".join(sent(PIECES)) + end) == whole


def test_a_piece_is_packed_once_and_small() -> None:
    piece = PIECES[1]
    assert packed(piece) is packed(piece)
    assert len(packed(piece)) < len(piece) / 10
