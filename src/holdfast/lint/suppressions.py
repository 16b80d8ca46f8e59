"""Comments that silence a finding where it is meant: `# holdfast: ignore[VRRP101] why it is right here`.

At the end of a line it is for that line; on a line of its own, for the next line that is no comment. `ignore-file` is
for the whole file. Several ids are separated by commas; the beginning of an id (`VRRP`) stands for all that begin so.
The reason is required: a suppression without one silences nothing, and is a finding itself, as is one that has nothing
to silence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from holdfast.findings import Finding
from holdfast.keepalived.source import Source
from holdfast.sentences import Sentence, cut

from .engine import MOST, Remark
from .registry import chosen, rules
from .spec_findings import SPEC_FINDINGS
from .suppression_rules import LINT001, LINT002, LINT003

# No more than a rule's id each: lists of a megabyte would be searched from each of their signs.
_MARK = re.compile(r"\bholdfast:[ \t]*ignore(-file)?\b[ \t]*(\[[^\]\n]{0,1000}\])?")
_SIGN = re.compile(r"[#!]")
_OWN = ("LINT001", "LINT002", "LINT003")
_WHOLE = 0  # instead of a line: the whole file
_FURTHEST = 100  # comments below each other, behind which no line is meant any more
_LONGEST = 200  # characters of a reason, or of ids, that are kept

_Place = tuple[str, int]


@dataclass(slots=True)
class Suppression:
    """One comment: `target` is the line that it is for, 0 the whole file; `used` are its ids that silenced some."""

    source: Source
    line: int
    column: int
    ids: tuple[str, ...]
    reason: str
    target: int
    used: tuple[str, ...] = ()  # no set: there may be a million of these

    def covers(self, finding: Finding) -> bool:
        """Whether a finding lies where this comment is for, and is one of those meant."""
        where = finding.location
        if not self.reason or where is None or where.file != self.source.name or finding.code in _OWN:
            return False
        return self.target in (_WHOLE, where.line) and chosen(finding.code, self.ids)


def read(sources: Iterable[Source]) -> list[Suppression]:
    """All suppressions of these files."""
    return [one for source in sources if _MARK.search(source.text) for one in _of(source)]


def _of(source: Source) -> Iterator[Suppression]:
    """The first comment of each line that is one. No line is looked at twice: it may have megabytes."""
    text, following = source.text, _Following(source)
    line, begun, looked, done = 1, 0, 0, 0
    for mark in _MARK.finditer(text):
        if (feeds := text.count("\n", looked, mark.start())) > 0:
            line, begun = line + feeds, text.rfind("\n", looked, mark.start()) + 1
            looked = begun
        sign = _SIGN.search(text, looked, mark.start()) if done < line else None
        looked = mark.start()
        if sign is None:
            continue
        done = line
        alone = not text[begun : sign.start()].strip()
        reason = text[mark.end() : mark.end() + _LONGEST].partition("\n")[0].strip(" \t\r-:—")
        ids = tuple(one.strip() for one in (mark[2] or "").strip("[]").split(",") if one.strip())
        target = _WHOLE if mark[1] else following.after(line) if alone else line
        yield Suppression(source, line, sign.start() - begun + 1, ids, reason, target)


class _Following:
    """The next line that is more than a comment; each line is looked at once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._empty = range(0)  # lines that are known to be none

    def after(self, line: int) -> int:
        following = self._empty.stop if line + 1 in self._empty else line + 1
        while following <= line + _FURTHEST and self._says_nothing(following):
            following += 1
        self._empty = range(line + 1, following)
        return following if following <= line + _FURTHEST else line + 1

    def _says_nothing(self, line: int) -> bool:
        return self._source.line(line).lstrip()[:1] in ("", "#", "!")


def apply(remarks: Iterable[Remark], sources: Mapping[str, Source]) -> list[Remark]:
    """The remarks that nothing silences, and what is wrong with the suppressions themselves."""
    found = read(sources.values())
    if not found:
        return list(remarks)
    meant: dict[tuple[_Place, str], list[Suppression]] = {}
    for one in found:
        for id in one.ids if one.reason else ():
            meant.setdefault(((one.source.name, one.target), id.upper()), []).append(one)
    hit: set[tuple[_Place, str]] = set()
    kept: list[Remark] = []
    for remark in remarks:
        covering = [key for key in _keys(remark.finding) if key in meant]
        hit.update(covering)
        if not covering:
            kept.append(remark)
    for key in hit:
        for one in meant[key]:
            one.used += (key[1],)
    return sorted((*kept, *_judged(found)), key=lambda remark: remark.key)


def _keys(finding: Finding) -> Iterator[tuple[_Place, str]]:
    """By which places and ids a suppression may mean a finding."""
    where = finding.location
    if where is not None and finding.code not in _OWN:
        for line in (_WHOLE, where.line):
            for length in range(1, len(finding.code) + 1):
                yield (where.file, line), finding.code[:length]


def _judged(found: Iterable[Suppression]) -> Iterator[Remark]:
    known = {code[:length] for code in (*rules(), *SPEC_FINDINGS) for length in range(1, len(code) + 1)}
    told: Counter[str] = Counter()
    for one in found:
        for code, message in _mistakes(one, known.__contains__):
            told[code] += 1
            if told[code] <= MOST:
                yield _remark(code, one, message)


def _mistakes(one: Suppression, is_known: Callable[[str], bool]) -> Iterator[tuple[str, Sentence]]:
    if not one.ids:
        yield LINT003.id, Sentence("this suppression names no rule: it silences nothing")
        return
    if not one.reason:
        ids = cut(", ".join(one.ids), _LONGEST)
        yield LINT001.id, Sentence("this suppression of %(ids)s says no reason, so it silences nothing", ids=ids)
    for id in one.ids:
        if not is_known(id.upper()):
            yield LINT003.id, Sentence("there is no rule %(id)s", id=id)
        elif one.reason and id.upper() not in one.used:
            yield LINT002.id, Sentence("%(id)s is not found here: this suppression silences nothing", id=id)


def _remark(code: str, one: Suppression, message: Sentence) -> Remark:
    rule = rules()[code]
    where = one.source.location(one.line, one.column)
    finding = Finding(code=code, severity=rule.severity, message=message, hint=rule.hint, location=where)
    return Remark(finding, len(one.source.line(one.line)))
