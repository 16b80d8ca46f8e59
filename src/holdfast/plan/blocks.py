"""Reads what Holdfast's own renderers write for nginx: statements and blocks, with the comment behind a statement."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""[ \t\r]+|\n|#[^\n]*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[{};]|(?:\$\{|[^\s{};#"']|(?<=\S)[#"'])+""", re.S
)
_DEEPEST = 20


@dataclass(slots=True)
class Statement:
    """The words of a statement or a block, as they stand; `remark` is the comment on its line."""

    words: tuple[str, ...]
    inside: list[Statement] = field(default_factory=list)
    is_block: bool = False
    remark: str = ""

    @property
    def name(self) -> str:
        """Its first word."""
        return self.word(0)

    def word(self, index: int) -> str:
        """One word, from the front or the end; empty where there is none."""
        return self.words[index] if -len(self.words) <= index < len(self.words) else ""

    @property
    def rest(self) -> str:
        """All words behind the first."""
        return " ".join(self.words[1:])

    def all(self, name: str) -> Iterator[Statement]:
        """Those inside with this first word."""
        return (each for each in self.inside if each.name == name)

    def value(self, name: str) -> str:
        """What stands behind the first statement of this name inside, or nothing."""
        return next((each.rest for each in self.all(name)), "")


def read(text: str) -> Statement:
    """The whole text as one block without words; what is no block of nginx's gives statements all the same."""
    root = Statement((), is_block=True)
    open_blocks = [root]
    words: list[str] = []
    last: Statement | None = None
    for token in _TOKEN.findall(text):
        if token == "\n":
            last = None
        elif token.isspace():
            continue
        elif token.startswith("#"):
            if last is not None:
                last.remark = token[1:].strip()
        elif token in (";", "{"):
            last = Statement(tuple(words), is_block=token == "{")
            words = []
            open_blocks[-1].inside.append(last)
            if token == "{" and len(open_blocks) < _DEEPEST:
                open_blocks.append(last)
        elif token == "}":
            words = []
            if len(open_blocks) > 1:
                open_blocks.pop()
        else:
            words.append(token)
    return root


def unquoted(word: str) -> str:
    """A word without its quotes, and without the backslashes that quotes take."""
    if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'":
        return re.sub(r"\\(.)", r"\1", word[1:-1]) if "\\" in word else word[1:-1]
    return word
