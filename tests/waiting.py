"""Waiting for what must come true, however slow the machine is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

GENEROUS_S = 60.0  # no promise: a processor may be given to a test half of the time, or not for seconds
# Less often in an emulated machine: there a look may take as long, and what skips waits has none to skip.
LOOK_EVERY_S = float(os.environ.get("HOLDFAST_LOOK_EVERY_S", "0.02"))


def comes_true(condition: Callable[[], bool], within_s: float = GENEROUS_S) -> bool:
    """Whether it does within so many seconds."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() >= deadline:
            return condition()
        time.sleep(LOOK_EVERY_S)
    return True


def wait_until(condition: Callable[[], bool], within_s: float = GENEROUS_S) -> None:
    """Fails when it does not come true within so many seconds."""
    assert comes_true(condition, within_s), f"{condition} did not come true within {within_s} s"


def has_ended(pid: int | str) -> bool:
    """Whether a process is gone, or only waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True
