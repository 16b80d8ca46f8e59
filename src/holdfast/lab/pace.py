"""How fast this machine is, and what traffic it can bear: an emulated one must be asked less, or it measures itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from holdfast.lab.traffic_records import TargetListener, TrafficPlan

_LOOPS = 20_000
_USUAL_S = 0.0012  # what they take on an ordinary machine
SLOW = 3.0  # below, a machine is merely busy, and the usual traffic is asked
_AT_FULL_PACE = 160.0  # requests a second over all listeners that an ordinary machine bears with half of one core
# A planned move of a director holds new connections back for 3.1 s: a SYN of its first moment is sent again after 7 s.
_PATIENT_S = 12.0
_LEAST = 4.0  # a second and listener: fewer would not tell how long a gap was


def measured() -> float:
    """How many times slower than an ordinary machine this one is: the best of some attempts, 1.0 at least."""
    best = min(_one() for _ in range(5))
    return max(1.0, best / _USUAL_S)


def _one() -> float:
    began, total = time.perf_counter(), 0
    for number in range(_LOOPS):
        total += number * number % 7
    return time.perf_counter() - began


def suited_plan(pace: float, listeners: Sequence[TargetListener], *, directors: bool = False) -> TrafficPlan:
    """The traffic for a machine that is `pace` times slower than usual; users behind directors have more patience."""
    usual = TrafficPlan(timeout_s=_PATIENT_S) if directors else TrafficPlan()
    if pace < SLOW or not listeners:
        return usual
    new = max(_LEAST, _AT_FULL_PACE / pace / len(listeners))
    return replace(
        usual,
        new_per_second=min(usual.new_per_second, round(new, 1)),
        kept_per_second=min(usual.kept_per_second, round(new / 2, 1)),
        datagrams_per_second=min(usual.datagrams_per_second, round(new, 1)),
        slow_every=20,
    )
