"""Lays a configuration out anew: one statement a line, four blanks a block, comments kept, meaning kept.

A line is left as it is where moving it could change what keepalived reads: too long, with a quote that stays open, with
control signs, or with blanks behind a backslash. What is more than words, quotes, braces and a comment is moved, but
never taken apart, since a condition, say, holds for all that stands on its line. The lines behind one that may begin a
variable of several are neither joined nor parted, and the blank line that ends them stays. So does the line behind an
include: the file may end within such a variable, which then goes on here.
"""

from __future__ import annotations

import re
from itertools import pairwise

from .comments import goes_on, uncommented
from .lexer import Kind, Token, lex
from .source import BOM, LONGEST_LINE, width

INDENT = 4
DEEPEST = 16  # levels that are still moved to the right; keepalived has six
_MOST = LONGEST_LINE - DEEPEST * INDENT - len(" {\n")  # what can be moved, and get a brace, and is one line still
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_KEEPS_TOGETHER = re.compile(r"[$\\']")
_INCLUDE = "include"
_STARTS = ("@", "~", _INCLUDE)  # what counts to the end of its line


def lay_out(text: str) -> str:
    """`text` laid out; laying it out again changes nothing."""
    layout = _Layout()
    lines = text.split("\n")
    for number, raw in enumerate(lines, 1):
        if raw or number < len(lines):
            layout.line(raw.rstrip("\r") if width(raw) < LONGEST_LINE else raw)
    return layout.text()


class _Layout:
    def __init__(self) -> None:
        self._out: list[str] = []
        self._depth = 0
        self._body = 0  # 1 + the depth within the variable of several lines that may be being written
        self._behind = False  # whether the next line may be one of a variable that an included file begins
        self._hides = False  # whether a variable may stand for an include
        self._blank = False  # whether a blank line is due before the next one
        self._head: tuple[str, str] | None = None  # the last line, if a brace may still join it: words, comment

    def text(self) -> str:
        return "".join(line + "\n" for line in self._out)

    def line(self, raw: str) -> None:
        text = raw.strip(" \t")
        if self._body:
            self._continue(raw, text)
        elif not text and self._behind:
            self._out.append(raw)
            self._behind = bool(raw)
        elif not text:
            self._blank = bool(self._out)
        elif not self._behind and _is_plain(raw, text, tokens := lex(text)):
            self._apart(tokens)
        else:
            self._whole(raw, text, lex(text))

    def _put(self, line: str) -> None:
        if self._blank and self._out and self._out[-1]:
            self._out.append("")
        self._blank = False
        self._head = None
        self._out.append(line)

    def _indented(self, text: str, depth: int | None = None) -> str:
        return " " * (INDENT * min(DEEPEST, self._depth if depth is None else depth)) + text

    def _continue(self, raw: str, text: str) -> None:
        """A line that may be one of a variable of several: an empty one ends it, as does one without a backslash."""
        if not text:
            self._out.append(raw)
            self._body = self._body if raw else 0
            self._behind = self._behind and bool(raw)
            return
        self._includes(raw, text, within=True)
        tokens = lex(text)
        depth = max(1, self._body - (tokens[0].kind is Kind.CLOSE))
        self._out.append(self._indented(text, self._depth + depth) if _moves(raw, text) else raw)
        self._body = max(1, _after(self._body, tokens)) if goes_on(raw, within=True) else 0

    def _includes(self, raw: str, text: str, *, within: bool) -> None:
        """Notes what a line may include, or may give a variable to include: `within` such a one's value."""
        named = _INCLUDE in text
        self._hides = self._hides or (named and within)
        self._behind = named or (self._hides and "$" in text) or (self._behind and goes_on(raw, within=True))

    def _whole(self, raw: str, text: str, tokens: tuple[Token, ...]) -> None:
        """A line that stays one line."""
        depth = max(0, self._depth - (tokens[0].kind is Kind.CLOSE))
        self._put(self._indented(text, depth) if _moves(raw, text) else raw)
        self._includes(raw, text, within="=" in text)
        if goes_on(raw, within=False):
            self._body = 1
        else:
            self._depth = _after(self._depth, tokens)

    def _apart(self, tokens: tuple[Token, ...]) -> None:
        """A line of plain words, comments and braces: each statement and each closing brace gets its own line."""
        words: list[Token] = []
        for token in tokens:
            if token.kind in (Kind.WORD, Kind.QUOTED):
                words.append(token)
            elif token.kind is Kind.OPEN:
                self._open(words)
                words = []
            elif token.kind is Kind.CLOSE:
                self._statement(words, "")
                words = []
                self._depth = max(0, self._depth - 1)
                self._blank = False
                self._put(self._indented("}"))
            elif token.kind is Kind.COMMENT:
                self._comment(words, token, first=token is tokens[0])
                words = []
        self._statement(words, "")

    def _statement(self, words: list[Token], comment: str) -> None:
        if not words:
            return
        text = _joined(words)
        self._put(self._indented(text + (f" {comment}" if comment else "")))
        self._head = (text, comment)

    def _open(self, words: list[Token]) -> None:
        if words:
            self._put(self._indented(_joined(words) + " {"))
        elif self._head is not None:
            text, comment = self._head
            self._blank = False
            self._out[-1] = self._indented(f"{text} {{" + (f" {comment}" if comment else ""))
            self._head = None
        else:
            self._put(self._indented("{"))
        self._depth += 1

    def _comment(self, words: list[Token], token: Token, *, first: bool) -> None:
        comment = token.raw.rstrip(" \t")
        if words:
            self._statement(words, comment)
        elif first:
            self._put(self._indented(comment))
        elif width(self._out[-1]) + width(comment) < LONGEST_LINE - 1:
            self._out[-1] += f" {comment}"  # behind a brace
            self._head = None
        else:
            self._put(self._indented(comment))


def _joined(words: list[Token]) -> str:
    """Words with one blank where there were some, and none where a quote touches its neighbour."""
    return "".join((" " if index and word.gap else "") + word.raw for index, word in enumerate(words))


def _moves(raw: str, text: str) -> bool:
    """Whether a line means the same with other blanks before it, and none behind it."""
    if _CONTROL.search(raw) or raw.startswith(BOM) or (text[-1] == "\\" and raw[-1] != "\\"):
        return False
    return width(raw) < LONGEST_LINE and width(text) <= _MOST and not uncommented(text)[1]


def _is_plain(raw: str, text: str, tokens: tuple[Token, ...]) -> bool:
    """Whether a line is words, quotes, braces and a comment, and nothing that counts to its end."""
    if _KEEPS_TOGETHER.search(text) or text.startswith(_STARTS) or not _moves(raw, text):
        return False
    begins = [after for before, after in pairwise(tokens) if before.kind in (Kind.OPEN, Kind.CLOSE)]
    return not any(token.raw.startswith(_STARTS) for token in begins)


def _after(depth: int, tokens: tuple[Token, ...]) -> int:
    """How deep it is behind these."""
    for token in tokens:
        depth = max(0, depth + (token.kind is Kind.OPEN) - (token.kind is Kind.CLOSE))
    return depth
