"""Lays a configuration out anew: one statement a line, four blanks a block, comments kept, meaning kept.

A line is left as it is where laying it out could change what keepalived reads: too long, with a quote that stays open,
or with control signs. Lines with conditions, variables, sequences and includes are moved, but never taken apart, since
a condition, say, holds for all that stands on its line.
"""

from __future__ import annotations

import re
from itertools import pairwise

from .comments import uncommented
from .lexer import Kind, Token, lex
from .source import BOM, width
from .statements import LONGEST_LINE
from .variables import DEFINITION

INDENT = 4
DEEPEST = 16  # levels that are still moved to the right; keepalived has six
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_INCLUDE = re.compile(r"include[rmwba]?(?:[ \t]|$)")


def lay_out(text: str) -> str:
    """`text` laid out; laying it out again changes nothing."""
    layout = _Layout()
    lines = text.split("\n")
    for number, raw in enumerate(lines, 1):
        if raw or number < len(lines):
            layout.line(raw.rstrip("\r"), number)
    return layout.text()


class _Layout:
    def __init__(self) -> None:
        self._out: list[str] = []
        self._depth = 0
        self._body = 0  # 1 + the depth within the variable of several lines that is being written
        self._blank = False  # whether a blank line is due before the next one
        self._head: tuple[str, str] | None = None  # the last line, if a brace may still join it: words, comment

    def text(self) -> str:
        return "".join(line + "\n" for line in self._out)

    def line(self, raw: str, number: int) -> None:
        text = raw.strip(" \t")
        if self._body:
            self._continue(raw, text)
        elif not text:
            self._blank = bool(self._out)
        elif self._is_fixed(raw, number):
            self._put(raw)
            self._depth = max(0, self._depth + _balance(lex(raw)))
        elif text[0] in "@~$" or "$" in text or "'" in text or _INCLUDE.match(text) or _is_special(lex(text)):
            self._whole(text)
        else:
            self._apart(lex(text))

    @staticmethod
    def _is_fixed(raw: str, number: int) -> bool:
        if _CONTROL.search(raw) or (len(raw) > LONGEST_LINE // 8 and width(raw) + DEEPEST * INDENT > LONGEST_LINE):
            return True
        if (number == 1 and raw.startswith(BOM)) or "\\" in raw[-3:]:
            return not DEFINITION.match(raw.strip(" \t").lstrip("@^")) and not raw.rstrip(" \t").endswith("= \\")
        return uncommented(raw.strip(" \t"))[1]

    def _put(self, line: str) -> None:
        if self._blank and self._out and self._out[-1]:
            self._out.append("")
        self._blank = False
        self._head = None
        self._out.append(line)

    def _is_continued(self) -> bool:
        return bool(self._out) and self._out[-1].rstrip(" \t").endswith("\\")

    def _indented(self, text: str, depth: int | None = None) -> str:
        return " " * (INDENT * min(DEEPEST, self._depth if depth is None else depth)) + text

    def _continue(self, raw: str, text: str) -> None:
        """A line of a variable of several lines: a blank one ends it, as does one without a backslash."""
        _, _, continued = uncommented(text)
        if not continued or not text:
            self._body, rest = 0, self._body
        else:
            rest = self._body
        if not text:
            if raw:
                self._out.append(raw)
                self._body = rest
            else:
                self._blank = True
            return
        tokens = lex(text)
        depth = max(1, rest - (1 if tokens[0].kind is Kind.CLOSE else 0))
        changes_little = not _CONTROL.search(raw) and width(raw) + DEEPEST * INDENT <= LONGEST_LINE
        self._out.append(self._indented(text, self._depth + depth) if changes_little else raw)
        if self._body:
            self._body = max(1, rest + _balance(tokens))

    def _whole(self, text: str) -> None:
        """A line that stays one line."""
        tokens = lex(text)
        if tokens[0].kind is Kind.CLOSE:
            self._depth = max(0, self._depth - 1)
            self._put(self._indented(text))
            self._depth = max(0, self._depth + _balance(tokens) + 1)
            return
        self._put(self._indented(text))
        plain, _, continued = uncommented(text)
        if continued and "=" in plain and "$" in plain:
            self._body = 1
            return
        self._depth = max(0, self._depth + _balance(tokens))

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
                if not self._is_continued():  # else the brace would belong to what the blank line ends
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
        else:
            self._out[-1] += f" {comment}"  # behind a brace
            self._head = None


def _joined(words: list[Token]) -> str:
    """Words with one blank where there were some, and none where a quote touches its neighbour."""
    return "".join((" " if index and word.gap else "") + word.raw for index, word in enumerate(words))


def _is_special(tokens: tuple[Token, ...]) -> bool:
    """Whether a condition, a sequence or an include stands behind a brace: it counts to the end of the line."""
    begins = [after for before, after in pairwise(tokens) if before.kind in (Kind.OPEN, Kind.CLOSE)]
    return any(token.raw[:1] in ("@", "~") or bool(_INCLUDE.match(token.raw)) for token in begins)


def _balance(tokens: tuple[Token, ...]) -> int:
    return sum((token.kind is Kind.OPEN) - (token.kind is Kind.CLOSE) for token in tokens)
