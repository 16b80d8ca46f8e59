"""Mistakes made on purpose: real files, each with one thing spoilt as a hurried hand does it; the same for a seed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from holdfast.keepalived.keywords import tables

_NUMBERS = [b"-1", b"0", b"256", b"300", b"70000", b"99999999999", b"1.5", b"abc", b"-300", b"0x10", b"12a"]
_ADDRESSES = [b"fe80::1", b"2001:db8::5", b"10.9.9.9", b"10.9.9.9/33", b"10.0.0", b"::1/129", b"224.0.0.1", b"eth9"]
_WORDS = [b"foo", b"BACUP", b"master", b"on", b"yes", b'"', b"!x", b"#x", *_NUMBERS, *_ADDRESSES]
_ENDS = [b"", b" 5", b" 10.0.0.1", b" on", b" foo", b" {\n}", b" eth0", b" /bin/true"]
_KEYWORDS = sorted({name.encode() for table in tables().values() for name in table} - {b"include"})
_ADDRESS = re.compile(rb"\d+\.\d+\.\d+\.\d+(/\d+)?")
_NUMBER = re.compile(rb"\b\d+(?=\s*$)")

Lines = list[bytes]
Change = Callable[[Lines, int, random.Random], None]  # what is done to the lines, at one of them


def _brace_lost(lines: Lines, at: int, chance: random.Random) -> None:
    lines[at] = re.sub(rb"[{}]", b"", lines[at], count=1)


def _brace_more(lines: Lines, at: int, chance: random.Random) -> None:
    lines[at] += chance.choice([b" }", b" {", b"}", b"{"])


def _misspelt(lines: Lines, at: int, chance: random.Random) -> None:
    word = lines[at].split()[0]
    cut = chance.randrange(len(word))
    swapped = word[:cut] + word[cut + 1 : cut + 2] + word[cut : cut + 1] + word[cut + 2 :]
    wrong = chance.choice([word[:cut] + word[cut + 1 :], swapped, word + b"s", word.upper(), word.replace(b"_", b"-")])
    lines[at] = lines[at].replace(word, wrong, 1)


def _other_number(lines: Lines, at: int, chance: random.Random) -> None:
    lines[at] = _NUMBER.sub(chance.choice(_NUMBERS), lines[at])


def _other_address(lines: Lines, at: int, chance: random.Random) -> None:
    lines[at] = _ADDRESS.sub(chance.choice(_ADDRESSES), lines[at], count=1)


def _other_word(lines: Lines, at: int, chance: random.Random) -> None:
    words = lines[at].split()
    if len(words) > 1:
        lines[at] = lines[at].replace(chance.choice(words[1:]), chance.choice(_WORDS), 1)


def _no_words(lines: Lines, at: int, chance: random.Random) -> None:
    lines[at] = lines[at].split()[0] + (b" {" if b"{" in lines[at] else b"")


def _more_words(lines: Lines, at: int, chance: random.Random) -> None:
    lines[at] += b" " + chance.choice(_WORDS)


def _line_lost(lines: Lines, at: int, chance: random.Random) -> None:
    del lines[at]


def _line_twice(lines: Lines, at: int, chance: random.Random) -> None:
    lines.insert(at, lines[at])


def _line_elsewhere(lines: Lines, at: int, chance: random.Random) -> None:
    lines.insert(chance.randrange(len(lines)), lines.pop(at))


def _two_lines_one(lines: Lines, at: int, chance: random.Random) -> None:
    lines[at : at + 2] = [b" ".join(lines[at : at + 2])]


def _block_twice(lines: Lines, at: int, chance: random.Random) -> None:
    lines[at:at] = lines[at : _end(lines, at)]


def _block_lost(lines: Lines, at: int, chance: random.Random) -> None:
    del lines[at : _end(lines, at)]


def _end(lines: Lines, at: int) -> int:
    depth = 0
    for end in range(at, len(lines)):
        depth += lines[end].count(b"{") - lines[end].count(b"}")
        if depth <= 0:
            return end + 1
    return len(lines)


def _stranger(lines: Lines, at: int, chance: random.Random) -> None:
    lines.insert(at, chance.choice(_KEYWORDS) + chance.choice(_ENDS))


_ANYWHERE: tuple[Change, ...] = (
    *(_brace_more, _misspelt, _other_word, _no_words, _more_words, _line_lost, _line_twice),
    *(_line_elsewhere, _two_lines_one, _stranger),
)
_WHERE: tuple[tuple[Change, re.Pattern[bytes]], ...] = (
    (_brace_lost, re.compile(rb"[{}]")),
    (_block_twice, re.compile(rb"\{\s*$")),
    (_block_lost, re.compile(rb"\{\s*$")),
    (_other_number, _NUMBER),
    (_other_address, _ADDRESS),
)


def spoilt(data: bytes, chance: random.Random) -> tuple[bytes, str]:
    """The file with one thing wrong that was not before, and the name of what was done."""
    lines = data.split(b"\n")
    known = [at for at, line in enumerate(lines) if line.strip() and line.strip()[:1] not in b"!#"]
    change, pattern = chance.choice([*((one, re.compile(b"")) for one in _ANYWHERE), *_WHERE])
    fitting = [at for at in known if pattern.search(lines[at])]
    if fitting:
        change(lines, chance.choice(fitting), chance)
    return b"\n".join(lines), change.__name__.strip("_")
