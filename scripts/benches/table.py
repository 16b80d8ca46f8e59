"""How long a large table takes to read: over netlink in a process that has read it before, and with `ipvsadm -Ln`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from scripts.benches.figures import Bench, Figure

from holdfast.lab.vm.machine import Machine

SERVICES, SERVERS, ROUNDS = 1000, 10, 9
_INSIDE = Path(__file__).with_name("inside_table.py")
_TIMEOUT_S = 600.0


def measure(machine: Machine) -> tuple[Figure, ...]:
    """Both in turn, `ROUNDS` times in one run, in one network namespace; the figure is the ratio of the medians."""
    argv = [sys.executable, str(_INSIDE), str(SERVICES), str(SERVERS), str(ROUNDS)]
    done = machine.run(["unshare", "--net", *argv], timeout=_TIMEOUT_S, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    ours, theirs = found["netlink_s"], found["ipvsadm_s"]
    if (found["services"], found["destinations"]) != (SERVICES, SERVICES * SERVERS):
        raise RuntimeError(f"the table was not read whole: {found}")
    return (
        Figure(
            f"read {SERVICES} × {SERVERS} over netlink, as a part of ipvsadm -Ln",
            ours["median"] / theirs["median"],
            1.0,
            "",
            f"netlink {_range(ours)}, ipvsadm {_range(theirs)}; filled with ipvsadm -R, no traffic; {ROUNDS} rounds",
        ),
    )


def _range(found: dict[str, float]) -> str:
    return f"{found['median'] * 1000:.0f} ms ({found['least'] * 1000:.0f} to {found['most'] * 1000:.0f})"


BENCH = Bench("table", measure)
