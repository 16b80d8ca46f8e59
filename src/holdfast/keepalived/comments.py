"""Where a comment begins: at `#` or `!` outside of quotes, unless a backslash stands before it."""

from __future__ import annotations

import re

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
