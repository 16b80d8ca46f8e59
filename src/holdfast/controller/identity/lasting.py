"""The time by which sessions and tokens last: the machine's, but it never jumps.

A clock that is put right, or wrong, by an hour must not throw everybody out, nor make an expired token good again. So
what the clock says is approached: forwards at twice the pace, backwards by going a tenth slower, and never back. One
that was wrong by more than a day was never right: then what it says now counts at once.
"""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta

from holdfast.store.clock import Clock

AT_ONCE_S = 2.0  # forwards: no jump that anybody notices
LARGEST_S = 86_400.0
SLOWER = 0.1  # of the time that passes, while it waits for the clock
_TOLD_FROM_S = 60.0
_log = logging.getLogger(__name__)


class Lasting:
    """Of one controller. It begins with what the clock says."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now, self._steady = clock.now(), clock.steady()
        self._told = False
        self._one = threading.Lock()

    def now(self) -> datetime:
        """The time by which something has ended or has not."""
        with self._one:
            steady, wall = self._clock.steady(), self._clock.now()
            passed_s = max(0.0, steady - self._steady)
            ahead_s = (wall - self._now).total_seconds() - passed_s
            self._tell(ahead_s)
            self._now = wall if abs(ahead_s) > LARGEST_S else self._now + timedelta(seconds=step_s(passed_s, ahead_s))
            self._steady = steady
            return self._now

    def _tell(self, ahead_s: float) -> None:
        if abs(ahead_s) < _TOLD_FROM_S:
            self._told = False
        elif not self._told:
            self._told = True
            _log.warning(
                "this machine's clock jumped by %.0f s: sessions and tokens last as if it had not; is its time right?",
                ahead_s,
            )


def step_s(passed_s: float, ahead_s: float) -> float:
    """How far the time goes on while `passed_s` seconds pass, where the clock is ahead (or, below 0, behind)."""
    if ahead_s >= 0:
        return passed_s + (ahead_s if ahead_s <= AT_ONCE_S else min(ahead_s, passed_s))
    return passed_s - min(-ahead_s, SLOWER * passed_s)
