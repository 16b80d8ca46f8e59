"""What keepalived understands of a configuration: blocks and statements, each with the places that it came from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from holdfast.findings import Finding, Location

from .keywords import Keyword
from .source import Source


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the text of a statement stands that came out of a variable, a ~SEQ or a ~LST; `name` is the variable's."""

    name: str
    source: Source
    line: int

    @property
    def location(self) -> Location:
        """The place of the text itself; where it was used is the node's own place."""
        text = self.source.line(self.line)
        return self.source.location(self.line, len(text) - len(text.lstrip()) + 1)


class Quoted(tuple[str, ...]):
    """Words of a statement that had quotes; `text` is how it stood: commands are split anew from it."""

    text: str

    def __new__(cls, words: Iterable[str], text: str) -> Quoted:
        made = super().__new__(cls, words)
        made.text = text
        return made


class Node:
    """A statement or a block: its words without quotes, and what stands between its braces."""

    __slots__ = ("children", "end", "keyword", "line", "origin", "source", "start", "words")

    def __init__(
        self,
        words: tuple[str, ...],
        source: Source,
        line: int,
        start: int = 0,
        origin: Origin | None = None,
        keyword: Keyword | None = None,
    ) -> None:
        self.words = words
        self.source = source
        self.line = line  # from 1; where a variable is used, not where it is defined
        self.start = start  # offset in that line, from 0, at which the statement begins
        self.origin = origin
        self.keyword = keyword  # its row of the tables; None for the lines of a listing block, and what is unknown
        self.children: Sequence[Node] = ()  # a list only where there are any: of millions of nodes most have none
        self.end = 0  # the line of its closing brace, where keepalived judges a block as a whole; 0 if it has none

    def take(self, child: Node) -> None:
        """One more child, behind the others."""
        if isinstance(self.children, list):
            self.children.append(child)
        else:
            self.children = [child]

    def __repr__(self) -> str:
        return f"Node({' '.join(self.words)!r}, {self.source.name}:{self.line}, {len(self.children)} children)"

    @property
    def name(self) -> str:
        """The keyword, or the first word of a listed line; empty for the root."""
        return self.words[0] if self.words else ""

    @property
    def args(self) -> tuple[str, ...]:
        """The words behind the first."""
        return self.words[1:]

    @property
    def text(self) -> str:
        """The statement as it stood, quotes included, but without its comment and with its variables replaced."""
        return self.words.text if isinstance(self.words, Quoted) else " ".join(self.words)

    @property
    def command(self) -> tuple[str, ...]:
        """What stands behind the keyword, split as keepalived splits commands: both quotes, and a shell's escapes."""
        return tuple(split_command(self.text)[1:])

    @property
    def account(self) -> tuple[str, ...]:
        """The user, and the group if one is given, that a statement names; behind a script they come later."""
        if self.keyword is None:
            return ()
        kinds = [argument.kind for argument in self.keyword.arguments]
        return self.args[kinds.index("user") :][:2] if "user" in kinds else ()

    def arg(self, index: int = 0, default: str = "") -> str:
        """The word `index` places behind the keyword, or `default` where there is none."""
        return self.words[index + 1] if index + 1 < len(self.words) else default

    def all(self, *names: str) -> list[Node]:
        """The children with one of these keywords, in the order of the file."""
        return [child for child in self.children if child.words[0] in names]

    def get(self, name: str) -> Node | None:
        """The child that counts: where keepalived takes the first of several, the first, else the last."""
        found = self.all(name)
        if not found:
            return None
        keyword = found[0].keyword
        return found[0] if keyword is not None and keyword.repeat == "first" else found[-1]

    def value(self, name: str, default: str = "") -> str:
        """The first argument of the child that counts, or `default` where the keyword is not there."""
        found = self.get(name)
        return found.arg(0, default) if found else default

    def has(self, name: str) -> bool:
        """Whether a child has this keyword."""
        return any(child.words[0] == name for child in self.children)

    def listed(self, *names: str) -> list[Node]:
        """The lines of all listing blocks with one of these keywords."""
        return [line for block in self.all(*names) for line in block.children]

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in the order of the file; bounded by the depth of the tables."""
        yield self
        for child in self.children:
            yield from child.walk()

    def span(self, word: int = 0) -> tuple[int, int]:
        """First and last column, from 1, of the word `word` in its line; of the whole use, if a variable was used."""
        if self.origin is None:
            found = self.source.span(self.line, self.start, word)
            if found is not None:
                return found
        text = self.source.line(self.line)
        begin = max(self.start, len(text) - len(text.lstrip()))
        return begin + 1, max(len(text.rstrip()), begin + 1)

    def location(self, word: int = 0) -> Location:
        """Where the word `word` stands."""
        return self.source.location(self.line, self.span(word)[0])


_COMMAND_PIECE = re.compile(
    r"""[ \t\r\n\v\f]+|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'"""
    r"""|\\(?:x[0-9A-Fa-f]+|[0-7]{1,3}|c.|.)|[^ \t\r\n\v\f"'\\]+|.""",
    re.S,
)
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]+|[0-7]{1,3}|c.|.)", re.S)
_LETTERS = {"a": "\a", "b": "\b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def split_command(text: str) -> list[str]:
    """`text` in words, as keepalived's commands are: quotes join, may begin inside a word, and leave blanks alone."""
    words: list[str] = []
    joined = False
    for found in _COMMAND_PIECE.finditer(text):
        if found[0][0] in " \t\r\n\v\f":  # not isspace(): a no-break space is a letter here
            joined = False
            continue
        quoted = found[1] if found[1] is not None else found[2]
        piece = found[0] if quoted is None else quoted
        piece = _ESCAPE.sub(_escaped, piece)
        if joined:
            words[-1] += piece
        else:
            words.append(piece)
        joined = True
    return words


def _escaped(found: re.Match[str]) -> str:
    code = found[1]
    if code[0] == "x" and len(code) > 1:
        return chr(int(code[1:], 16) & 0xFF)
    if code[0] in "01234567":
        return chr(int(code, 8) & 0xFF)
    if code[0] == "c" and len(code) > 1:
        return chr(ord(code[1]) & 0x1F)
    return _LETTERS.get(code, code)


@dataclass(slots=True)
class Configuration:
    """A whole configuration as one keepalived sees it; `root.children` are the blocks outside all others."""

    root: Node
    findings: list[Finding] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)  # every file that was read, by name
    conditions: set[str] = field(default_factory=set)  # each X of `@X` and `@^X` that was met
    complete: bool = True  # False: an include could not be followed, or a limit was reached
