"""How long to wait before a service that died is started again: pure."""

from __future__ import annotations

FIRST_S = 1.0
LONGEST_S = 30.0
GOOD_RUN_S = 60.0  # having run this long forgives what was before


def next_delay_s(previous_s: float, ran_s: float) -> float:
    """Seconds until the next start; `previous_s` is the wait before the run that ended, 0 for the first."""
    if previous_s <= 0 or ran_s >= GOOD_RUN_S:
        return FIRST_S
    return min(max(previous_s * 2, FIRST_S), LONGEST_S)
