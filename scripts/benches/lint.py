"""How long a large keepalived.conf takes to lint, compared with keepalived itself, and how much memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.benches.figures import Bench, Figure
from scripts.benches.language import LARGE, SMALL, TIMES, configuration, cpu_of, keepalived

from holdfast.lab.vm.machine import Machine

MOST_OF_KEEPALIVED, MOST_MB, MOST_GROWTH = 10.0, 400.0, 6.0
_TIMEOUT_S = 120.0
# In a process of its own, for its memory; the time is that of reading and of all rules.
_INSIDE = r"""
import json, re, sys, time
from holdfast.lint import engine
engine.examine([engine.read(sys.argv[1])])  # reads the tables, and warms up
times = []
for _ in range(int(sys.argv[2])):
    began = time.process_time()
    found = engine.examine([engine.read(sys.argv[1])])
    times.append(time.process_time() - began)
    assert not [one for one in found if one.finding.severity == "error"]
# Not getrusage: that remembers what the process was before it became this program, a copy of the one that started it.
peak = int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1])
print(json.dumps([min(times), peak / 1000]))
"""


def _linted(path: Path, times: int) -> tuple[float, float]:
    """Seconds of CPU of the fastest reading with all rules, and the memory of the process in MB."""
    argv = [sys.executable, "-c", _INSIDE, str(path), str(times)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
    seconds, megabytes = json.loads(done.stdout)
    return seconds, megabytes


def _commanded(path: Path, times: int) -> float:
    """Seconds of CPU of the fastest `holdfast lint FILE`, the start of Python included."""
    return min(cpu_of([sys.executable, "-m", "holdfast.cli", "lint", str(path)]) for _ in range(times))


def figures() -> tuple[Figure, ...]:
    """All of them, taken here: lint needs no kernel."""
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder, "small.conf"), Path(folder, "large.conf")
        small.write_text(configuration(SMALL), encoding="utf-8")
        large.write_text(configuration(LARGE), encoding="utf-8")
        program = keepalived(small)
        seconds, _ = _linted(small, TIMES)
        longer, megabytes = _linted(large, 2)
        whole = _commanded(small, TIMES)
    detail = f"{SMALL} virtual servers × 10 real servers in {seconds:.2f} s; keepalived -t takes {program:.2f} s"
    return (
        Figure("read and linted, times keepalived -t", seconds / program, MOST_OF_KEEPALIVED, "×", detail),
        Figure("the whole command, times keepalived -t", whole / program, MOST_OF_KEEPALIVED, "×", f"{whole:.2f} s"),
        Figure(f"memory to lint {LARGE} × 10", megabytes, MOST_MB, " MB", "the whole process"),
        Figure(f"lint of {LARGE} × 10, times that of {SMALL} × 10", longer / seconds, MOST_GROWTH, "×", "4 is linear"),
    )


def measure(machine: Machine) -> tuple[Figure, ...]:
    """As a bench; the virtual machine is not used."""
    return figures()


BENCH = Bench("lint", measure)
