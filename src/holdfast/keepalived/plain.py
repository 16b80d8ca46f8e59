"""Lines of plain words, which nearly all of a large file are: read the short way, and the same line only once."""

from __future__ import annotations

import re
from typing import TypeAlias

# Words, their offset in the line, and that of a brace behind them; 0: there is none.
Plain: TypeAlias = tuple[tuple[str, ...], int, int]

OPEN, CLOSE = ("{",), ("}",)
MOST_KNOWN = 4_096  # lines remembered of one file: those of a large one are mostly the same
# What makes a line more than plain words.
_ODD = re.compile(r'["!#\\$@~{}]|[^ -~\t]')


def plain_words(raw: str, text: str) -> Plain | None:
    """A line, and the same without the blanks around it; None where something odd is in it."""
    if text == "}":
        return CLOSE, raw.index("}"), 0
    mark = _ODD.search(text)
    if mark is None:
        return tuple(text.split()), 0, 0
    if mark.start() == len(text) - 1 and text[-1] == "{" and len(text) > 1:
        return tuple(text[:-1].split()), 0, raw.rindex("{")
    return None
