"""Files that are templates which nobody filled in: where their placeholders stand, and how they read without them.

Placeholders are those of Jinja, Go, ERB and shells. keepalived takes their braces for those of blocks, so that most of
what it says of such a file is about nothing that is in it. Some look like them and are none: what stands in quotes or
in a comment, a variable of keepalived's own, and what `docker inspect -f` is given.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from posixpath import normpath

from holdfast.keepalived.comments import uncommented
from holdfast.keepalived.files import InMemory, Refusal
from holdfast.keepalived.parse import parse
from holdfast.keepalived.source import Source, encode
from holdfast.keepalived.tree import Configuration

SHOWN = 4  # placeholders that are shown of a template
MOST = 100_000  # placeholders of one file; they are bounded in length, so that endless lines take no time either
_BEGINS = ("{{", "{%", "{#", "<%", "${")
_PLACEHOLDER = re.compile(
    r"\{{2,3}-?[ \t]*(?P<name>[^{}\s0-9:][^{}\n]{0,300})\}{2,3}"
    r"|(?P<control>\{%[^{}\n]{0,300}%\}|\{\#[^{}\n]{0,300}\#\}|<%(?!=)[^<\n]{0,300}?%>)"
    r"|<%=[^<\n]{0,300}?%>"
    r"|\$\{(?P<variable>[A-Za-z_][A-Za-z0-9_]{0,100})(?P<shell>:?[-=?+][^{}\n]{0,300})?\}"
)
_CONTROL = re.compile(r"(if|else|end|range|with|template|define|block)\b|/|#|!")  # of Go and of Handlebars
_DEFINES = re.compile(r"^[ \t]*(?:@\S+[ \t]+)?(?:\$[A-Za-z_][A-Za-z0-9_]*=|~(?:SEQ|LST)\()", re.M)
_COMMAND = re.compile(r"[ \t]*(?:script|notify|quorum_|misc_path|vrrp_notify|lvs_notify)")
_OF_A_PROGRAM = re.compile(r"\.|json\b|range\b|if\b|index\b")  # what `docker inspect -f` and its like are given


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One place where a value, or a step of the template's own, was to be filled in; columns count from 1."""

    source: Source
    line: int
    begin: int
    end: int
    text: str


@dataclass(frozen=True)
class Template:
    """What is known for a template: the first placeholders that show it, and the lines of all, by file.

    `steps`: it has conditions or loops, so that one brace may close what stands there twice.
    """

    told: tuple[Placeholder, ...]
    lines: Mapping[str, Sequence[int]]
    steps: bool
    sources: Mapping[str, Source]

    @property
    def size(self) -> int:
        """Characters of all its files."""
        return sum(len(source.text) for source in self.sources.values())

    def within(self, file: str, first: int, last: int) -> bool:
        """Whether a placeholder stands on these lines, both included."""
        lines = self.lines.get(file, ())
        at = bisect_left(lines, first)
        return at < len(lines) and lines[at] <= last

    def filled(self, main: str, config_id: str) -> Configuration:
        """How it reads with a word of the same length for each placeholder; what is missed may come out of one."""
        texts = {name: _PLACEHOLDER.sub(_word, source.text) for name, source in self.sources.items()}
        read = parse(encode(texts.get(main, "")), main, files=_Filled(texts), config_id=config_id)
        read.complete = False
        return read


class _Filled:
    """The files as they are filled in, by the names that they were read by."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._names = {normpath(name): name for name in texts}
        self._files = InMemory({name: encode(text) for name, text in texts.items()})

    def match(self, pattern: str, folder: str) -> Sequence[str]:
        """Those of the files that are included."""
        return [self._names[name] for name in self._files.match(pattern, folder)]

    def read(self, name: str, most: int) -> bytes | Refusal:
        """One of them."""
        return self._files.read(name, most)


def template(sources: Mapping[str, Source], *, complete: bool) -> Template | None:
    """The template that these files are, if they are one; not `complete`: variables may be defined elsewhere."""
    suspected = [one for one in sources.values() if any(begin in one.text for begin in _BEGINS)]
    if not suspected:
        return None
    defines = not complete or any(_DEFINES.search(source.text) for source in sources.values())
    told: list[Placeholder] = []
    lines: dict[str, list[int]] = {}
    steps = False
    for source in suspected:
        mine = lines.setdefault(source.name, [])
        for place, found in _placeholders(source):
            if not mine or mine[-1] != place.line:
                mine.append(place.line)
            steps = steps or _is_step(found)
            new = not told or (told[-1].source, told[-1].line) != (source, place.line)
            if len(told) < SHOWN and new and _tells(place, found, defines=defines):
                told.append(place)
    return Template(tuple(told), lines, steps, sources) if told else None


def _placeholders(source: Source) -> Iterator[tuple[Placeholder, re.Match[str]]]:
    line, behind, begin = 1, 0, 0  # the line, how far was looked, and where the line begins
    for count, found in enumerate(_PLACEHOLDER.finditer(source.text)):
        if count >= MOST:
            return
        feeds = source.text.count("\n", behind, found.start())
        if feeds:
            line, begin = line + feeds, source.text.rfind("\n", behind, found.start()) + 1
        behind = found.start()
        first = found.start() - begin + 1
        yield Placeholder(source, line, first, first + len(found[0]) - 1, found[0]), found


def _is_step(found: re.Match[str]) -> bool:
    return bool(found["control"]) or bool(found["name"] and _CONTROL.match(found["name"]))


def _word(found: re.Match[str]) -> str:
    return (" " if _is_step(found) else "_") * len(found[0])


def _tells(place: Placeholder, found: re.Match[str], *, defines: bool) -> bool:
    """Whether it shows that the file is a template: no comment, nothing quoted, no variable, no word of a command."""
    text = place.source.line(place.line)
    before = text[: place.begin - 1]
    if before.count('"') % 2 or len(uncommented(text)[0]) < place.begin:
        return False
    command = _COMMAND.match(text) is not None
    if found["name"]:
        return not (command and _OF_A_PROGRAM.match(found["name"]))
    plain = found["variable"] and not found["shell"]
    return not (plain and (defines or command or found["variable"].startswith("_")))
