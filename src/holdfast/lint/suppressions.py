"""Comments that silence a finding where it is meant: `# holdfast: ignore[VRRP101] why it is right here`.

At the end of a line it is for that line; on a line of its own, for the next line that is no comment. `ignore-file` is
for the whole file. Several ids are separated by commas; the beginning of an id (`VRRP`) stands for all that begin so.
The reason is required: a suppression without one silences nothing, and is a finding itself, as is one that has nothing
to silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from holdfast.findings import Finding
from holdfast.keepalived.source import Source
from holdfast.sentences import Sentence

from .engine import Remark
from .registry import chosen, rules
from .spec_findings import SPEC_FINDINGS
from .suppression_rules import LINT001, LINT002, LINT003

_COMMENT = re.compile(r"[#!].*?\bholdfast:[ \t]*ignore(-file)?\b[ \t]*(\[[^\]\n]*\])?[ \t]*([^\n]*)")
_MARK = re.compile(r"holdfast:[ \t]*ignore")
_OWN = ("LINT001", "LINT002", "LINT003")


@dataclass(slots=True)
class Suppression:
    """One comment: `lines` are those that it is for, None for the whole file; `used` is what it silenced."""

    source: Source
    line: int
    column: int
    ids: tuple[str, ...]
    reason: str
    lines: frozenset[int] | None
    used: set[str] = field(default_factory=set)

    def covers(self, finding: Finding) -> bool:
        """Whether a finding lies where this comment is for, and is one of those meant."""
        where = finding.location
        if not self.reason or where is None or where.file != self.source.name or finding.code in _OWN:
            return False
        return (self.lines is None or where.line in self.lines) and chosen(finding.code, self.ids)


def read(sources: Iterable[Source]) -> list[Suppression]:
    """All suppressions of these files."""
    return [one for source in sources if _MARK.search(source.text) for one in _of(source)]


def _of(source: Source) -> Iterable[Suppression]:
    line, counted = 1, 0
    for mark in _MARK.finditer(source.text):
        line, counted = line + source.text.count("\n", counted, mark.start()), mark.start()
        text = source.line(line)
        found = _COMMENT.search(text)
        if found is None:
            continue
        ids = tuple(one.strip() for one in (found[2] or "").strip("[]").split(",") if one.strip())
        reason = found[3].strip(" \t-:—")
        lines = None if found[1] else frozenset({_target(source, line) if not text[: found.start()].strip() else line})
        yield Suppression(source, line, found.start() + 1, ids, reason, lines)


def _target(source: Source, line: int) -> int:
    """The next line that is more than a comment."""
    following = line + 1
    while True:
        text = source.line(following).strip()
        if text and text[0] not in "#!":
            return following
        following += 1
        if following > line + 100:
            return line + 1


def apply(remarks: Iterable[Remark], sources: Mapping[str, Source]) -> list[Remark]:
    """The remarks that nothing silences, and what is wrong with the suppressions themselves."""
    found = read(sources.values())
    if not found:
        return list(remarks)
    kept: list[Remark] = []
    for remark in remarks:
        covering = [one for one in found if one.covers(remark.finding)]
        for one in covering:
            one.used.add(remark.finding.code)
        if not covering:
            kept.append(remark)
    return sorted((*kept, *_judged(found)), key=lambda remark: remark.key)


def _judged(found: Iterable[Suppression]) -> Iterable[Remark]:
    for one in found:
        if not one.ids:
            yield _remark(LINT003.id, one, Sentence("this suppression names no rule: it silences nothing"))
            continue
        if not one.reason:
            message = Sentence(
                "this suppression of %(ids)s says no reason, so it silences nothing", ids=", ".join(one.ids)
            )
            yield _remark(LINT001.id, one, message)
        for id in one.ids:
            if not any(chosen(known, (id,)) for known in (*rules(), *SPEC_FINDINGS)):
                yield _remark(LINT003.id, one, Sentence("there is no rule %(id)s", id=id))
            elif one.reason and not any(chosen(code, (id,)) for code in one.used):
                yield _remark(
                    LINT002.id, one, Sentence("%(id)s is not found here: this suppression silences nothing", id=id)
                )


def _remark(code: str, one: Suppression, message: Sentence) -> Remark:
    rule = rules()[code]
    where = one.source.location(one.line, one.column)
    finding = Finding(code=code, severity=rule.severity, message=message, hint=rule.hint, location=where)
    return Remark(finding, len(one.source.line(one.line)))
