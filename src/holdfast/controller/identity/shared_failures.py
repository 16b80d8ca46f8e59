"""Failed logins as all controllers of a store know them: who is slowed down at one is so at each, and after a restart.

A failure is written once it is one; what is under way at the same moment each controller counts for itself. Names are
kept as keyed digests alone: what somebody types for a name is a password at times.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from pydantic import AwareDatetime

from holdfast.errors import Conflict, StoreError
from holdfast.store.collection import Versioned
from holdfast.store.models import Name, Number, Record
from holdfast.store.store import Store

from .throttle import RULES, Counted, Failures, forgotten

_ATTEMPTS = 5
_OWN = ("pair", "marked")  # counters of one person at one place: a success ends them
MOST_WRITTEN = 10_000  # in an hour, by one controller: strangers do not fill the store; beyond it, it counts alone
_HOUR_S = 3600.0


class Failed(Record):
    """One counter: how often something failed, and when for the last time, by the clock of who wrote it."""

    kind: Name
    count: Number
    last: AwareDatetime


class SharedFailures:
    """Of a store. `key` is known to all of its controllers, and to nobody else."""

    def __init__(self, store: Store, key: bytes) -> None:
        self._store, self._key = store, key
        self._kept = store.collection("failed-login", Failed)
        self._written, self._since = 0, store.clock.steady()

    async def known(self, counted: Sequence[Counted]) -> Mapping[Counted, Failures]:
        """What is known of each, as of this controller's steady clock; without the store, nothing."""
        with suppress(StoreError):
            found = await asyncio.gather(*(self._kept.get(self._name(one)) for one in counted))
            there = [(one, await self._in_time(each)) for one, each in zip(counted, found, strict=True) if each]
            return {one: self._here(record) for one, record in there}
        return {}

    async def _in_time(self, found: Versioned[Failed]) -> Failed:
        """A clock that went back since: what failed in the future failed now, or people would wait until then."""
        now = self._store.clock.now()
        if found.record.last <= now:
            return found.record
        after = found.record.model_copy(update={"last": now})
        with suppress(StoreError):
            await self._kept.replace(found.name, after, found.version)
        return after

    async def failed(self, counted: Iterable[Counted]) -> None:
        """One more failure of each. That it cannot be written is no reason to answer otherwise."""
        await asyncio.gather(*(self._count(one) for one in counted))

    async def succeeded(self, counted: Iterable[Counted]) -> None:
        """What is counted of this person alone is forgotten."""
        for one in counted:
            with suppress(StoreError):
                if one[0] in _OWN and (found := await self._kept.get(self._name(one))) is not None:
                    await self._kept.delete(found.name, found.version)

    async def sweep(self) -> int:
        """Forget what counts no more; returns how many there were."""
        now, gone = self._store.clock.now(), 0
        for found in (await self._kept.sound())[0]:
            if self._is_over(found.record, now):
                with suppress(Conflict):  # somebody failed again at this moment
                    await self._kept.delete(found.name, found.version)
                    gone += 1
        return gone

    async def _count(self, one: Counted) -> None:
        name = self._name(one)
        with suppress(StoreError):
            for _ in range(_ATTEMPTS):
                found = await self._kept.get(name)
                if found is None and not self._may_add():
                    return
                try:
                    await self._kept.replace(name, self._more(one[0], found), found.version if found else 0)
                except Conflict:
                    continue
                return

    def _more(self, kind: str, found: Versioned[Failed] | None) -> Failed:
        now = self._store.clock.now()
        before = found.record.count if found and not self._is_over(found.record, now) else 0
        return Failed(kind=kind, count=before + 1, last=now)

    def _may_add(self) -> bool:
        now = self._store.clock.steady()
        if now - self._since >= _HOUR_S:
            self._written, self._since = 0, now
        self._written += 1
        return self._written <= MOST_WRITTEN

    def _here(self, record: Failed) -> Failures:
        ago_s = (self._store.clock.now() - record.last).total_seconds()
        return Failures(record.count, self._store.clock.steady() - ago_s)

    def _is_over(self, record: Failed, now: datetime) -> bool:
        rule = RULES.get(record.kind)
        return rule is None or forgotten(Failures(record.count, 0.0), rule, (now - record.last).total_seconds())

    def _name(self, one: Counted) -> str:
        return hmac.new(self._key, f"failed\n{one[0]}\n{one[1]}".encode(), hashlib.sha256).hexdigest()[:40]
