"""Unified diffs as pages show them: numbered lines, each with its sign, and in them what really differs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from holdfast.protocol.api.plans import FileDiff

MOST_LINES = 3000  # of one difference: what is longer is for the command line
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_LONGEST_COMPARED = 2000  # characters of a line

Kind = Literal["add", "del", "same", "hunk", "note"]
_KINDS: dict[str, Kind] = {"+": "add", "-": "del", " ": "same"}
SIGNS: dict[Kind, str] = {"add": "+", "del": "−", "same": " ", "hunk": "⋯", "note": "·"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line with its numbers before and after; `changed` is the part between `head` and `tail` that differs."""

    kind: Kind
    head: str
    changed: str = ""
    tail: str = ""
    old: int | None = None
    new: int | None = None

    @property
    def sign(self) -> str:
        """What it is, for those who do not see its colour."""
        return SIGNS[self.kind]


@dataclass(frozen=True, slots=True)
class Diff:
    """A difference. `left_out` lines are not shown."""

    lines: tuple[Line, ...] = ()
    added: int = 0
    removed: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class File:
    """A file that differs."""

    path: str
    kind: str
    diff: Diff


def diff_of(text: str) -> Diff:
    """A unified diff, read; the names above its first part are left out, as a page says them elsewhere."""
    raw = _without_names(text.splitlines())
    lines: list[Line] = []
    old = new = 0
    for line in raw[:MOST_LINES]:
        found = _HUNK.match(line)
        if found:
            old, new = int(found[1]), int(found[2])
            lines.append(Line("hunk", line))
            continue
        kind = _KINDS.get(line[:1]) if line else "same"
        if kind is None:
            lines.append(Line("note", line.removeprefix("\\").removeprefix("#").strip()))
            continue
        lines.append(Line(kind, line[1:], old=None if kind == "add" else old, new=None if kind == "del" else new))
        old, new = old + (kind != "add"), new + (kind != "del")
    added, removed = (sum(line.startswith(sign) for line in raw) for sign in "+-")
    return Diff(tuple(_compared(lines)), added, removed, max(0, len(raw) - MOST_LINES))


def _without_names(raw: Sequence[str]) -> list[str]:
    """What stands after the first `@@` is content, even where it looks like a name: a comment that began with `--`."""
    first = next((at for at, line in enumerate(raw) if _HUNK.match(line)), len(raw))
    return [line for line in raw[:first] if not line.startswith(("--- ", "+++ "))] + list(raw[first:])


def files_of(files: Iterable[FileDiff]) -> tuple[File, ...]:
    """Files that differ."""
    return tuple(File(one.path, one.kind, diff_of(one.diff)) for one in files)


def _compared(lines: Sequence[Line]) -> list[Line]:
    """As many lines removed as added, right after each other, are the same lines changed: in them, what differs."""
    found = list(lines)
    at = 0
    while at < len(found):
        removed = _run(found, at, "del")
        added = _run(found, at + removed, "add")
        if removed and removed == added:
            for one in range(at, at + removed):
                found[one], found[one + removed] = _pair(found[one], found[one + removed])
        at += max(1, removed + added)
    return found


def _run(lines: Sequence[Line], at: int, kind: Kind) -> int:
    end = at
    while end < len(lines) and lines[end].kind == kind:
        end += 1
    return end - at


def _pair(old: Line, new: Line) -> tuple[Line, Line]:
    one, other = old.head, new.head
    if max(len(one), len(other)) > _LONGEST_COMPARED:
        return old, new
    shortest = min(len(one), len(other))
    start = next((at for at in range(shortest) if one[at] != other[at]), shortest)
    end = next((at for at in range(shortest - start) if one[-1 - at] != other[-1 - at]), shortest - start)
    if start + end < shortest // 3:  # nothing in common that would help
        return old, new
    return _cut(old, start, end), _cut(new, start, end)


def _cut(line: Line, start: int, end: int) -> Line:
    text, until = line.head, len(line.head) - end
    return replace(line, head=text[:start], changed=text[start:until], tail=text[until:])
