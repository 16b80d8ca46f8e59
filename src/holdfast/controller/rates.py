"""How many requests a caller may send: a bucket each, which fills with time; bounded memory, no clock of its own."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from .settings import Rate

MOST_BUCKETS = 50_000


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Rates:
    """The buckets. Those that were not touched for longest go first when there are too many: they are full again."""

    def __init__(self, most: int = MOST_BUCKETS) -> None:
        self._most = most
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, who: str, rate: Rate, now: float) -> float:
        """Take one; 0, or the seconds after which there will be one again."""
        bucket = self._buckets.get(who)
        if bucket is None:
            bucket = self._buckets[who] = _Bucket(rate.burst, now)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(who)
        bucket.left = min(rate.burst, bucket.left + max(0.0, now - bucket.at) * rate.per_second)
        bucket.at = now
        if bucket.left < 1:
            return (1 - bucket.left) / rate.per_second
        bucket.left -= 1
        return 0.0
