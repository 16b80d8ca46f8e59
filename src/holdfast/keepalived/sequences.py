"""~SEQ and ~LST: a line that counts many times, each time with other values of its variables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.sentences import Sentence

MOST_VALUES = 70_000  # of one sequence; the largest that the manual shows makes 65,024
_SEQ = re.compile(r"~SEQ(x?)[ \t]*\([ \t]*([^ \t,)]+)[ \t]*,([^)]*)\)[ \t]*")
_LST = re.compile(r"~LST[ \t]*\([ \t]*(\{[^{}]*\}|[^ \t,){}]+)[ \t]*,([^)]*)\)[ \t]*")
_VALUE = re.compile(r"[ \t]*(?:\{([^{}]*)\}|([^{},]*))[ \t]*(?:,|$)")
_NUMBER = re.compile(r"[ \t]*([+-]?)(0[xX][0-9A-Fa-f]+|[0-9]+)[ \t]*")


@dataclass(frozen=True, slots=True)
class Sequence:
    """`values` are the rounds: the values of `names` in each; `text` is the line that they are for."""

    names: tuple[str, ...]
    rounds: range | tuple[tuple[str, ...], ...]
    hexadecimal: bool
    text: str

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        for one in self.rounds:
            yield one if isinstance(one, tuple) else (f"{one:x}" if self.hexadecimal else str(one),)


def sequence(text: str, numbers: str) -> Sequence | Sentence:
    """The sequence that `text` begins with; `numbers` is what stands in its brackets once variables are replaced.

    A sentence is what is wrong with it.
    """
    return _seq(text, numbers) if text.startswith("~SEQ") else _lst(text)


def brackets(text: str) -> str:
    """The numbers of a ~SEQ, where variables may stand; empty for a ~LST and for what is broken."""
    found = _SEQ.match(text)
    return found[3] if found else ""


def _number(text: str) -> int | None:
    """As strtol reads it: hexadecimal behind 0x, octal behind 0."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    digits = found[2].lower()
    if digits.startswith("0x"):
        value = int(digits, 16)
    elif len(digits) > 1 and digits[0] == "0":
        if not set(digits) <= set("01234567"):
            return None
        value = int(digits, 8)
    else:
        value = int(digits)
    return -value if found[1] == "-" else value


def _seq(text: str, numbers: str) -> Sequence | Sentence:
    found = _SEQ.match(text)
    if found is None:
        return Sentence("is not of the form ~SEQ(NAME, [START, [STEP,]] END)")
    given = [_number(part) for part in numbers.split(",")]
    values = [value for value in given if value is not None]
    if len(values) != len(given) or not 1 <= len(values) <= 3:
        return Sentence("does not hold one to three numbers")
    if len(values) == 1:
        end = values[0]
        start, step = (-1 if end < 0 else 1), (-1 if end < 1 else 1)
    elif len(values) == 2:
        start, end = values
        step = 1 if start <= end else -1
    else:
        start, step, end = values
        if not step or (start < end and step < 0) or (start > end and step > 0):
            return Sentence("never reaches its end")
    if found[1] and min(start, end) < 0:
        return Sentence("counts below zero, which has no hexadecimal form")
    if abs(end - start) // abs(step) >= MOST_VALUES:  # no range is asked: of numbers that large it cannot tell
        return Sentence("has more than %(most)s values", most=MOST_VALUES)
    # keepalived takes the first value before it compares.
    rounds = range(start, end + (1 if step > 0 else -1), step) or range(start, start + 1)
    return Sequence((found[2],), rounds, bool(found[1]), text[found.end() :])


def _lst(text: str) -> Sequence | Sentence:
    found = _LST.match(text)
    if found is None:
        return Sentence("is not of the form ~LST(NAME, VALUE, …) or ~LST({NAME, NAME}, {VALUE, VALUE}, …)")
    names = tuple(name.strip(" \t") for name in found[1].strip("{} \t").split(","))
    rounds: list[tuple[str, ...]] = []
    position = 0
    while position < len(found[2]):
        value = _VALUE.match(found[2], position)
        if value is None or value.end() == position:
            return Sentence("has a value that cannot be read")
        position = value.end()
        parts = [part.strip(" \t") for part in (value[1] if value[1] is not None else value[2]).split(",")]
        if len(parts) > len(names):
            return Sentence("has more values than names")
        rounds.append(tuple(parts + [""] * (len(names) - len(parts))))
    if not rounds:
        return Sentence("has no values")
    return Sequence(names, tuple(rounds), False, text[found.end() :])
