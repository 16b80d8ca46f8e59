"""Words of a statement that has quotes in it, as keepalived splits them."""

from __future__ import annotations

import re

from holdfast.sentences import Sentence

from . import complaints
from .complaints import shown
from .odd_signs import Odd
from .tree import Quoted

UNCLOSED, CLOSE_IT = Sentence("a quote is not closed on its line"), Sentence('add the missing "')
_PIECE = re.compile(r'"([^"]*)"|([^ \t\r\v\f"]+)|"')


def quoted_words(text: str, *, told: bool = True) -> tuple[tuple[str, ...], list[Odd]]:
    """A quote ends the word before it, and blanks end none inside; and what is wrong with the quotes.

    Unless `told`, nobody hears it: a file that is all quotes has millions of mistakes.
    """
    words: list[str] = []
    wrong: list[Odd] = []
    end = 0
    for found in _PIECE.finditer(text):
        if found[0] == '"':
            wrong.append((complaints.QUOTE, UNCLOSED, CLOSE_IT, found.start()))
            break
        if told and found.start() == end and end > 0:
            wrong += _touching(words, found[1] or found[2] or "", found.start())
        words.append(found[2] if found[1] is None else found[1])
        end = found.end()
    return Quoted(words, text) if words else (), wrong


def _touching(words: list[str], word: str, at: int) -> list[Odd]:
    """Two words without a blank between them."""
    if not _is_script(words):
        split = Sentence(
            "the quote splits this into two words, %(first)s and %(second)s",
            first=shown(words[-1]),
            second=shown(word),
        )
        return [(complaints.SPLIT, split, Sentence("put the whole word in quotes"), at)]
    if len(words) > 1:
        return []
    one = Sentence("no blank stands before the quote: to keepalived it is one word with %(word)s", word=shown(words[0]))
    return [(complaints.MISSING, one, Sentence("write %(what)s", what=f"{words[0]} <script>"), at)]


def _is_script(words: list[str]) -> bool:
    """Commands are split again, as a shell would, so a quote inside their words is meant."""
    return bool(words) and words[0].startswith(("script", "notify", "misc_path", "quorum_", "startup", "shutdown"))
