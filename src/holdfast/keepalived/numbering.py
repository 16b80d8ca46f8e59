"""The numbers by which keepalived calls lines, where they are not the lines' own.

Its first process counts the line feeds that it reads, and sees none behind a NUL. It copies what it read, for the
others, and begins a line for each piece of one that is too long: they count those.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from .comments import uncommented
from .source import LONGEST_LINE, Source, chunks, width


def told_as(source: Source, lines: Collection[int]) -> Iterator[tuple[int, int]]:
    """Each of `lines` with each other number that keepalived may call it by, in the order of the file."""
    if not lines:
        return
    last, farthest = source.text.count("\n") + 1, max(lines)
    own = copied = 0
    for number, raw in enumerate(source.each_line(), 1):
        if number > farthest:
            return
        if len(raw) < LONGEST_LINE // 4 and "\0" not in raw:  # as nearly all are
            own, copied = own + (number < last), copied + 1
            called = {own, copied}
        else:
            called = set()
            pieces = chunks(raw)
            for piece in pieces:
                own += piece is pieces[-1] and number < last and "\0" not in piece
                called |= {own, copied + (not _fills(piece))}
                copied += 1
        if number in lines:
            yield from ((number, one) for one in sorted(called - {number}) if 0 < one <= last)


def _fills(piece: str) -> bool:
    """Whether a piece leaves no place for its line feed in the buffer, without its comment, as it is copied."""
    if width(piece) < LONGEST_LINE:
        return False
    text, _, continued = uncommented(piece.partition("\0")[0].lstrip(" \t"))
    return width(text.rstrip(" \t")) + continued >= LONGEST_LINE
