"""The clock as a port: what time it is for people, and a time that never jumps for leases."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """Whoever decides something by time is handed one of these."""

    def now(self) -> datetime:
        """The time for people, in UTC. It may jump."""

    def steady(self) -> float:
        """Seconds since some moment. Never jumps, goes on while the machine sleeps, is the same in all processes."""

    def boot(self) -> str:
        """Changes when `steady` starts anew."""


class SystemClock:
    """This machine's clock."""

    def now(self) -> datetime:
        """The system's time, in UTC."""
        return datetime.now(UTC)

    def steady(self) -> float:
        """Seconds since the machine booted, sleep included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot(self) -> str:
        """The kernel's own name for this boot."""
        return _BOOT_ID.read_text(encoding="ascii").strip()
