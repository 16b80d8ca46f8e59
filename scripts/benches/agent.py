"""What an agent costs that has nothing to do, and how soon a change that reloads nothing is in force on its node."""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from scripts.benches.figures import Bench, Figure
from tests.agent.machine import PYTHON, machine

LARGEST_MB = 60.0
MOST_CPU = 0.2  # percent of one processor
LONGEST_MS = 50.0  # median
MOST_TIMES = 6.0  # as long as a program that watches etcd and loads what it renders, unseen
LONGEST_LATE_MS = 250.0  # of a hundred, the slowest but one
TURNS = 100
IDLE_S = 60
_ROOT = Path(__file__).resolve().parents[2]


def _inside(scenario: str, *environment: str) -> dict[str, Any]:
    """What the scenario found on a machine of its own: namespaces here, not the virtual machine, which is slower."""
    with tempfile.TemporaryDirectory() as folder, machine(Path(folder)) as node:
        words = ("env", f"PYTHONPATH={_ROOT}", *environment, PYTHON, "-m", "tests.agent.daemon.in_machine", scenario)
        found: dict[str, Any] = json.loads(node.run(*words).stdout)
    return found


def run() -> tuple[Figure, ...]:
    """Takes two minutes."""
    idle = _inside("idle", f"IDLE_S={IDLE_S}")
    changes = _inside("changes", f"TURNS={TURNS}")
    times: dict[str, list[float]] = changes["times"]
    taken = sorted(late - early for early, late in zip(times["accepted"], times["applied"], strict=True))
    word = statistics.median(times["applied"])
    apart = ", ".join(f"{name} {statistics.median(each):.0f} ms" for name, each in times.items())
    apart += f"; the agent and its programs work for {changes['cpu_ms']:.0f} ms"
    how = f"{TURNS} changes of nftables, files on a tmpfs, over TLS; medians since the word: {apart}"
    others: dict[str, list[float]] = changes["confd_like"]
    told, loaded = (statistics.median(others[name]) for name in ("told", "loaded"))
    beside = (
        f"turn by turn in the same run, from the word and from the write to etcd: {word:.0f} ms to {loaded:.0f} ms, of "
        f"which etcd takes {told:.1f} ms; the other one checks and loads, and neither compares, verifies nor keeps"
    )
    spent = f"over {IDLE_S} s, with the programs that it runs, after a bundle with 1,500 rules"
    own = f"resident; {idle['pss_mb']:.0f} MB without its share of common libraries"
    return (
        Figure("memory of an idle agent", idle["rss_mb"], LARGEST_MB, " MB", own),
        Figure("processor of an idle agent", idle["cpu_percent"], MOST_CPU, " %", spent),
        Figure("accepted until applied, median", statistics.median(taken), LONGEST_MS, " ms", how),
        Figure("accepted until applied, p99", taken[len(taken) * 99 // 100 - 1], LONGEST_LATE_MS, " ms", how),
        Figure("a change is applied, beside a watcher of etcd", word / loaded, MOST_TIMES, " times", beside),
    )


BENCH = Bench("agent", here=run)
