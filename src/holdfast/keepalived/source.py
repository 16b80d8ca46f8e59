"""One file's text as it stands: bytes that are not UTF-8 survive, and every place in it can be found again."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, islice

from holdfast.findings import Location

BLANKS = " \t\r\v\f"
BOM = "\ufeff"
LONGEST_LINE = 1_023  # bytes; keepalived's buffer holds one more
_CHUNK = 1_000_000  # characters
# Bounded, as lines may be endless.
_WORD = re.compile(r'"[^"\n]{0,1023}"|"|[^ \t\n\r\v\f"]{1,1023}')


def decode(data: bytes) -> str:
    """UTF-8, and each byte that is none as one lone surrogate, so that `encode` gives back the same bytes."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """The bytes that `decode` read; lone surrogates that no file can hold are written as UTF-8 would write them."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def width(text: str) -> int:
    """How many bytes keepalived sees of `text`."""
    return len(text) if text.isascii() else len(encode(text))


def chunks(raw: str) -> list[str]:
    """A line in pieces as keepalived's buffer takes them in; its line feed may be all that is left for the last one."""
    if len(raw) < LONGEST_LINE // 4 or width(raw) < LONGEST_LINE:
        return [raw]
    data = encode(raw)
    return [decode(data[at : at + LONGEST_LINE]) for at in range(0, len(data) + 1, LONGEST_LINE)]


def buffered(raw: str) -> list[tuple[str, int]]:
    """The pieces of a line, each up to a NUL and without the carriage return at its end, and the offset of each."""
    found, start = [], 0
    for piece in chunks(raw):
        found.append((piece.partition("\0")[0].rstrip("\r"), start))
        start += len(piece)
    return found


@dataclass(frozen=True)
class Source:
    """A file that was read: its name as keepalived would print it, and all its text."""

    name: str
    text: str

    def each_line(self) -> Iterator[str]:
        """Its lines without their line feeds, split at these alone, as keepalived does; never all at once in memory."""
        text, begin = self.text, 0
        while begin < len(text):
            end = text.find("\n", begin + _CHUNK)
            yield from text[begin : end if end >= 0 else len(text) - text.endswith("\n")].split("\n")
            begin = end + 1 if end >= 0 else len(text)

    @cached_property
    def _starts(self) -> array[int]:
        """The offset of each line."""
        return array("Q", accumulate((len(line) + 1 for line in self.each_line()), initial=0))

    def line(self, number: int) -> str:
        """The text of line `number`, counted from 1, without its end; empty where the file has no such line."""
        if not 0 < number < len(self._starts):
            return ""
        if number not in self._latest:
            self._latest.clear()
            self._latest[number] = self.text[self._starts[number - 1] : self._starts[number] - 1].rstrip("\r")
        return self._latest[number]

    @cached_property
    def _latest(self) -> dict[int, str]:
        """The line that was asked for last: thousands of findings may be of one line, of megabytes."""
        return {}

    def location(self, line: int, column: int = 1, field: str = "") -> Location:
        """A place in this file; line and column count from 1."""
        return Location(file=self.name, line=max(line, 1), column=max(column, 1), field=field)

    def span(self, line: int, start: int, word: int) -> tuple[int, int] | None:
        """First and last column, from 1, of the word `word` behind offset `start` (from 0) of a line."""
        words = _WORD.finditer(self.line(line), start)
        found = next(islice(words, word, None), None)
        return (found.start() + 1, found.end()) if found else None
