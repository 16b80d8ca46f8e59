"""From two looks at a table to what happens per second. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from holdfast.ipvs.model import Counters, DestinationKey, ServiceKey, Table

_K = TypeVar("_K", bound=Hashable)


# The kernel brings the counters of a table up to date once in so many seconds, also those that ipvsadm prints
# (net/netfilter/ipvs/ip_vs_est.c). In between they stand still, whatever is forwarded.
REFRESH_S = 2.0
_STILL_S = 1.5 * REFRESH_S  # an update must have come by then: nothing was forwarded


class Rates(NamedTuple):
    """Per second."""

    connections: float
    in_packets: float
    out_packets: float
    in_bytes: float
    out_bytes: float


_NOTHING = Rates(0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class TableRates:
    """Rates of what stands in a table, and None for what is new: what it counted before nobody knows.

    `seconds` are those since the look before.
    """

    seconds: float
    services: Mapping[ServiceKey, Rates | None]
    destinations: Mapping[tuple[ServiceKey, DestinationKey], Rates | None]


def _rates(before: Counters, after: Counters, seconds: float) -> Rates:
    """Counters that went down were set to zero, or their entry was made anew: then they count from zero."""
    if any(new < old for old, new in zip(before, after, strict=True)):
        before = Counters(0, 0, 0, 0, 0)
    return Rates(*((new - old) / seconds for old, new in zip(before, after, strict=True)))


class _Seen(NamedTuple):
    """What was counted, since when it has been so much, and the rate at which it came to that; None: not known yet."""

    counters: Counters
    since: float
    rates: Rates | None


class Meter:
    """Rates of a table that is looked at again and again, also more often than the kernel counts.

    What a look finds counted has come in the time since the look before, or in REFRESH_S where that is longer. A rate
    stands until the kernel must have counted again.
    """

    def __init__(self) -> None:
        self._at: float | None = None
        self._services: dict[ServiceKey, _Seen] = {}
        self._destinations: dict[tuple[ServiceKey, DestinationKey], _Seen] = {}

    def take(self, table: Table) -> TableRates:
        """The rates with this look, the next one; all None at the first, and where it is not later than the last."""
        now = table.monotonic_s
        seconds = now - self._at if self._at is not None else 0.0
        if seconds <= 0:
            self._services, self._destinations, seconds = {}, {}, 0.0
        self._at = now
        old = self._destinations
        self._services = {
            one.key: _next(self._services.get(one.key), one.counters, now, seconds) for one in table.services
        }
        self._destinations = {
            both: _next(old.get(both), each.counters, now, seconds)
            for one in table.services
            for each in one.destinations
            for both in ((one.key, each.key),)
        }
        return TableRates(
            seconds,
            {key: seen.rates for key, seen in self._services.items()},
            {key: seen.rates for key, seen in self._destinations.items()},
        )


def _next(before: _Seen | None, counters: Counters, now: float, seconds: float) -> _Seen:
    if before is None:
        return _Seen(counters, now, None)
    if counters != before.counters:
        return _Seen(counters, now, _rates(before.counters, counters, max(seconds, REFRESH_S)))
    if now - before.since < _STILL_S:
        return before
    return before._replace(rates=_NOTHING)


@dataclass
class History(Generic[_K]):
    """The last `length` figures of each thing, for sparklines; forgets what is no longer there."""

    length: int
    _rings: dict[_K, deque[float]] = field(default_factory=dict)

    def add(self, figures: Mapping[_K, float | None]) -> None:
        """One figure for each; None is one that is not known yet, and is left out."""
        for gone in self._rings.keys() - figures.keys():
            del self._rings[gone]
        for key, figure in figures.items():
            ring = self._rings.setdefault(key, deque(maxlen=self.length))
            if figure is not None:
                ring.append(figure)

    def of(self, key: _K) -> tuple[float, ...]:
        """The figures of one thing, the newest last."""
        return tuple(self._rings.get(key, ()))
