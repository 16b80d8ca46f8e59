"""Builds the tree of a configuration from its statements, with keepalived's own idea of what opens and closes what."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.findings import Severity
from holdfast.sentences import Sentence

from . import complaints
from .check import Checker
from .complaints import Complaints, shown
from .files import Files, Nowhere, OnDisk, Refusal
from .garbage import uncollected
from .keywords import OLDEST, Keyword, Listed, Table, tables
from .numbering import told_as
from .source import Source, decode
from .statements import MOST_BYTES, Statement, Statements
from .tree import Configuration, Node

MOST_STATEMENTS = 1_000_000  # three times what 4,000 virtual servers with ten real servers each have
MISCOUNTING = frozenset((complaints.BINARY.code, complaints.LONG.code))  # behind these, keepalived counts other lines
_OPENS_NOTHING = Sentence("this { belongs to no block: keepalived ignores it")
_CLOSES_NOTHING = Sentence("this } closes nothing: no block is open here")
_ONE_TOO_MANY = Sentence("remove it, or the } too many before it")


def parse(
    text: str | bytes,
    name: str = "keepalived.conf",
    *,
    files: Files | None = None,
    config_id: str = "",
    version: tuple[int, ...] = OLDEST,
    folder: str | None = None,
) -> Configuration:
    """What keepalived of `version` understands of `text` on the host `config_id`; raises nothing, whatever the text.

    `name` is how findings call the file, and where relative includes count from. Includes are read through `files`;
    without it none is followed. With no `config_id`, lines for some host (`@host`) are left out, those for all hosts
    but one (`@^host`) count. `folder` is what `${_PWD}` stands for, where that is not the folder of the file read.
    """
    source = Source(name, decode(text) if isinstance(text, bytes) else text)
    notes = Complaints()
    into = Configuration(root=Node((), source, 1), findings=notes.found)
    statements = Statements(files or Nowhere(), config_id, into, notes, folder)
    builder = _Builder(into.root, Checker(notes, version), notes)
    with uncollected():
        for count, statement in enumerate(statements.read(source)):
            if count >= MOST_STATEMENTS:
                into.complete = False
                most = f"{MOST_STATEMENTS:,}"
                message = Sentence("there are more than %(most)s statements; the rest is not read", most=most)
                notes.add(complaints.TOO_LARGE, statement[3], statement[1], 1, message)
                break
            builder.take(statement)
    builder.finish(source)
    _miscounted(into, notes)
    return into


def _miscounted(into: Configuration, notes: Complaints) -> None:
    """Where keepalived counts other lines than there are, its complaints are of others than what they are about."""
    said = [(one.location.file, one.location.line, one.code in MISCOUNTING) for one in notes.found if one.location]
    places = {(file, line) for file, line, _ in said}
    for name in sorted({file for file, _, odd in said if odd}):
        source = into.sources[name]
        for line, called in told_as(source, {line for file, line, odd in said if file == name and not odd}):
            if (name, called) not in places:
                places.add((name, called))
                notes.add(complaints.MISCOUNTED, source, called, 1, miscounted(line))


def load(
    path: str | Path, *, config_id: str = "", version: tuple[int, ...] = OLDEST, folder: str | None = None
) -> Configuration:
    """`parse` of a file on disk and of all that it includes; a file that cannot be read is a finding, not an error."""
    name = os.fspath(path)
    content = OnDisk().read(name, MOST_BYTES)
    if isinstance(content, Refusal):
        notes = Complaints()
        source = Source(name, "")
        message = Sentence("%(name)s %(reason)s", name=shown(name), reason=content.reason)
        notes.add(complaints.UNREADABLE, source, 1, 1, message)
        return Configuration(root=Node((), source, 1), findings=notes.found, complete=False)
    return parse(content, name, files=OnDisk(), config_id=config_id, version=version, folder=folder)


def miscounted(line: int) -> Sentence:
    """What is said of a line by whose number keepalived calls `line`."""
    return Sentence(
        "keepalived tells of line %(line)s as of this one: NUL bytes and too long lines make it count others", line=line
    )


def _node(statement: Statement) -> Node:
    words, line, start, source, origin = statement
    return Node(words, source, line, start, origin)


@dataclass(slots=True)
class _Frame:
    """A block that is open."""

    node: Node
    name: str
    table: Table
    listed: Listed | None
    waiting: bool  # for its opening brace
    seen: dict[str, Node] = field(default_factory=dict)
    ends_two: bool = False  # whether its closing brace is also that of the block around it


class _Bystander:
    """The processes of keepalived that leave a kind of block to another: they skip it by its braces.

    Where an opening brace is missing, they leave the block too early, read the rest of it as if it stood outside, and
    complain.
    """

    def __init__(self, checker: Checker, depth: int) -> None:
        self._checker = checker
        self._root = tables()["root"]
        self._skip = depth  # braces that are open around the one that is missing

    def take(self, statement: Statement) -> None:
        words, line, start, source, origin = statement
        first = words[0]
        if self._skip < 0:
            self._skip = 1 if first == "{" else 0
            if self._skip:
                return
        if self._skip:
            self._skip += (first == "{") - (first == "}")
            return
        node = Node(words, source, line, start, origin)
        keyword = self._root.get(first)
        if keyword is not None:
            self._checker.enough(node, keyword)
            self._skip = -1
            return
        if first == "{":
            self._checker.note(complaints.STRAY_OPEN, node, _OPENS_NOTHING)
        elif first == "}":
            self._checker.note(complaints.STRAY_CLOSE, node, _CLOSES_NOTHING, _ONE_TOO_MANY)
        else:
            self._checker.unknown(node, self._root, "root")


class _Builder:
    def __init__(self, root: Node, checker: Checker, notes: Complaints) -> None:
        self._tables = tables()
        self._checker = checker
        self._notes = notes
        self._top = _Frame(root, "root", self._tables["root"], None, False)
        self._frames = [self._top]
        self._closed: tuple[Node, Statement] | None = (
            None  # the block that the brace just before closed, and that brace
        )
        self._together: dict[str, dict[str, Node]] = {}  # kind of block that is one with all others of it → `seen`
        self._skip = 0  # how many blocks deep in what is left out; -1: waiting for its opening brace
        self._bystander: _Bystander | None = None  # only where an outer brace is missing

    def take(self, statement: Statement) -> None:
        """One statement, or one brace."""
        words = statement[0]
        first = words[0]
        if self._bystander is not None:
            self._bystander.take(statement)
        if self._skip and self._skipped(first):
            return
        frame = self._top
        if first == "{" or first == "}":
            self._closed = None
            if self._brace(statement, frame):
                return
        elif frame.waiting:
            self._unopened(statement, frame)
        if frame.listed is not None:
            node = Node(words, statement[3], statement[1], statement[2], statement[4])
            frame.node.take(node)
            self._checker.listed(node, frame.listed, frame.name)
        else:
            self._keyword(statement, frame)

    def _skipped(self, first: str) -> bool:
        if self._skip < 0:
            self._skip = 1 if first == "{" else 0
            return self._skip == 1
        self._skip += (first == "{") - (first == "}")
        return True

    def _brace(self, statement: Statement, frame: _Frame) -> bool:
        """Whether a brace was all that it took; else it is a line of a list, or stray."""
        words, line, start, source, origin = statement
        if words[0] == "{":
            if frame.waiting:
                frame.waiting = False
                return True
            if frame.listed is None:
                node = Node(words, source, line, start, origin)
                self._checker.note(complaints.STRAY_OPEN, node, _OPENS_NOTHING)
                return True
            return False
        if len(self._frames) == 1:
            node = Node(words, source, line, start, origin)
            self._checker.note(complaints.STRAY_CLOSE, node, _CLOSES_NOTHING, _ONE_TOO_MANY)
            return True
        if frame.waiting:
            self._unopened(statement, frame)
        self._close(statement)
        return True

    def _unopened(self, statement: Statement, frame: _Frame) -> None:
        """A block goes on, or ends, that was not opened: from here on some processes read something else."""
        frame.waiting = False
        words, line, start, source, origin = statement
        node = Node(words, source, line, start, origin)
        message = Sentence("the { of %(block)s is missing before this", block=frame.name)
        self._checker.note(complaints.NO_OPEN, node, message, Sentence("write {"))
        if self._bystander is None:
            self._bystander = _Bystander(self._checker, len(self._frames) - 2)
            self._bystander.take(statement)

    def _keyword(self, statement: Statement, frame: _Frame) -> None:
        words, line, start, source, origin = statement
        name = words[0]
        keyword = frame.table.get(name)
        node = Node(words, source, line, start, origin, keyword)
        closed, self._closed = self._closed, None
        if keyword is None:
            inner = closed[0].keyword if closed is not None else None
            if closed is not None and inner is not None and name in self._tables.get(inner.block, {}):
                self._checker.early(closed[0], _node(closed[1]), node)
            self._checker.unknown(node, frame.table, frame.name)
            return
        if words not in keyword.sound:
            self._checker.statement(node, keyword, frame.table)
        counts = True
        if keyword.named or (keyword.repeat != "many" and frame.seen.setdefault(name, node) is not node):
            counts = self._counts(node, keyword, frame)
            if self._skip:
                return
        if counts:
            frame.node.take(node)
        if keyword.block or keyword.listed is not None:
            table = self._tables.get(keyword.block, {})
            seen = self._together.setdefault(name, {}) if keyword.again == "one" else {}
            # Behind a second list of what is listed once, keepalived takes the block around it for closed (measured).
            again = keyword.listed is not None and keyword.repeat == "first" and frame.seen.get(name) is not node
            self._top = _Frame(node, name, table, keyword.listed, True, seen, again)
            self._frames.append(self._top)

    def _counts(self, node: Node, keyword: Keyword, frame: _Frame) -> bool:
        """Whether a statement of a kind that counts once does; a second block of one name does not, and is left out."""
        key = keyword.name if not keyword.named else f"{keyword.name} {node.arg()}"
        if keyword.named and len(node.words) < 2:
            self._skip = -1
            return False
        before = frame.seen.setdefault(key, node)
        if before is node or (not keyword.arguments and not keyword.block and keyword.listed is None):
            return True
        self._checker.twice(node, keyword, before)
        if keyword.named:
            self._skip = 0 if keyword.again == "read" else -1
            return False
        if keyword.repeat != "first":
            frame.seen[key] = node
        return True

    def _close(self, statement: Statement) -> None:
        frame = self._frames.pop()
        self._top = self._frames[-1]
        frame.node.end = statement[1]
        self._closed = (frame.node, statement)
        if self._checker.judges(frame.node, self._top.node):
            self._checker.closed(frame.node, _node(statement), self._top.node)
        if frame.ends_two:
            self._close(statement)

    def finish(self, source: Source) -> None:
        """Blocks that are open at the end, if it was reached."""
        cut = any(one.code == complaints.TOO_LARGE.code for one in self._notes.found)
        for frame in () if cut else self._frames[1:]:
            head = frame.node
            block = shown(" ".join(head.words))
            message = Sentence("%(block)s is not closed: what follows it is read as a part of it", block=block)
            self._checker.note(complaints.UNCLOSED, head, message, Sentence("add the missing }"))
        self._last_line(source)

    def _last_line(self, source: Source) -> None:
        """Of a last line without a line feed, keepalived's first process names the line before: it counts feeds."""
        last = source.text.count("\n") + 1
        if last == 1 or source.text.endswith("\n"):
            return
        told = (one.location for one in self._notes.found if one.severity is Severity.ERROR)
        if any(where is not None and (where.file, where.line) == (source.name, last) for where in told):
            message = Sentence(
                "keepalived tells of line %(line)s as of this one: that line has no line feed behind it", line=last
            )
            node = Node((source.line(last - 1).strip() or "line",), source, last - 1)
            self._checker.note(complaints.UNENDED, node, message, Sentence("end the last line of the file"))
