"""Reads files line by line as keepalived 2.2 and 2.3 do, and hands out statements: words, and single braces.

What happens to a line, in keepalived's own order: the comment goes; `@` drops it or not; `$NAME=` defines a variable;
`~SEQ` and `~LST` multiply it; variables are replaced; `include` reads a file; braces split what is left. Whatever is
odd on the way is noted and reading goes on. Time and memory are bounded, whatever the input.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import TypeAlias

from holdfast.sentences import Sentence

from . import complaints
from .comments import uncommented
from .complaints import Complaints, shown
from .files import Files, Nowhere, Refusal, folder_of
from .odd_signs import odd_signs
from .plain import CLOSE, MOST_KNOWN, OPEN, Plain, plain_words
from .quotes import CLOSE_IT, UNCLOSED, quoted_words
from .sequences import Sequence, brackets, sequence
from .source import BOM, LONGEST_LINE, Source, buffered, decode, width
from .tree import Configuration, Origin
from .variables import DEFINITION, Variable, Variables

MOST_BYTES = 50 * 1024 * 1024  # of all files together: 50 MB, whichever way they are counted
MOST_EXPANDED = 300_000  # lines that come out of variables and sequences
MOST_LINES = 2_500_000  # of one file: as many as 50 MiB of an ordinary one have
MOST_INCLUDES = 10_000  # and files that they name
DEEPEST = 32  # includes, or variables within variables

# Words, line, offset in that line, file, and where the text came from if it was not this line.
Statement: TypeAlias = tuple[tuple[str, ...], int, int, Source, Origin | None]

_BLANK = re.compile(r"[ \t\r\v\f]+")
_BRACE = re.compile(r'[{}]|"[^"]*(?:"|$)')
_INCLUDE = re.compile(r"include[rmwba]?[ \t\r\v\f]+")
_UNDEFINED = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*[^}\s]*\}")


class Statements:
    """One reading of a file and all that it includes."""

    def __init__(
        self, files: Files, config_id: str, into: Configuration, notes: Complaints, folder: str | None = None
    ) -> None:
        self._files = files
        self._folder = folder
        self._id = config_id
        self._into = into
        self._notes = notes
        self._variables = Variables(config_id)
        self._defining: Variable | None = None
        self._including: list[str] = []
        self._bytes = self._expanded = self._depth = self._includes = 0
        self._unfollowed = False

    def read(self, source: Source) -> Iterator[Statement]:
        """All statements of `source`, and of what it includes."""
        self._into.sources.setdefault(source.name, source)
        self._bytes += width(source.text)
        if self._bytes > MOST_BYTES:
            self._into.complete = False
            most = f"{MOST_BYTES:,}"
            message = Sentence(
                "the files have more than 50 MiB (%(most)s bytes) together; from here on nothing is read", most=most
            )
            self._note(complaints.TOO_LARGE, source, 1, message)
            return
        self._including.append(source.name)
        yield from self._lines(source)
        self._including.pop()

    def _note(
        self,
        code: complaints.Code,
        source: Source,
        line: int,
        message: Sentence,
        hint: Sentence | None = None,
        at: int = -1,
    ) -> None:
        if self._notes.full:
            return
        if at < 0:
            text = source.line(line)
            at = len(text) - len(text.lstrip())
        self._notes.add(code, source, line, at + 1, message, hint)

    def _lines(self, source: Source) -> Iterator[Statement]:
        known: dict[str, Plain] = {}
        for number, raw in enumerate(source.each_line(), 1):
            same = known.get(raw) if self._defining is None and number <= MOST_LINES else None
            if same is not None:
                yield same[0], number, same[1], source, None
                if same[2]:
                    yield OPEN, number, same[2], source, None
                continue
            text = raw.strip(" \t\r")
            if not text:
                self._defining = None
                continue
            if number > MOST_LINES:
                self._too_much(source, number)
                return
            first = text[0]
            if self._defining is not None or (len(raw) >= LONGEST_LINE // 4 and width(raw) >= LONGEST_LINE):
                pass
            elif first in "#!":
                if text[-1] != "\\" and "\0" not in text:
                    continue
            elif first != "i" or not text.startswith("include"):
                plain = plain_words(raw, text)
                if plain is not None:
                    if len(known) < MOST_KNOWN:
                        known[raw] = plain
                    yield plain[0], number, plain[1], source, None
                    if plain[2]:
                        yield OPEN, number, plain[2], source, None
                    continue
            yield from self._line(raw, number, source)

    def _too_much(self, source: Source, number: int) -> None:
        self._into.complete = False
        message = Sentence("there are more than %(most)s lines; the rest is not read", most=f"{MOST_LINES:,}")
        self._note(complaints.TOO_LARGE, source, number, message)

    def _line(self, raw: str, number: int, source: Source) -> Iterator[Statement]:
        """One line of a file that is more than words."""
        if number == 1 and raw.startswith(BOM):
            hint = Sentence("save the file as UTF-8 without a byte order mark (BOM)")
            message = Sentence(
                "the file begins with a byte order mark, which keepalived takes for a part of the first keyword"
            )
            self._note(complaints.BOM_FOUND, source, 1, message, hint, 0)
        if "\0" in raw:
            message = Sentence("a NUL byte: keepalived ignores the rest of the line")
            self._note(complaints.BINARY, source, number, message, at=raw.index("\0"))
        pieces = buffered(raw)
        if len(pieces) > 1:
            message = Sentence(
                "the line has more than %(most)s bytes: keepalived takes each piece for a line of its own",
                most=LONGEST_LINE - 1,
            )
            self._note(complaints.LONG, source, number, message, Sentence("write it on several lines, or shorten it"))
        for piece, start in pieces:
            text, begin = self._plain(piece, number, source, start)
            if not text:
                self._defining = None  # a comment, too: it is an empty line of the copy that most of it is read from
            elif self._defining is not None:
                self._define(text, number, source)
            else:
                yield from self._process(text, number, begin, source, None)

    def _plain(self, raw: str, number: int, source: Source, offset: int) -> tuple[str, int]:
        """`raw` without its comment and outer blanks, and the offset where that begins."""
        stripped = raw.lstrip(" \t")
        begin = offset + len(raw) - len(stripped)
        text, quoted, continued = uncommented(stripped)
        if "\\" in stripped and (again := uncommented(text)[0]) != text:
            # Its processes read a copy that the first of them made, in which the backslash is gone already.
            message = Sentence("behind this backslash a comment begins after all, but for global_defs")
            hint = Sentence('put the word in "quotes"')
            self._note(complaints.GLUED, source, number, message, hint, offset + raw.find("\\"))
            text = again
        if quoted:
            at = offset + raw.find('"')
            self._note(complaints.QUOTE, source, number, UNCLOSED, CLOSE_IT, at)
        if (
            text
            and text[-1] not in ' \t{}"'
            and stripped[len(text) : len(text) + 1] in ("!", "#")
            and stripped.startswith(text)
        ):
            word = shown(_BLANK.split(text)[-1])
            message = Sentence("a comment begins inside a word: only %(word)s is left of it", word=word)
            hint = Sentence('put the word in "quotes", or a blank before the comment')
            self._note(complaints.GLUED, source, number, message, hint, begin + len(text))
        return text.rstrip(" \t") + ("\\" if continued else ""), begin

    def _define(self, text: str, number: int, source: Source) -> None:
        """One more line of a variable of several lines, which may be one of another file; an include is the last."""
        variable = self._defining
        if variable is None:
            return
        included = _INCLUDE.match(text) is not None  # left out of the copy that most of it is read from
        if source is not variable.source:
            hint = Sentence("end that file with an empty line")
            self._note(complaints.SPILLED, source, number, variable.spilled(), hint)
        elif included and text.endswith("\\"):
            hint = Sentence("write what stands behind it into another variable")
            self._note(complaints.SPILLED, source, number, variable.cut_short(), hint)
        if text.endswith("\\") and not included:
            text = text[:-1].rstrip(" \t")
        else:
            text = text.removesuffix("\\").rstrip(" \t") if included else text
            self._defining = None
        if text:
            variable.body.append((text, number))

    def _process(self, text: str, number: int, at: int, source: Source, origin: Origin | None) -> Iterator[Statement]:
        """One line, from a file or from a variable: everything but its comment is still to be done."""
        settled = False  # whether no variable of this line is left to replace
        while text:
            kept = self._condition(text, number, at, source)
            at, text = at + len(text) - len(kept), kept
            if not text:
                return
            if text[0] == "$" and DEFINITION.match(text):
                begun = self._variables.begin(text, source, origin.line if origin else number)
                self._defining = begun if begun and begun.multiline and origin is None else None
                return
            if text[0] == "~" and text.startswith(("~SEQ", "~LST")):
                yield from self._sequence(text, number, at, source, origin)
                return
            if "$" in text and text[0] != "~" and not settled:
                replaced = self._variables.replace(text, self._folder or folder_of(source.name))
                self._check_replaced(replaced.grew, replaced.random, number, at, source)
                if replaced.text != text or replaced.rest:
                    text, _, _ = uncommented(replaced.text.strip(" \t"))
                    text, origin = text.rstrip(" \t"), origin or replaced.origin
                    if replaced.rest:
                        yield from self._body(text, replaced.rest, number, at, source)
                        return
                    if text[:1] in ("@", "~") or DEFINITION.match(text):
                        continue
                settled = True
            if text[:1] == "i" and (include := _INCLUDE.match(text)):
                yield from self._include(text[include.end() :].strip(" \t"), number, at, source)
                return
            if settled and "${" in text and origin is None and (unknown := _UNDEFINED.search(text)):
                message = Sentence(
                    "%(name)s is not defined: keepalived leaves it as it stands, and its braces open and close",
                    name=unknown[0],
                )
                self._note(complaints.UNDEFINED, source, number, message, at=at + unknown.start())
            text, at = yield from self._first(text, number, at, source, origin)

    def _condition(self, text: str, number: int, at: int, source: Source) -> str:
        """What is left behind `@host` and `@^host`: empty where the line is not for this host."""
        if text[:1] != "@":
            return text
        end = min((at for at in (text.find(" "), text.find("\t")) if at >= 0), default=len(text))
        negated = text.startswith("@^")
        host = text[2 if negated else 1 : end]
        if host:
            self._into.conditions.add(host)
        elif end < len(text):
            counts = Sentence("the line counts for all hosts") if negated else Sentence("no host reads the line")
            message = Sentence("no host is named behind the %(sign)s: %(counts)s", sign=text[:end], counts=counts)
            self._note(complaints.CONDITION, source, number, message, at=at)
        if end == len(text):
            message = Sentence(
                "nothing stands behind the condition %(condition)s: keepalived ignores the line", condition=shown(text)
            )
            self._note(complaints.CONDITION, source, number, message, at=at)
            return ""
        meant = bool(self._id) and host == self._id
        return "" if meant == negated else text[end:].lstrip(" \t")

    def _check_replaced(self, grew: bool, random: bool, number: int, at: int, source: Source) -> None:
        if grew:
            message = Sentence("the variables of this line grow without an end, or beyond the longest line")
            self._note(complaints.EXPLOSION, source, number, message, Sentence("does a variable contain itself?"), at)
        if random:
            message = Sentence("${_RANDOM} has another value at each start; the lowest is assumed here")
            self._note(complaints.RANDOM, source, number, message, at=at)

    def _body(
        self, first: str, variables: tuple[Variable, ...], number: int, at: int, source: Source
    ) -> Iterator[Statement]:
        """The lines of a variable of several; its first one may stand behind other words, or be such a variable."""
        lines: list[tuple[str, Origin | None]] = [(first, variables[0].origin())]
        for variable in variables:
            lines += [(text, variable.origin(index)) for index, (text, _) in enumerate(variable.body) if index]
        yield from self._repeat(lines, number, at, source)

    def _repeat(
        self, lines: list[tuple[str, Origin | None]], number: int, at: int, source: Source
    ) -> Iterator[Statement]:
        self._depth += 1
        for text, origin in lines:
            self._expanded += 1
            if self._depth > DEEPEST or self._expanded > MOST_EXPANDED:
                self._into.complete = False
                message = Sentence(
                    "variables and sequences make more than %(n)s lines; the rest is not read", n=MOST_EXPANDED
                )
                if self._depth > DEEPEST:
                    message = Sentence(
                        "variables and sequences make more than %(n)s levels; the rest is not read", n=DEEPEST
                    )
                self._note(complaints.EXPLOSION, source, number, message, at=at)
                break
            yield from self._process(text, number, at, source, origin)
        self._depth -= 1

    def _sequence(self, text: str, number: int, at: int, source: Source, origin: Origin | None) -> Iterator[Statement]:
        numbers = brackets(text)
        if "$" in numbers:
            numbers = self._variables.replace(numbers, "").text
        made = sequence(text, numbers)
        if not isinstance(made, Sequence):
            message = Sentence("%(text)s %(wrong)s", text=shown(text), wrong=made)
            self._note(complaints.SEQUENCE, source, number, message, at=at)
            return
        origin = origin or Origin(", ".join(made.names), source, number)
        for values in made:
            for name, value in zip(made.names, values, strict=True):
                self._variables.set(name, value, source, number)
            yield from self._repeat([(made.text, origin)], number, at, source)
            if self._expanded > MOST_EXPANDED:
                return

    def _include(self, pattern: str, number: int, at: int, source: Source) -> Iterator[Statement]:
        if self._includes >= MOST_INCLUDES:
            message = Sentence("there are more than %(most)s includes; the rest is not followed", most=MOST_INCLUDES)
            if not self._unfollowed:
                self._note(complaints.TOO_LARGE, source, number, message, at=at)
            self._into.complete, self._unfollowed = False, True
            return
        if isinstance(self._files, Nowhere):
            self._into.complete = False
            message = Sentence("%(pattern)s was not read", pattern=shown(pattern))
            self._note(complaints.NOT_FOLLOWED, source, number, message, at=at)
            return
        names = self._files.match(pattern, folder_of(source.name))
        if isinstance(names, Refusal):
            self._into.complete = False
            message = Sentence(
                "%(pattern)s %(reason)s; it is not followed", pattern=shown(pattern), reason=names.reason
            )
            self._note(complaints.TOO_LARGE, source, number, message, at=at)
            return
        self._includes += max(1, len(names))
        if not names:
            self._into.complete = False
            message = Sentence("no file matches %(pattern)s", pattern=shown(pattern))
            hint = Sentence("write the name of a file that exists; a missing file is no error to keepalived")
            if '"' in pattern or "'" in pattern:
                hint = Sentence("write the name without quotes: keepalived takes them for a part of it")
            self._note(complaints.NO_MATCH, source, number, message, hint, at)
        for name in names:
            if name in self._including or len(self._including) >= DEEPEST:
                self._into.complete = False
                message = Sentence(
                    "%(name)s is being read already: keepalived would include it for ever", name=shown(name)
                )
                self._note(complaints.LOOP, source, number, message, Sentence("remove one of the includes"), at)
                continue
            content = self._files.read(name, MOST_BYTES - self._bytes)
            if isinstance(content, Refusal):
                self._into.complete = False
                message = Sentence("%(name)s %(reason)s", name=shown(name), reason=content.reason)
                self._note(complaints.UNREADABLE, source, number, message, at=at)
            else:
                yield from self.read(Source(name, decode(content)))

    def _first(
        self, text: str, number: int, at: int, source: Source, origin: Origin | None
    ) -> Generator[Statement, None, tuple[str, int]]:
        """Hand out the statement or the brace that `text` begins with; returns what is left, and where it begins."""
        brace = next((found for found in _BRACE.finditer(text) if found[0] in "{}"), None)
        if brace is not None and brace.start() == 0:
            yield (OPEN if text[0] == "{" else CLOSE), number, at, source, origin
            rest = text[1:]
        else:
            end = len(text) if brace is None else brace.start()
            words = self._words(text[:end], number, at, source, origin)
            if words:
                yield words, number, at, source, origin
            rest = text[end:]
        left = rest.lstrip(" \t")
        return left.rstrip(" \t"), at + len(text) - len(left)

    def _words(self, text: str, number: int, at: int, source: Source, origin: Origin | None) -> tuple[str, ...]:
        for code, message, hint, offset in odd_signs(text):
            self._note(code, source, number, message, hint, at + offset)
        if '"' not in text:
            plain = text.strip(" \t\r\v\f")
            return tuple(_BLANK.split(plain)) if plain else ()
        words, wrong = quoted_words(text, told=not self._notes.full)
        for code, message, hint, offset in wrong:
            self._note(code, source, number, message, hint, at + offset)
        return words
