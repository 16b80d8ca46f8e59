"""Splits nginx.conf into directives exactly as nginx 1.22 does (ngx_conf_read_token), or says where it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_BLANKS = " \t\n"
_LONGEST_WORD = 4000  # characters; nginx's own buffer is 4096


@dataclass(frozen=True)
class Word:
    """`text` is what nginx makes of it: quotes are gone, and a backslash stays unless it hides a quote or itself."""

    text: str
    line: int
    column: int


@dataclass(frozen=True)
class Directive:
    """One statement; `opens` where a block follows, and no words at all where a block closes."""

    words: tuple[Word, ...]
    opens: bool = False

    @property
    def closes(self) -> bool:
        """Whether it is a closing brace."""
        return not self.words


class NotNginxError(Exception):
    """What nginx itself would refuse; `line` and `column` count from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


class _Source:
    """The text and how far it was read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position, self.line, self.column = 0, 1, 1

    @property
    def sign(self) -> str:
        """The next character, empty at the end."""
        return self.text[self.position : self.position + 1]

    def take(self) -> str:
        """The next character, counted."""
        sign = self.sign
        self.position += 1
        self.line, self.column = (self.line + 1, 1) if sign == "\n" else (self.line, self.column + 1)
        return sign

    def refuse(self, message: str) -> NotNginxError:
        """An error here."""
        return NotNginxError(message, self.line, self.column)


def directives(text: str) -> Iterator[Directive]:
    """Every directive in its order; raises NotNginxError."""
    source = _Source(text)
    words: list[Word] = []
    while sign := source.sign:
        if sign in _BLANKS:
            source.take()
        elif sign == "#":
            while source.sign and source.sign != "\n":
                source.take()
        elif sign in ";{}":
            if bool(words) is (sign == "}"):
                raise source.refuse(f"unexpected {sign!r}")
            source.take()
            yield Directive(tuple(words), opens=sign == "{")
            words = []
        else:
            words.append(_word(source))
    if words:
        raise source.refuse("the last directive is not ended")


def _word(source: _Source) -> Word:
    line, column = source.line, source.column
    raw = _quoted(source) if source.sign in "\"'" else _bare(source)
    if len(raw) > _LONGEST_WORD:
        raise source.refuse(f"a word is longer than {_LONGEST_WORD} characters")
    return Word(_unescape(raw), line, column)


def _quoted(source: _Source) -> str:
    quote, raw = source.take(), ""
    while source.sign != quote:
        if not source.sign:
            raise source.refuse("a quote is not closed")
        sign = source.take()
        raw += sign
        if sign == "\\":
            raw += source.take()
    source.take()
    if source.sign and source.sign not in _BLANKS + ";{)":
        raise source.refuse("a word begins right after a quote")
    return raw


def _bare(source: _Source) -> str:
    """Up to a blank, `;` or `{`; but `${` is the beginning of a variable."""
    raw, variable = "", False
    while (sign := source.sign) and sign not in _BLANKS and sign != ";":
        if sign == "{" and not variable:
            break
        raw += source.take()
        variable = sign == "$" or (variable and sign == "{")  # after `${`, nginx takes further braces too
        if sign == "\\":
            raw += source.take()
    return raw


def _unescape(raw: str) -> str:
    """nginx takes the backslash from quotes, backslashes and the letters t, r, n alone."""
    letters = {'"': '"', "'": "'", "\\": "\\", "t": "\t", "r": "\r", "n": "\n"}
    text, position = "", 0
    while position < len(raw):
        follower = raw[position + 1 : position + 2]
        if raw[position] == "\\" and follower in letters:
            text += letters[follower]
            position += 2
        else:
            text += raw[position]
            position += 1
    return text
