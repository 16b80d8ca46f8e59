"""Splits a line of haproxy.cfg into words as HAProxy 2.6 does (parse_line), or says why it does not."""

from __future__ import annotations

from dataclasses import dataclass

_PROTECTED = " \\#\"'"  # before any other sign, a backslash is an ordinary sign
_LETTERS = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True)
class Word:
    """`text` is what HAProxy makes of it; `plain` where it was written without quotes and backslashes."""

    text: str
    column: int
    plain: bool


class NotHaproxyError(Exception):
    """What is refused because it could be read in two ways; the column counts from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.message, self.column = message, column


def split(line: str) -> tuple[Word, ...]:
    """The words of one line; raises NotHaproxyError."""
    words: list[Word] = []
    position = 0
    while True:  # ends: every round takes at least one character, or returns
        while position < len(line) and line[position] in " \t":
            position += 1
        if position >= len(line) or line[position] == "#":
            return tuple(words)
        word, position = _word(line, position)
        words.append(word)


def _word(line: str, start: int) -> tuple[Word, int]:
    text, position, plain, quote = "", start, True, ""
    while position < len(line):
        sign = line[position]
        if not quote and sign in " \t#":
            break
        if sign == quote:
            quote = ""
        elif not quote and sign in "\"'":
            quote, plain = sign, False
        elif sign == "\\" and quote != "'":
            made, taken = _escaped(line, position, quote)
            text += made
            position, plain = position + taken, False
        elif sign == "$" and quote == '"':
            raise NotHaproxyError("variables of the environment may not be used", position + 1)
        else:
            text += sign
        position += 1
    if quote:
        raise NotHaproxyError("a quote is not closed", start + 1)
    return Word(text, start + 1, plain), position


def _escaped(line: str, position: int, quote: str) -> tuple[str, int]:
    """What a backslash makes of the sign after it, and whether it takes that sign (1) or stands for itself (0)."""
    follower = line[position + 1 : position + 2]
    if not follower:
        raise NotHaproxyError("a line may not end with a backslash", position + 1)
    if follower == "x":
        raise NotHaproxyError("signs may not be written as \\x..", position + 1)
    if follower in _LETTERS:
        return _LETTERS[follower], 1
    return (follower, 1) if follower in _PROTECTED or (follower == "$" and quote) else ("\\", 0)
