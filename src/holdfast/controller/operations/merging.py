"""Two people's changes of one text brought together, line by line; where both changed the same, both stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from holdfast.errors import UsageError

_MOST_LINES = 3000  # of the part in which three texts differ: comparing takes time with the square of it
BEGIN, MIDDLE, END = "<" * 7, "=" * 7, ">" * 7


@dataclass(frozen=True)
class Merged:
    """A text with both sides' changes. Of its places, `conflicts` were changed by both: they are marked."""

    text: str
    conflicts: int


@dataclass(frozen=True)
class _Same:
    """Lines that all three have: where they begin in each, and how many there are."""

    base: int
    yours: int
    theirs: int
    count: int


def merged(base: str, yours: str, theirs: str, name: str) -> Merged:
    """What both made of `base`; `name` is what conflicts call the other side. UsageError where it is too much.

    Where the sides changed the same lines into the same, or one of them changed nothing, there is no conflict.
    """
    old, mine, other = (text.splitlines(keepends=True) for text in (base, yours, theirs))
    first = common(old, mine, other)
    last = common(old[first:][::-1], mine[first:][::-1], other[first:][::-1])
    was, one, two = (lines[first : len(lines) - last] for lines in (old, mine, other))
    if max(len(lines) for lines in (was, one, two)) > _MOST_LINES:
        raise UsageError("these changes are too long to be brought together here", "make yours on the newest revision")
    found, conflicts = _together(was, one, two, name)
    return Merged("".join([*old[:first], *found, *old[len(old) - last :]]), conflicts)


def common(*texts: Sequence[str]) -> int:
    """How many lines are the same in all at their beginning."""
    count = 0
    for lines in zip(*texts, strict=False):
        if len(set(lines)) > 1:
            break
        count += 1
    return count


def _together(old: list[str], mine: list[str], other: list[str], name: str) -> tuple[list[str], int]:
    found: list[str] = []
    conflicts = at_old = at_mine = at_other = 0
    for same in _same(old, mine, other):
        was, one, two = old[at_old : same.base], mine[at_mine : same.yours], other[at_other : same.theirs]
        if one in (two, was):
            found += two
        elif two == was:
            found += one
        else:
            conflicts += 1
            found += [f"{BEGIN} yours\n", *_ended(one), f"{MIDDLE}\n", *_ended(two), f"{END} {name}\n"]
        found += old[same.base : same.base + same.count]
        at_old, at_mine, at_other = same.base + same.count, same.yours + same.count, same.theirs + same.count
    return found, conflicts


def _ended(lines: list[str]) -> list[str]:
    """A last line without an end gets one: a mark follows."""
    return [line if line.endswith("\n") else f"{line}\n" for line in lines]


def _same(old: list[str], mine: list[str], other: list[str]) -> Iterator[_Same]:
    """What all three share, in order, and at last their ends."""
    ones = SequenceMatcher(None, old, mine).get_matching_blocks()
    twos = SequenceMatcher(None, old, other).get_matching_blocks()
    left = right = 0
    while left < len(ones) and right < len(twos):
        one, two = ones[left], twos[right]
        begin, end = max(one.a, two.a), min(one.a + one.size, two.a + two.size)
        if begin < end:
            yield _Same(begin, one.b + begin - one.a, two.b + begin - two.a, end - begin)
        if one.a + one.size < two.a + two.size:
            left += 1
        else:
            right += 1
    yield _Same(len(old), len(mine), len(other), 0)
