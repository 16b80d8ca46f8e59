"""What keeps the clock of a machine that has its own from running away; in the guest, beside everything else there.

Where all programs wait, QEMU sets such a clock forward to the next timer. The owner's files are waited for, too: they
take a moment of the owner's time, in which nothing would be left of a timeout of seconds. With a timer so often, time
passes ten times faster than the owner's at most.
"""

from __future__ import annotations

import os
import time
from typing import NoReturn

EVERY_S = 0.0005


def main() -> NoReturn:
    """Wake up, and sleep again; what else is to be done comes first."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while True:
        time.sleep(EVERY_S)
