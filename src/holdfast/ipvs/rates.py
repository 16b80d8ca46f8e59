"""From two looks at a table to what happens per second. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from holdfast.ipvs.model import Counters, DestinationKey, Service, ServiceKey, Table

_K = TypeVar("_K", bound=Hashable)


class Rates(NamedTuple):
    """Per second, over the time between two looks."""

    connections: float
    in_packets: float
    out_packets: float
    in_bytes: float
    out_bytes: float


@dataclass(frozen=True)
class TableRates:
    """Rates of what stood in both tables, and None for what is new: what it counted before nobody knows."""

    seconds: float
    services: Mapping[ServiceKey, Rates | None]
    destinations: Mapping[tuple[ServiceKey, DestinationKey], Rates | None]


def rates_between(before: Table | None, after: Table) -> TableRates:
    """Rates from two looks at the table of one machine; all None where `before` is None, or not before."""
    seconds = after.monotonic_s - before.monotonic_s if before is not None else 0.0
    old = {service.key: service for service in before.services} if before is not None and seconds > 0 else {}
    services: dict[ServiceKey, Rates | None] = {}
    destinations: dict[tuple[ServiceKey, DestinationKey], Rates | None] = {}
    for service in after.services:
        key, was = service.key, old.get(service.key)
        services[key] = _rates(was.counters, service.counters, seconds) if was is not None else None
        destinations.update(_of_destinations(key, was, service, seconds))
    return TableRates(max(seconds, 0.0), services, destinations)


def _of_destinations(
    key: ServiceKey, was: Service | None, now: Service, seconds: float
) -> dict[tuple[ServiceKey, DestinationKey], Rates | None]:
    old = {destination.key: destination.counters for destination in was.destinations} if was is not None else {}
    found: dict[tuple[ServiceKey, DestinationKey], Rates | None] = {}
    for destination in now.destinations:
        counters = old.get(destination.key)
        found[key, destination.key] = _rates(counters, destination.counters, seconds) if counters is not None else None
    return found


def _rates(before: Counters, after: Counters, seconds: float) -> Rates:
    """Counters that went down were set to zero, or their entry was made anew: then they count from zero."""
    if any(new < old for old, new in zip(before, after, strict=True)):
        before = Counters(0, 0, 0, 0, 0)
    return Rates(*((new - old) / seconds for old, new in zip(before, after, strict=True)))


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
