"""How long a large keepalived.conf takes to read, compared with keepalived itself, and how much memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.benches.figures import Bench, Figure

from holdfast.lab.vm.machine import Machine

SMALL, LARGE = 1_000, 4_000  # virtual servers, with 10 real servers each
TIMES = 3
MOST_OF_KEEPALIVED, MOST_MB, MOST_GROWTH = 10.0, 400.0, 6.0
_TIMEOUT_S = 120.0
# In a process of its own, for its memory; the time is that of the reading alone.
_INSIDE = r"""
import json, re, sys, time
from holdfast.keepalived.parse import load
load(sys.argv[1])  # reads the tables, and warms up
times = []
for _ in range(int(sys.argv[2])):
    began = time.process_time()
    found = load(sys.argv[1])
    times.append(time.process_time() - began)
    assert not found.findings and found.complete
# Not getrusage: that remembers what the process was before it became this program, a copy of the one that started it.
peak = int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1])
print(json.dumps([min(times), peak / 1000]))
"""


def configuration(virtual_servers: int) -> str:
    """So many virtual servers with ten real servers each: 1.8 MB and 87,000 lines a thousand."""
    parts = ["global_defs {\n    router_id large\n    enable_script_security\n    script_user nobody\n}\n"]
    for number in range(virtual_servers):
        high, low = divmod(number, 256)
        parts.append(
            f"virtual_server 10.0.{high}.{low} 80 {{\n    delay_loop 6\n    lb_algo wlc\n    lb_kind NAT\n"
            "    persistence_timeout 50\n    protocol TCP\n"
        )
        parts += [
            f"    real_server 10.{100 + high}.{low}.{server} 80 {{\n        weight 1\n        TCP_CHECK {{\n"
            "            connect_timeout 3\n            retry 3\n            delay_before_retry 3\n        }\n    }\n"
            for server in range(1, 11)
        ]
        parts.append("}\n")
    return "".join(parts)


def _read(path: Path, times: int) -> tuple[float, float]:
    """Seconds of CPU of the fastest reading, and the memory of the process in MB."""
    argv = [sys.executable, "-c", _INSIDE, str(path), str(times)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
    seconds, megabytes = json.loads(done.stdout)
    return seconds, megabytes


def keepalived(path: Path) -> float:
    """Seconds of CPU of the fastest `keepalived -t`."""
    return min(cpu_of(["keepalived", "-t", "-f", str(path)], check=False) for _ in range(TIMES))


def cpu_of(argv: Sequence[str], *, check: bool = True) -> float:
    """Seconds of CPU of a command and of all its processes: how long it takes on a machine that does nothing else."""
    began = _spent()
    subprocess.run(argv, capture_output=True, timeout=_TIMEOUT_S, check=check)
    return _spent() - began


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def figures() -> tuple[Figure, ...]:
    """All of them, taken here: the reader needs no kernel."""
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder, "small.conf"), Path(folder, "large.conf")
        small.write_text(configuration(SMALL), encoding="utf-8")
        large.write_text(configuration(LARGE), encoding="utf-8")
        program = keepalived(small)
        seconds, _ = _read(small, TIMES)
        longer, megabytes = _read(large, 1)
    detail = f"{SMALL} virtual servers × 10 real servers in {seconds:.2f} s; keepalived -t takes {program:.2f} s"
    return (
        Figure("keepalived.conf read, times keepalived -t", seconds / program, MOST_OF_KEEPALIVED, "×", detail),
        Figure(f"memory for {LARGE} × 10", megabytes, MOST_MB, " MB", "the whole process"),
        Figure(
            f"time for {LARGE} × 10, times that for {SMALL} × 10", longer / seconds, MOST_GROWTH, "×", "4 is linear"
        ),
    )


def measure(machine: Machine) -> tuple[Figure, ...]:
    """As a bench; the virtual machine is not used."""
    return figures()


BENCH = Bench("language", measure)
