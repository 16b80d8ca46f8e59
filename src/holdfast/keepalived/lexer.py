"""Splits keepalived.conf into tokens with positions; loses nothing and refuses nothing, whatever the input.

The rules are those of keepalived 2.2.7: one statement a line, blanks between words, `"` quotes blanks, `#` and `!`
begin a comment outside quotes unless a backslash stands before them, braces open and close blocks. Braces that belong
to a word do not: those of `${NAME}`, of the list behind `~SEQ(` and `~LST(`, and of a file name behind `include`.
What is doubtful is left to the reader of the tokens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_BLANKS = re.compile(r"[ \t\r\v\f]*")
# Outside quotes; a backslash takes the sign behind it along, but never the end of the line.
_WORD = re.compile(r'(?:\$\{[A-Za-z_][A-Za-z0-9_]*(?: [0-9 ]*)?\}|\\[^\n]|\\|[^ \t\n\r\v\f{}"#!\\])+')
_DIRECTIVE = re.compile(r"~(?:SEQx?|LST)[ \t]*\([^)\n]*\)")
_INCLUDE = re.compile(r"include[rmwba]?(?=[ \t\r\v\f])")
_FILE_NAME = re.compile(r'(?:\\[^\n]|[^ \t\n\r\v\f"#!\\])+')
_DEFINITION = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*=")
_SINGLE = re.compile(r"[\n{}]")


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


_KINDS = {"\n": Kind.NEWLINE, "{": Kind.OPEN, "}": Kind.CLOSE}


@dataclass(frozen=True, slots=True)
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
    return tuple(_Lexer(text).tokens())


class _Lexer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._begins = True  # whether the next word is the first of its statement
        self._includes = self._defines = False

    def tokens(self) -> list[Token]:
        text, found = self._text, []
        position, line, line_start = 0, 1, 0
        while True:  # ends: every round takes at least one character, or is at the end
            gap = _BLANKS.match(text, position)
            begin = gap.end() if gap else position
            if begin >= len(text):
                found.append(Token(Kind.END, "", text[position:], line, begin - line_start + 1))
                return found
            kind, end = self._next(begin)
            found.append(Token(kind, text[begin:end], text[position:begin], line, begin - line_start + 1))
            position = end
            if kind is Kind.NEWLINE:
                line, line_start = line + 1, position

    def _next(self, position: int) -> tuple[Kind, int]:
        """The token that begins here, and where it ends."""
        text = self._text
        sign = text[position]
        if sign in "#!":
            end = text.find("\n", position)
            return Kind.COMMENT, len(text) if end < 0 else end
        if sign == "\n" or (sign in "{}" and not self._includes and not self._defines):
            self._begins, self._includes, self._defines = True, False, False
            return _KINDS[sign], position + 1
        if sign == '"':
            self._begins = False
            return self._quote(position)
        return Kind.WORD, self._word(position)

    def _quote(self, position: int) -> tuple[Kind, int]:
        line_end = self._text.find("\n", position)
        line_end = len(self._text) if line_end < 0 else line_end
        close = self._text.find('"', position + 1, line_end)
        return (Kind.UNTERMINATED, line_end) if close < 0 else (Kind.QUOTED, close + 1)

    def _word(self, position: int) -> int:
        text, begins = self._text, self._begins
        self._begins = False
        if begins:
            if directive := _DIRECTIVE.match(text, position):
                self._begins = True  # what follows is a statement of its own, many times over
                return directive.end()
            self._begins = text[position] == "@"
            self._includes = bool(_INCLUDE.match(text, position))
            # Braces in the value of a definition open nothing here: they do where it is used.
            self._defines = bool(_DEFINITION.match(text, position))
        pattern = _FILE_NAME if self._includes or self._defines else _WORD
        word = pattern.match(text, position)
        return word.end() if word else position + 1
