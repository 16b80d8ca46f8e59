"""Variables of keepalived.conf: definitions of one line and of many, and how their names are replaced in a line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from holdfast.sentences import Sentence

from .complaints import shown
from .source import Source
from .tree import Origin

MOST_IN_ALL = 1_000_000  # replacements of one reading
MOST_REPLACEMENTS = 100  # in one line; keepalived itself would turn for ever on `$A=${A}`
LONGEST = 1_023  # bytes of a line once its variables are replaced; the same limit as for lines of a file
DEFINITION = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)=[ \t]*")  # a blank before the sign makes it a keyword
_USE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)((?: +[0-9]+)*) *\}|([A-Za-z_][A-Za-z0-9_]*)(?=[ \t,)]|$))")


@dataclass(slots=True)
class Variable:
    """`body` holds the lines of its value, each with the line of the file that it stands on."""

    name: str
    source: Source
    line: int
    body: list[tuple[str, int]] = field(default_factory=list)
    multiline: bool = False
    random: bool = False

    def origin(self, index: int = 0) -> Origin:
        """Where line `index` of the body stands."""
        return Origin(self.name, self.source, self.body[index][1] if index < len(self.body) else self.line)

    def spilled(self) -> Sentence:
        """What is said of a line of it that stands in another file than its first one."""
        begun = Sentence("%(file)s, line %(line)s", file=shown(self.source.name), line=self.line)
        return Sentence(
            "this line is one more of $%(name)s, which another file began: %(begun)s", name=self.name, begun=begun
        )

    def cut_short(self) -> Sentence:
        """What is said of an include that ends it."""
        return Sentence(
            "$%(name)s ends at this include: the lines behind it are none of the variable's", name=self.name
        )


@dataclass(frozen=True, slots=True)
class Replaced:
    """A line with its variables replaced; `rest` are those of many lines whose first one ends it, the inner first."""

    text: str
    origin: Origin | None
    rest: tuple[Variable, ...]
    random: bool
    grew: bool  # whether a limit ended the replacing


class Variables:
    """The definitions so far; later ones replace earlier ones."""

    def __init__(self, config_id: str) -> None:
        self._known: dict[str, Variable] = {}
        self._left = MOST_IN_ALL
        nowhere = Source("", "")
        built_in = {"_INSTANCE": config_id, "_HASH": "#", "_BANG": "!", "_RANDOM": "0", "_PWD": ""}
        for name, value in built_in.items():
            self._known[name] = Variable(name, nowhere, 0, [(value, 0)], random=name == "_RANDOM")

    def set(self, name: str, value: str, source: Source, line: int) -> None:
        """Give a variable a value of one line."""
        self._known[name] = Variable(name, source, line, [(value, line)])

    def begin(self, text: str, source: Source, line: int) -> Variable | None:
        """The variable that `text` defines, if it is a definition; one of many lines wants the next ones too."""
        found = DEFINITION.match(text)
        if found is None:
            return None
        value = text[found.end() :]
        variable = Variable(found[1], source, line)
        if value.endswith("\\"):
            variable.multiline = True
            value = value[:-1].rstrip(" \t")
        if value or not variable.multiline:
            variable.body.append((value, line))
        self._known[variable.name] = variable
        return variable

    def replace(self, text: str, folder: str) -> Replaced:
        """`text` with every variable in it replaced, and those in the values too, from the left."""
        position, origin, random = 0, None, False
        rest: tuple[Variable, ...] = ()
        for _ in range(MOST_REPLACEMENTS):
            found = _USE.search(text, position)
            if found is None:
                return Replaced(text, origin, rest, random, False)
            variable = self._usable(found, text)
            if variable is None:
                position = found.start() + 1
                continue
            self._left -= 1
            if self._left < 0:
                break
            value = variable.body[0][0] if variable.body else ""
            if variable.name == "_PWD":
                value = folder
            elif variable.random:
                random, value = True, (found[2] or " 0").split()[0]
            origin = variable.origin() if variable.line else origin
            rest = (variable, *rest) if variable.multiline else rest
            text = text[: found.start()] + value + text[found.end() :]
            position = found.start()
            if len(text) > LONGEST:
                break
            if value.lstrip(" \t").startswith("~"):
                return Replaced(text, origin, rest, random, False)
        return Replaced(text[:LONGEST], origin, rest, random, True)

    def _usable(self, found: re.Match[str], text: str) -> Variable | None:
        """The variable meant; one of many lines must end its line, and only `_RANDOM` takes numbers."""
        variable = self._known.get(found[1] or found[3])
        if variable is None or (found[2] and not variable.random):
            return None
        return None if variable.multiline and found.end() < len(text) else variable
