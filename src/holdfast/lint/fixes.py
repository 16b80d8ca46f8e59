"""Mechanical and safe changes: what is wrong with the text goes, and what keepalived does stays the same.

A blank before a brace, a keyword's new name, words that keepalived ignores, the part of a password that it ignores, a
word in small letters that keepalived replaces by the same word in capitals. Two more are plainly meant, though they
change what keepalived reads: a byte order mark goes, and a no-break space becomes a plain one. All else that would
change the meaning is for the author to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from holdfast.findings import Finding, Severity
from holdfast.keepalived.files import Files
from holdfast.keepalived.keywords import tables
from holdfast.keepalived.parse import parse
from holdfast.keepalived.source import BOM, LONGEST_LINE, Source, width
from holdfast.keepalived.tree import Node

from .engine import Remark
from .rule import Edit

_GONE = frozenset({"nat_mask"})  # keywords that were taken out of keepalived: a line with one does nothing
_CAPITALS = {"state": "BACKUP", "lb_kind": "NAT"}  # what keepalived takes instead of a word that it does not know
# Outside of quotes and comments, where it may be meant.
_NO_BREAK = re.compile(r'"[^"]*(?:"|$)|[#!].*|([\u00a0\u2007\u202f])')
_STOPS = frozenset('#!"{}')


def edits(remarks: Iterable[Remark], sources: Mapping[str, Source]) -> list[Edit]:
    """The changes that these remarks allow, no two of which touch each other; later ones of a line come first."""
    of_line: dict[tuple[str, int], list[Edit]] = {}
    for remark in remarks:
        where = remark.finding.location
        if where is None or where.file not in sources or _is_long(sources[where.file].line(where.line)):
            continue
        for edit in remark.fix or _of_language(remark.finding, sources):
            others = of_line.setdefault((edit.file, edit.line), [])
            if not any(_touch(edit, other) for other in others):
                others.append(edit)
    found = (edit for edits in of_line.values() for edit in edits)
    return sorted(found, key=lambda edit: (edit.file, -edit.line, -edit.begin))


def _is_long(text: str) -> bool:
    """Whether keepalived reads a line in pieces: what a change would do to them is not mechanical."""
    return len(text) >= LONGEST_LINE // 4 and width(text) >= LONGEST_LINE


def _touch(one: Edit, other: Edit) -> bool:
    """Whether two changes of one line are of the same part of it."""
    return one.whole or other.whole or not (one.end < other.begin or other.end < one.begin)


def _of_language(finding: Finding, sources: Mapping[str, Source]) -> tuple[Edit, ...]:
    where = finding.location
    source = sources.get(where.file) if where is not None else None
    if where is None or source is None:
        return ()
    text = source.line(where.line)
    if finding.code == "KA035" and text.startswith(BOM):
        return (Edit(where.file, where.line, 1, len(BOM), "", meant=True),)
    if finding.code == "KA036":
        found = (one.start(1) + 1 for one in _NO_BREAK.finditer(text) if one[1])
        return tuple(Edit(where.file, where.line, column, column, " ", meant=True) for column in found)
    word = text[where.column - 1 :].split(maxsplit=1)[0] if text[where.column - 1 :].split() else ""
    if "$" in text or "~" in text or "@" in text:
        return ()  # what stands there is not what keepalived reads
    if finding.code == "KA010":
        return _renamed(where.file, where.line, where.column, word, finding.hint)
    if finding.code == "KA001" and word in _GONE and not set(text) & _STOPS:
        return (Edit(where.file, where.line, where.column, len(text), "", whole=True),)
    first = next(iter(text.split()), "")  # Python takes more signs than keepalived for spaces: there may be none
    if finding.code == "KA006" and word.upper() == _CAPITALS.get(first):
        return (Edit(where.file, where.line, where.column, where.column + len(word) - 1, word.upper()),)
    if finding.code == "KA004" and finding.hint.startswith("remove '"):
        return _without(where.file, where.line, where.column, text)
    return ()


def _renamed(file: str, line: int, column: int, word: str, hint: str) -> tuple[Edit, ...]:
    """The new name of a keyword, where a name is all that changed."""
    new = hint.removeprefix("write ").removesuffix(" instead")
    for table in tables().values():
        if word in table and table[word].deprecated == new:
            there = table.get(new)
            if there is not None and there.arguments == table[word].arguments:
                return (Edit(file, line, column, column + len(word) - 1, new),)
    return ()


def _without(file: str, line: int, column: int, text: str) -> tuple[Edit, ...]:
    """The line without the words from `column` on, up to a comment."""
    rest = text[column - 1 :]
    end = next((at for at, sign in enumerate(rest) if sign in _STOPS), len(rest))
    if end < len(rest) and rest[end] not in "#!":
        return ()
    ignored = rest[:end].rstrip()
    before = len(text[: column - 1].rstrip())
    return (Edit(file, line, before + 1, column - 1 + len(ignored), ""),) if ignored else ()


def changed(source: Source, made: Iterable[Edit]) -> str:
    """The text of a file with its changes; everything else stays as it is, sign by sign."""
    lines = source.text.split("\n")
    for edit in made:
        if edit.file != source.name or not 0 < edit.line <= len(lines):
            continue
        text = lines[edit.line - 1]
        text = text[: edit.begin - 1] + edit.text + text[max(edit.end, edit.begin - 1) :]
        lines[edit.line - 1] = "\0" if edit.whole and not text.strip() else text
    return "\n".join(line for line in lines if line != "\0")


def is_safe(source: Source, new: str, files: Files | None = None, made: Iterable[Edit] = ()) -> bool:
    """Whether keepalived reads the same statements as before, but for new names and for words that it ignored.

    Of the edits `made`, what is `meant` is done first: fewer errors must be left then.
    """
    meant = [edit for edit in made if edit.meant]
    base = changed(source, meant)
    before, after = (parse(text, source.name, files=files) for text in (base, new))
    if meant and _errors(before.findings) >= _errors(parse(source.text, source.name, files=files).findings):
        return False
    old, now = list(before.root.walk()), list(after.root.walk())
    return len(old) == len(now) and all(_alike(one, other) for one, other in zip(old, now, strict=True))


def _errors(findings: Iterable[Finding]) -> int:
    return sum(finding.severity is Severity.ERROR for finding in findings)


def _alike(one: Node, other: Node) -> bool:
    if one.words == other.words:
        return True
    if one.name == other.name and one.arg().upper() == other.arg() == _CAPITALS.get(one.name):
        return True
    if len(one.words) < len(other.words):
        return False
    keyword = one.keyword
    renamed = keyword is not None and keyword.deprecated == other.name
    if one.name != other.name and not renamed:
        return False
    return all(old == new or old.startswith(new) for old, new in zip(one.args, other.args, strict=False))
