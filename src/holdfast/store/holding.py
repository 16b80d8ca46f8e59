"""Named leases: at most one holder each, and a number that tells an old holder from a new one."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.errors import Conflict, LeaseLost, StoreDamaged

from .clock import Clock
from .collection import Collection, Versioned, do
from .models import Count, Holding, Record
from .port import Check, Engine

HOLDINGS = "holding/"  # a dump leaves these out: who held something then does not hold it now


class _Fence(Record):
    last: Count = 0


@dataclass(frozen=True, slots=True)
class Held:
    """A named lease that is ours while it is kept. `guard` makes a commit fail once it is not ours any more."""

    holding: Holding
    lease: int
    guard: Check


class Holdings:
    """Named leases of a store: for a leader, for whoever rolls out a cluster."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.present = Collection(engine, HOLDINGS, Holding)
        self._fences = Collection(engine, "fence/", _Fence)
        self._clock = clock

    async def holder(self, name: str) -> Versioned[Holding] | None:
        """Who holds a lease now, or None."""
        return await self.present.get(name)

    async def acquire(self, name: str, holder: str, ttl: int) -> Held | None:
        """Take a lease for `ttl` seconds after each keep; None if somebody holds it, we ourselves included."""
        if await self.present.get(name):
            return None
        last, fenced = await self._last(name)
        number = last + 1
        holding = Holding(name=name, holder=holder, fencing=number, since=self._clock.now())
        lease = await self.engine.grant(ttl)
        key = self.present.key(name)
        counting = self._fences.replacing(name, _Fence(last=number), fenced)
        try:
            version = await do(self.engine, [self.present.creating(name, holding, lease), counting])
        except (Conflict, LeaseLost):
            await self.engine.revoke(lease)
            return None
        return Held(holding, lease, Check(key, version))

    async def _last(self, name: str) -> tuple[int, int]:
        """The last holder's number, and the version of what says so.

        Where that is damaged, a number that nobody can have had: each holder took a commit, which raised the version.
        """
        try:
            fence = await self._fences.get(name)
        except StoreDamaged:
            version = await self._fences.version(name)
            return version, version
        return (fence.record.last, fence.version) if fence else (0, 0)

    async def keep(self, held: Held) -> None:
        """Hold on to it for its whole time again; LeaseLost if it is not ours any more: stop what it allowed."""
        await self.engine.keep(held.lease)

    async def release(self, held: Held) -> None:
        """Give it up now."""
        await self.engine.revoke(held.lease)
