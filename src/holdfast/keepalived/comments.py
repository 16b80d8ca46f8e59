"""Where a comment begins: at `#` or `!` outside of quotes, unless a backslash stands before it; and what goes on."""

from __future__ import annotations

import re

from .source import buffered

_MARK = re.compile(r'[!#"\\]')
# Up to a comment, a quote that stays open, or a backslash at the end. Nothing is tried twice: a line may be all quotes.
_OUTSIDE = re.compile(r"""(?:[^"!#\\]++|\\.|"(?:[^"\\]++|\\.)*+")*+""")
_ESCAPED = re.compile(r"""("(?:[^"\\]++|\\.)*+")|\\([!#])|\\.""")


def uncommented(text: str) -> tuple[str, bool, bool]:
    """`text` without its comment; whether a quote stays open; whether a backslash ends it (which is taken off)."""
    if not _MARK.search(text):
        return text, False, False
    outside = _OUTSIDE.match(text)
    end = outside.end() if outside is not None else 0
    quoted = text.startswith('"', end)
    continued = (len(text) - len(text.rstrip("\\"))) % 2 == 1
    kept = text[:end]
    if "\\" in kept:
        kept = _ESCAPED.sub(lambda found: found[2] or found[0], kept)
    if quoted:
        kept += text[end:-1] if continued else text[end:]
    return kept.rstrip(" \t") if continued else kept, quoted, continued


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
