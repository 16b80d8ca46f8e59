"""Signs that look like something to people, and are letters to keepalived."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

from holdfast.sentences import Sentence

from . import complaints
from .complaints import Code

# What is wrong, what to write instead, and the offset in the text.
Odd: TypeAlias = tuple[Code, Sentence, Sentence, int]

# At the begin or the end of a word: inside of one they may be meant.
_QUOTE = re.compile("(?:^|(?<=[ \\t]))[\u201c\u201d\u201e\u201f\u2018\u2019\u00ab\u00bb]")
_BLANK = re.compile("[\u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000]")


def odd_signs(text: str) -> Iterator[Odd]:
    """Those of a statement's words."""
    if not text.isascii():
        if (blank := _BLANK.search(text)) is not None:
            message = Sentence(
                "a blank that is none to keepalived (a no-break space, say) is a part of the word beside it"
            )
            yield complaints.ODD_BLANK, message, Sentence("type a plain space instead"), blank.start()
        if (quote := _QUOTE.search(text)) is not None:
            message = Sentence("%(sign)s is no quote to keepalived, but a letter of the word beside it", sign=quote[0])
            yield complaints.ODD_QUOTE, message, Sentence('type a plain "'), quote.start()
    if text.endswith("\\"):
        message = Sentence(
            "the backslash becomes a part of the last word: only the lines of a variable can be continued"
        )
        yield complaints.CONTINUED, message, Sentence("write the statement on one line"), len(text) - 1
