"""Where a comment begins: at `#` or `!` outside of quotes, unless a backslash stands before it; and what goes on."""

from __future__ import annotations

import re

from .source import buffered

_MARK = re.compile(r'[!#"]|\\.?')


def uncommented(text: str) -> tuple[str, bool, bool]:
    """`text` without its comment; whether a quote stays open; whether a backslash ends it (which is taken off)."""
    if not _MARK.search(text):
        return text, False, False
    kept: list[str] = []
    quoted, skip, position = False, -1, 0
    length = 0
    for mark in _MARK.finditer(text):
        sign = mark[0]
        kept.append(text[position : mark.start()])
        length += mark.start() - position
        position = mark.end()
        if sign == "\\":
            return "".join(kept)[: skip if skip >= 0 else None].rstrip(" \t"), quoted, True
        if sign == '"':
            quoted = quoted if skip >= 0 else not quoted
        elif sign in "!#" and not quoted and skip < 0:
            skip = length
        escaped = len(sign) == 2 and sign[1] in "!#" and not quoted
        kept.append(sign[1] if escaped else sign)
        length += len(kept[-1])
    whole = "".join(kept) + text[position:]
    return (whole if skip < 0 else whole[:skip]), quoted, False


def goes_on(raw: str, *, within: bool) -> bool:
    """Whether the next line may be one more of a variable's, on some host; `within`: whether this one may be.

    It is not known here what variables stand for, so any line with one and with a backslash at its end may.
    """
    for piece, _ in buffered(raw):
        stripped = piece.lstrip(" \t")
        text, _, continued = uncommented(stripped)
        if "\\" in stripped:
            text, _, _ = uncommented(text)  # as what reads the copy of the first reading does
        text = text.rstrip(" \t")
        if text or continued:
            within = (continued or text.endswith("\\")) and (within or "$" in text)
        elif not piece:
            within = False
    return within
