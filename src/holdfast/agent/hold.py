"""Hold files: one number per VRRP group, which keepalived adds to the priority without a reload.

0: may hold; -254: gives it up (FAULT); between them: may hold, but does not preempt a holder that is better then.
"""

from __future__ import annotations

from pathlib import Path

from holdfast.agent.files import replace

MAY_HOLD = 0
GIVE_UP = -254  # measured: FAULT, the peer holds 0.1 s later, also without preemption; -100 does nothing there
_AT_MOST = 64


def stand_by(own_priority: int, holders_priority: int) -> int:
    """The number with which a node is next in line: just below the holder, never in FAULT, never above itself."""
    return max(GIVE_UP + 1, min(MAY_HOLD, holders_priority - 1 - own_priority))


def read_hold(path: Path) -> int:
    """The number in it; 0 for a file that is absent or holds anything else, as keepalived reads it."""
    try:
        with path.open("rb") as file:
            return int(file.read(_AT_MOST).strip() or b"0")
    except (FileNotFoundError, ValueError):
        return MAY_HOLD


def write_hold(path: Path, number: int) -> None:
    """Replace it in one step: keepalived's watch sees the rename (asked of 2.2.7); raises OSError."""
    replace(path, f"{number}\n".encode())
