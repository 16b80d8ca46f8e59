"""How long after an override is written the kernel gives a server no new connections."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

from scripts.benches.figures import Bench, Figure

from holdfast.lab.vm.machine import Machine

TIMES, LIMIT_MS = 31, 50.0
_INSIDE = Path(__file__).with_name("inside_drain.py")
_TIMEOUT_S = 300.0


def measure(machine: Machine) -> tuple[Figure, ...]:
    """From the first byte written, synced and renamed as the agent does it, to weight 0 in the kernel's table."""
    argv = [sys.executable, str(_INSIDE), str(TIMES)]
    done = machine.run(["unshare", "--net", *argv], timeout=_TIMEOUT_S, check=True)
    times = sorted(json.loads(done.stdout.splitlines()[-1]))
    if len(times) != TIMES:
        raise RuntimeError(f"{len(times)} drains were timed, not {TIMES}")
    detail = f"{TIMES} drains through keepalived's track file: {times[0]:.0f} to {times[-1]:.0f} ms, no reload"
    return (Figure("drain to weight 0, median", statistics.median(times), LIMIT_MS, " ms", detail),)


BENCH = Bench("drain", measure)
