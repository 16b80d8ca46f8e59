"""Which differences stand, since when, and which are put right: pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from holdfast.protocol import Drift, DriftKind
from holdfast.protocol.desired import LONGEST_DETAIL
from holdfast.sentences import cut, said_of

# What may be on its way when it is seen: a service that is started again, addresses that come or go one by one.
_PASSING = frozenset({DriftKind.SERVICE, DriftKind.ADDRESS, DriftKind.TABLE})
_SURE_AFTER = 2  # looks in a row
_AT_MOST = 500
_LONGEST_NAME = 300
_DIFFS_AT_MOST = 60_000  # characters of all diffs together
_TOLD_FOR = timedelta(minutes=2)  # after it was put right
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)

Key = tuple[DriftKind, str]


@dataclass(frozen=True)
class Seen:
    """One difference, as a look found it."""

    kind: DriftKind
    what: str
    detail: str = ""
    diff: str = ""

    @property
    def key(self) -> Key:
        """What makes it the same one in the next look."""
        return (self.kind, self.what)


@dataclass(frozen=True)
class _Entry:
    seen: Seen
    since: datetime
    looks: int = 1

    @property
    def sure(self) -> bool:
        return self.seen.kind not in _PASSING or self.looks >= _SURE_AFTER

    def drift(self, corrected: bool = False) -> Drift:
        seen = self.seen
        return Drift(
            kind=seen.kind,
            what=seen.what[:_LONGEST_NAME],
            what_said=said_of(cut(seen.what, _LONGEST_NAME)),
            detail=seen.detail[:LONGEST_DETAIL],
            said=said_of(cut(seen.detail, LONGEST_DETAIL)),
            diff=seen.diff,
            since=self.since,
            corrected=corrected,
        )


@dataclass(frozen=True)
class Ledger:
    """What stood at the last look, and what was put right a short while ago."""

    entries: Mapping[Key, _Entry] = field(default_factory=dict)
    mended: Mapping[Key, tuple[_Entry, datetime]] = field(default_factory=dict)
    attempts: int = 0
    not_before: datetime | None = None

    def after(self, found: Iterable[Seen], now: datetime) -> Ledger:
        """After another look."""
        entries: dict[Key, _Entry] = {}
        for seen in found:
            known = self.entries.get(seen.key)
            if len(entries) < _AT_MOST:
                entries[seen.key] = _Entry(seen, known.since, known.looks + 1) if known else _Entry(seen, now)
        mended = {
            key: (entry, at)
            for key, (entry, at) in self.mended.items()
            if key not in entries and timedelta() <= now - at < _TOLD_FOR
        }
        waited = self.attempts if entries else 0
        return replace(self, entries=entries, mended=mended, attempts=waited)

    @property
    def drifts(self) -> tuple[Drift, ...]:
        """What is told: what stands for certain, and what was put right just now."""
        standing = [entry.drift() for entry in self.entries.values() if entry.sure]
        return _bounded((*standing, *(entry.drift(corrected=True) for entry, _ in self.mended.values())))

    def to_correct(self, allowed: Collection[str], now: datetime) -> frozenset[DriftKind]:
        """The kinds to put right now; empty: nothing, or not all that stands may be.

        The applier brings the whole node to what it should be or leaves it: where one difference has to stay for a
        person to look at, the others stay with it.
        """
        kinds = frozenset(entry.seen.kind for entry in self.entries.values())
        sure = all(entry.sure for entry in self.entries.values())
        in_time = self.not_before is None or now >= self.not_before or self.not_before - now > _LONGEST_WAIT
        return kinds if sure and in_time and all(kind.value in allowed for kind in kinds) else frozenset()

    def corrected(self, well: bool, now: datetime) -> Ledger:
        """After an attempt to put right. One that fails is repeated, each time later."""
        if well:
            return Ledger(mended={key: (entry, now) for key, entry in self.entries.items()})
        wait = min(_FIRST_WAIT * 2 ** min(self.attempts, 10), _LONGEST_WAIT)
        return replace(self, attempts=self.attempts + 1, not_before=now + wait)


def _bounded(drifts: Iterable[Drift]) -> tuple[Drift, ...]:
    """A report is read by people: a hundred files that all changed are named, and the first of them shown."""
    left = _DIFFS_AT_MOST
    found = []
    for each in drifts:
        left -= len(each.diff)
        found.append(each if left >= 0 or not each.diff else each.model_copy(update={"diff": "# not shown here\n"}))
    return tuple(found)
