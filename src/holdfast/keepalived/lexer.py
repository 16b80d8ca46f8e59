"""Splits keepalived.conf into tokens with positions; loses nothing and refuses nothing, whatever the input.

The rules are those of keepalived 2.2.7: one statement a line, blanks between words, `"` quotes blanks, `#` and `!`
begin a comment outside quotes, braces open and close blocks. What is doubtful is left to the reader of the tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_BLANKS = " \t\r\v\f"
_COMMENT = "#!"


class Kind(StrEnum):
    """What a token is."""

    WORD = "word"
    QUOTED = "quoted"
    UNTERMINATED = "unterminated"  # a quote that its line does not end
    OPEN = "open"
    CLOSE = "close"
    COMMENT = "comment"
    NEWLINE = "newline"
    END = "end"


@dataclass(frozen=True)
class Token:
    """`raw` is what stands in the file, `gap` the blanks before it; line and column count from 1."""

    kind: Kind
    raw: str
    gap: str
    line: int
    column: int

    @property
    def text(self) -> str:
        """The word without its quotes."""
        if self.kind is Kind.QUOTED:
            return self.raw[1:-1]
        return self.raw[1:] if self.kind is Kind.UNTERMINATED else self.raw


def lex(text: str) -> tuple[Token, ...]:
    """All tokens; `"".join(token.gap + token.raw for token in lex(text)) == text`, and the last one is END."""
    tokens: list[Token] = []
    position, line, line_start = 0, 1, 0
    while True:  # ends: every round takes at least one character, or is at the end
        start = position
        while position < len(text) and text[position] in _BLANKS:
            position += 1
        gap = text[start:position]
        column = position - line_start + 1
        if position >= len(text):
            tokens.append(Token(Kind.END, "", gap, line, column))
            return tuple(tokens)
        kind, end = _next(text, position)
        tokens.append(Token(kind, text[position:end], gap, line, column))
        position = end
        if kind is Kind.NEWLINE:
            line, line_start = line + 1, position


def _next(text: str, position: int) -> tuple[Kind, int]:
    """The token that begins here, and where it ends."""
    sign = text[position]
    single = {"\n": Kind.NEWLINE, "{": Kind.OPEN, "}": Kind.CLOSE}.get(sign)
    if single is not None:
        return single, position + 1
    line_end = text.find("\n", position)
    line_end = len(text) if line_end < 0 else line_end
    if sign in _COMMENT:
        return Kind.COMMENT, line_end
    if sign == '"':
        close = text.find('"', position + 1, line_end)
        return (Kind.UNTERMINATED, line_end) if close < 0 else (Kind.QUOTED, close + 1)
    end = position
    while end < line_end and text[end] not in _BLANKS and text[end] not in '{}"#!':
        end += 1
    return Kind.WORD, end
