"""The last quarter of an hour of many figures, small: agents keep it all the time, controllers while somebody looks."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from math import isnan, nan

from .realtime import MOST_SERIES, POINTS, Bucket

WIDTH = 4  # figures of a point
Point = tuple[float | None, float | None, float | None, float | None]
_UNKNOWN: Point = (None, None, None, None)


class Ring:
    """By name a point for each bucket; what has no place among MOST_SERIES names is not kept."""

    def __init__(self) -> None:
        self._series: dict[str, array[float]] = {}
        self._numbers: array[int] = array("q", [-1]) * POINTS
        self.newest = -1

    def copy(self) -> Ring:
        """As it is now, for a thread that takes its time over it."""
        other = Ring()
        other._series = {name: series[:] for name, series in self._series.items()}
        other._numbers, other.newest = self._numbers[:], self.newest
        return other

    def add(self, number: int, values: Mapping[str, Point]) -> None:
        """A bucket. One that is older than all that are kept is dropped; so are series that nothing was said of."""
        if number <= self.newest - POINTS:
            return
        if self._numbers[number % POINTS] != number:
            self._clear(number % POINTS)
            self._numbers[number % POINTS] = number
        self.newest = max(self.newest, number)
        full = False
        for name, point in values.items():
            series = self._series.get(name)
            if series is None:
                # To look for room goes through all that is kept: once for each bucket, not for each name.
                full = full or (len(self._series) >= MOST_SERIES and not self._forget())
                if full:
                    continue
                series = self._series[name] = array("f", [nan]) * (POINTS * WIDTH)
            place = number % POINTS * WIDTH
            series[place : place + WIDTH] = array("f", [nan if one is None else one for one in point])

    def _clear(self, place: int) -> None:
        for series in self._series.values():
            series[place * WIDTH : (place + 1) * WIDTH] = array("f", [nan] * WIDTH)

    def _forget(self) -> bool:
        """Whether a series went of which nothing is known any more."""
        gone = [name for name, series in self._series.items() if all(map(isnan, series))]
        for name in gone:
            del self._series[name]
        return bool(gone)

    @property
    def numbers(self) -> list[int]:
        """The buckets that are kept, the oldest first."""
        return sorted(one for one in self._numbers if one > self.newest - POINTS and one >= 0)

    def of(self, name: str, last: int | None = None) -> tuple[Point, ...]:
        """POINTS points of a series, the newest last: up to the bucket `last`, or to the newest one."""
        last = self.newest if last is None else last
        series = self._series.get(name)
        if series is None:
            return (_UNKNOWN,) * POINTS
        return tuple(self._point(series, number) for number in range(last - POINTS + 1, last + 1))

    def _point(self, series: array[float], number: int) -> Point:
        if number < 0 or self._numbers[number % POINTS] != number:
            return _UNKNOWN
        place = number % POINTS * WIDTH
        first, second, third, fourth = (None if isnan(one) else one for one in series[place : place + WIDTH])
        return first, second, third, fourth

    def bucket(self, number: int) -> Bucket:
        """One of `numbers`, as it is told."""
        values = {name: self._point(series, number) for name, series in self._series.items()}
        return Bucket(number=number, values={name: short(one) for name, one in values.items() if one != _UNKNOWN})

    def take(self, buckets: Iterable[Bucket]) -> None:
        """What an agent told."""
        for one in buckets:
            self.add(one.number, one.values)


def short(point: Point) -> Point:
    """Four figures are enough for a picture."""
    first, second, third, fourth = (None if one is None else float(f"{one:.4g}") for one in point)
    return first, second, third, fourth
