"""What can be wrong with the language itself: stable codes, and the one place where they become findings."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.findings import Finding, Severity
from holdfast.sentences import Sentence

from .source import Source

MOST = 20_000  # findings of one reading; a file that has more is not a configuration


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of complaint: `title` says in a few words what it is about."""

    code: str
    severity: Severity
    title: str


_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

UNKNOWN = Code("KA001", _ERROR, "a keyword that keepalived does not know")
WRONG_PLACE = Code("KA002", _ERROR, "a keyword in a block that does not take it")
MISSING = Code("KA003", _ERROR, "a keyword without what must stand behind it")
TOO_MANY = Code("KA004", _WARNING, "words that keepalived ignores")
SWALLOWED = Code("KA005", _ERROR, "a second keyword on a line, which keepalived ignores")
INVALID = Code("KA006", _ERROR, "a value of the wrong kind")
RANGE = Code("KA007", _ERROR, "a number out of range")
REPEATED = Code("KA008", _WARNING, "a keyword twice in a block")
TWICE = Code("KA009", _ERROR, "two blocks with one name")
DEPRECATED = Code("KA010", _WARNING, "a keyword that is going away")
TOO_NEW = Code("KA011", _ERROR, "a keyword of a later release")
NEEDED = Code("KA012", _ERROR, "a block without what it cannot do without")
NOTHING = Code("KA013", _WARNING, "a list of nothing")
FAMILY = Code("KA014", _ERROR, "addresses of two families that must be one")
NOT_BUILT = Code("KA015", _WARNING, "a keyword that this build may lack")
STRAY_CLOSE = Code("KA020", _ERROR, "a closing brace too many")
UNCLOSED = Code("KA021", _ERROR, "a block that is not closed")
STRAY_OPEN = Code("KA022", _ERROR, "an opening brace that opens nothing")
NO_OPEN = Code("KA023", _ERROR, "a block without its opening brace")
HEADER = Code("KA024", _ERROR, "words before the brace of a list")
QUOTE = Code("KA030", _ERROR, "a quote that its line does not close")
SPLIT = Code("KA031", _WARNING, "a quote inside a word, which splits it")
GLUED = Code("KA032", _WARNING, "a comment that begins inside a word")
LONG = Code("KA033", _ERROR, "a line that keepalived reads in pieces")
BINARY = Code("KA034", _ERROR, "a byte that no configuration has")
BOM_FOUND = Code("KA035", _ERROR, "a byte order mark")
ODD_BLANK = Code("KA036", _ERROR, "a blank that keepalived takes for a letter")
CONTINUED = Code("KA037", _ERROR, "a backslash at the end of a line that continues nothing")
ODD_QUOTE = Code("KA038", _ERROR, "a quote that keepalived takes for a letter")
NO_MATCH = Code("KA040", _WARNING, "an include that matches no file")
LOOP = Code("KA041", _ERROR, "an include that includes itself")
UNREADABLE = Code("KA042", _ERROR, "an include that keepalived skips")
TOO_LARGE = Code("KA043", _ERROR, "more than is read")
NOT_FOLLOWED = Code("KA044", _INFO, "an include that was not followed")
UNDEFINED = Code("KA050", _WARNING, "a variable that is not defined")
SEQUENCE = Code("KA051", _ERROR, "a ~SEQ or ~LST that cannot be read")
EXPLOSION = Code("KA052", _ERROR, "variables or sequences that grow too large")
RANDOM = Code("KA053", _INFO, "a value that differs at each start")
UNENDED = Code("KA055", _INFO, "a last line without its end, of which keepalived tells as of the line before")
MISCOUNTED = Code("KA056", _INFO, "a line of which keepalived tells as of another")
SPILLED = Code("KA057", _WARNING, "a variable of several lines that an include carries on or cuts short")
TEMPLATE = Code("KA058", _ERROR, "a template that has not been filled in")
CONDITION = Code("KA054", _WARNING, "a condition without its host, or with nothing behind it")
MORE = Code("KA060", _WARNING, "more complaints than are shown")

CODES: tuple[Code, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Code))
AT_END = frozenset({NEEDED.code, NOTHING.code, FAMILY.code})  # told at the brace that ends a block, as keepalived does


class Complaints:
    """Collects findings, each once, and no more than `MOST`."""

    def __init__(self) -> None:
        self.found: list[Finding] = []
        self._seen: set[tuple[str, str, int, int, str]] = set()
        self.full = False

    def add(
        self, code: Code, source: Source, line: int, column: int, message: Sentence, hint: Sentence | None = None
    ) -> None:
        """Note one complaint; nothing if the very same one is there already, or there are too many."""
        key = (code.code, source.name, line, column, message)
        if self.full or key in self._seen:
            return
        if len(self.found) >= MOST:
            self.full = True
            code, hint = MORE, None
            message = Sentence("there are more than %(most)s complaints; the rest is not shown", most=MOST)
        self._seen.add(key)
        self.found.append(
            Finding(
                code=code.code,
                severity=code.severity,
                message=message,
                hint=hint or "",
                location=source.location(line, column),
            )
        )


def shown(word: str, most: int = 60) -> str:
    """A word as it may stand in a sentence: quoted, no longer than `most`, without control signs."""
    clean = "".join(sign if sign.isprintable() else _escaped(sign) for sign in word[: most + 1])
    return f"'{clean[:most]}…'" if len(word) > most else f"'{clean}'"


def _escaped(sign: str) -> str:
    """A control sign by its number; a byte that is no UTF-8 stands as a lone surrogate, and is shown as that byte."""
    number = ord(sign)
    return f"\\x{number & 0xFF if 0xDC80 <= number <= 0xDCFF else number:02x}"
