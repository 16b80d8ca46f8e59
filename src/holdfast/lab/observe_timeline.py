"""Who carried an address, and who answered for it, as spans of time; and the arithmetic on such spans (all of it pure).

*Carries*: the node's kernel has the address on an interface (what `ip address` says). *Answers*: a MAC address answered
when the segment was asked for the address (what `tcpdump arp` sees). A node that is frozen or cut off may carry an
address for which it cannot answer: it is then carried, but not *reachable*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """`who` from `start` up to `end`, in seconds of the monotonic clock."""

    who: str
    start: float
    end: float

    @property
    def length(self) -> float:
        """Seconds."""
        return self.end - self.start


@dataclass(frozen=True)
class AddressTimeline:
    """Everything that was seen of one address. `reachable` is the part of `carried` on a link that was up."""

    address: str
    carried: tuple[Span, ...]
    reachable: tuple[Span, ...]
    answered: tuple[Span, ...]


def clip(spans: Iterable[Span], start: float, end: float) -> tuple[Span, ...]:
    """The parts of `spans` between two times."""
    cut = (Span(s.who, max(s.start, start), min(s.end, end)) for s in spans)
    return tuple(s for s in cut if s.end > s.start)


def who_at(spans: Iterable[Span], time: float) -> tuple[str, ...]:
    """Everybody who has a span at `time`, sorted."""
    return tuple(sorted({s.who for s in spans if s.start <= time < s.end}))


def overlaps(spans: Sequence[Span]) -> tuple[tuple[float, float], ...]:
    """The times at which two or more different ones had it at once, joined, in order."""
    edges = sorted({t for s in spans for t in (s.start, s.end)})
    found: list[tuple[float, float]] = []
    for start, end in pairwise(edges):
        if len({s.who for s in spans if s.start <= start and s.end >= end}) > 1:
            if found and found[-1][1] == start:
                found[-1] = (found[-1][0], end)
            else:
                found.append((start, end))
    return tuple(found)


def total(intervals: Iterable[tuple[float, float]]) -> float:
    """The length of intervals together, in seconds."""
    return sum(end - start for start, end in intervals)


def first_by_another(spans: Iterable[Span], before: Iterable[str], start: float, end: float) -> float | None:
    """When somebody who is not in `before` first has it, from `start` up to `end`; None if nobody does.

    Somebody else who has it at `start` already counts from `start`.
    """
    old = set(before)
    times = [max(s.start, start) for s in spans if s.who not in old and s.end > start and s.start < end]
    return min(times, default=None)


def timelines(
    events: Iterable[Event], addresses: Iterable[str], macs: Mapping[str, str], end: float
) -> dict[str, AddressTimeline]:
    """The timeline of each of `addresses` up to `end`. `macs` names the node behind a MAC address."""
    ordered = sorted(events, key=lambda e: float(e["t"]))
    carried = _Gather()
    linked = _Gather()
    answered = _Gather()
    for event in ordered:
        _take(event, carried, linked, answered, macs)
    for gather in (carried, linked, answered):
        gather.close_all(float(end))
    return {a: _timeline(a, carried, linked, answered) for a in addresses}


def _take(event: Event, carried: _Gather, linked: _Gather, answered: _Gather, macs: Mapping[str, str]) -> None:
    time, kind = float(event["t"]), event["kind"]
    if kind in ("add", "del"):
        key = (event["address"], event["node"], event["interface"])
        carried.set(key, time, on=kind == "add")
    elif kind == "link":
        linked.set((event["node"], event["interface"]), time, on=bool(event["up"]))
    elif kind == "gone":
        carried.close(time, lambda key: key[1] == event["node"])
        linked.close(time, lambda key: key[0] == event["node"])
    elif kind == "answers":
        now = {macs.get(mac, mac) for mac in event["macs"]}
        address = event["address"]
        answered.close(time, lambda key: key[0] == address and key[1] not in now)
        for who in now:
            answered.set((address, who), time, on=True)


class _Gather:
    """Turns on/off events by key into intervals."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, ...], float] = {}
        self.done: list[tuple[tuple[str, ...], float, float]] = []

    def set(self, key: tuple[str, ...], time: float, *, on: bool) -> None:
        if on:
            self._open.setdefault(key, time)
        elif key in self._open:
            self.done.append((key, self._open.pop(key), time))

    def close(self, time: float, which: Any) -> None:
        for key in [k for k in self._open if which(k)]:
            self.set(key, time, on=False)

    def close_all(self, time: float) -> None:
        self.close(time, lambda _: True)


def _timeline(address: str, carried: _Gather, linked: _Gather, answered: _Gather) -> AddressTimeline:
    mine = [(key, start, end) for key, start, end in carried.done if key[0] == address]
    links: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    for key, start, end in linked.done:
        links.setdefault(key, []).append((start, end))
    reachable = [
        Span(key[1], max(start, up), min(end, down))
        for key, start, end in mine
        for up, down in links.get((key[1], key[2]), [])
        if min(end, down) > max(start, up)
    ]
    return AddressTimeline(
        address,
        _sorted(Span(key[1], start, end) for key, start, end in mine),
        _sorted(reachable),
        _sorted(Span(key[1], start, end) for key, start, end in answered.done if key[0] == address),
    )


def _sorted(spans: Iterable[Span]) -> tuple[Span, ...]:
    return tuple(sorted((s for s in spans if s.end > s.start), key=lambda s: (s.start, s.end, s.who)))
