"""What an import could not carry over, and what is compiled otherwise than it stood."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from holdfast.findings import Finding
from holdfast.keepalived import complaints
from holdfast.keepalived.check import PASSED_OVER
from holdfast.keepalived.complaints import shown
from holdfast.keepalived.tree import Node

_MOST = 20_000  # entries of each kind; a file that has more is not a configuration


class Left(BaseModel):
    """Something of a file that the spec does not hold: where it stands, what it is, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node: str
    file: str
    line: int
    what: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}: {self.reason}"


@dataclass
class Losses:
    """Collects both kinds, each entry once: `not_carried` makes an import incomplete, `differences` do not."""

    node: str
    not_carried: list[Left] = field(default_factory=list)
    differences: list[Left] = field(default_factory=list)
    _seen: set[Left] = field(default_factory=set)

    def lost(self, at: Node, reason: str) -> None:
        """A statement that means something, and that the spec cannot hold."""
        self._add(self.not_carried, self._left(at, reason))

    def ignored(self, at: Node, reason: str) -> None:
        """A statement that keepalived itself leaves out, so that nothing changes without it."""
        self._add(self.differences, self._left(at, reason))

    def skipped(self, at: Node, reason: str) -> None:
        """A line of a list that keepalived leaves out: what the reader said of its words does not matter."""
        left = self._left(at, reason)
        self.not_carried = [one for one in self.not_carried if (one.file, one.line) != (left.file, left.line)]
        self._add(self.differences, left)

    def differs(self, at: Node, reason: str) -> None:
        """Something that is compiled otherwise than it stood."""
        self._add(self.differences, self._left(at, reason))

    def of_reading(self, finding: Finding, text: str) -> None:
        """What the reader said of the file: harmless, or text whose meaning is not known."""
        where = finding.location
        if where is None or finding.code in _SILENT:
            return
        reason, unread = _message(finding, text), _is_unread(finding)
        if finding.code == complaints.UNKNOWN.code and _PROMPT.match(text):
            reason, unread = "a shell's prompt: a copy of a terminal; import the file itself, which may hold more", True
        left = Left(node=self.node, file=where.file, line=where.line, what=_shown(text), reason=reason)
        self._add(self.not_carried if unread else self.differences, left)

    def _left(self, at: Node, reason: str) -> Left:
        where = at.location()
        return Left(node=self.node, file=where.file, line=where.line, what=_shown(" ".join(at.words)), reason=reason)

    def _add(self, to: list[Left], left: Left) -> None:
        if left not in self._seen and len(to) < _MOST:
            self._seen.add(left)
            to.append(left)


def _message(finding: Finding, text: str) -> str:
    return finding.message if _shown(text) == shown(text) else f"{finding.code}, as `holdfast lint --explain` tells"


def _is_unread(finding: Finding) -> bool:
    if finding.code == complaints.NO_OPEN.code:  # keepalived reads a list from the next line on, as the reader does
        return not any(f" {name} " in finding.message for name in _LISTS)
    if finding.code == complaints.MISSING.code:
        return PASSED_OVER not in finding.message
    return finding.code in _UNREAD


def _shown(text: str) -> str:
    """A statement as a report quotes it: never a password."""
    keyword = text.split(maxsplit=1)[0] if text.strip() else ""
    secret = any(word in text for word in _SECRET_WORDS)
    return f"{shown(keyword)} (a password is not shown)" if secret else shown(text)


_PROMPT = re.compile(r"(?:[\w.-]+@[\w.-]+:\S*|\[[\w.-]+@[\w.-]+ \S+\]) ?[$#]")
_LISTS = ("track_interface", "track_script", "track_file", "track_process", "virtual_ipaddress", "unicast_peer")
_SECRET_WORDS = ("auth_pass", "password")
# What the reader finds odd but the tree holds all the same.
_SILENT = frozenset(
    code.code
    for code in (
        complaints.DEPRECATED,
        complaints.TOO_NEW,
        complaints.NOT_BUILT,
        complaints.NEEDED,
        complaints.FAMILY,
        complaints.GLUED,
        complaints.NOTHING,
        complaints.UNDEFINED,
        complaints.INVALID,
        complaints.RANGE,
        complaints.SPLIT,
        complaints.QUOTE,
        complaints.ODD_BLANK,
        complaints.CONTINUED,
        complaints.CONDITION,
        complaints.SPILLED,
    )
)
# Text that was not read, or of which keepalived makes something else on each machine or at each start.
_UNREAD = frozenset(
    code.code
    for code in (
        complaints.MISSING,
        complaints.BINARY,
        complaints.NO_MATCH,
        complaints.LOOP,
        complaints.UNREADABLE,
        complaints.TOO_LARGE,
        complaints.NOT_FOLLOWED,
        complaints.EXPLOSION,
        complaints.RANDOM,
        complaints.MORE,
        complaints.SEQUENCE,
    )
)


@dataclass
class Vault:
    """Passwords by the names that the spec has for them: one name a password, whoever uses it."""

    names: dict[str, str] = field(default_factory=dict)

    def name_of(self, password: str, wish: str) -> str:
        """The name of a password; `wish` says what it is for."""
        if password not in self.names:
            taken = set(self.names.values())
            name, count = wish, 1
            while name in taken:
                count += 1
                name = f"{wish}-{count}"
            self.names[password] = name
        return self.names[password]

    @property
    def secrets(self) -> Mapping[str, str]:
        """Name → password."""
        return {name: password for password, name in self.names.items()}
