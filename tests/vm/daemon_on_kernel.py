"""Runs inside a machine with IPVS: a controller and the agent's daemon on a director. Prints what it found as JSON."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.agent import directors
from tests.agent.daemon.in_machine import SCENARIOS, Inside, main
from tests.agent.daemon.stand_in import desired

from holdfast.protocol import DriftKind, OverrideKind, Overrides, ServerOverride

BUNDLE = directors.bundle(directors.pair(), modules=True)
VIP = "10.9.0.3:80"
BY_HAND = ("ipvsadm", "-e", "-t", VIP, "-r", "10.9.0.22:80", "-g", "-w")


def ipvsadm(*words: str) -> str:
    """What it says; an error ends the scenario."""
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout


def weights() -> dict[str, int]:
    """The kernel's own table."""
    rows = [line.split() for line in ipvsadm("ipvsadm", "-Ln").splitlines() if "->" in line]
    return {words[1]: int(words[3]) for words in rows if words[1] != "RemoteAddress:Port"}


def drained(until: timedelta | None = None) -> Overrides:
    moment = (datetime.now(UTC) + until).isoformat() if until else None
    return Overrides(servers=(ServerOverride(server="rs01:80", kind=OverrideKind.DRAINED, until=moment),))


async def directs(inside: Inside) -> dict[str, Any]:
    """Overrides come with the desired state, are no drift, and end by themselves; what a hand changed is told."""
    found: dict[str, Any] = {}
    await inside.controller.push(desired(1, BUNDLE))
    await inside.until(lambda: inside.ended(1), "applied")
    found["begun"] = weights()
    await inside.controller.push(desired(2, BUNDLE, overrides=drained()))
    await inside.until(lambda: weights().get("10.9.0.21:80") == 0, "drained in the kernel")
    await inside.until(lambda: _told_done(inside), "the director's report of it")
    await asyncio.sleep(8)  # looks come every few seconds: what is meant is no drift
    found["drift_of_an_override"] = _table_drift(inside)
    ipvsadm(*BY_HAND, "7")
    found["told_s"] = await inside.until(lambda: bool(_table_drift(inside)), "the weight changed by hand")
    found["drift"] = _table_drift(inside)
    ipvsadm(*BY_HAND, "100")
    await inside.until(lambda: not _table_drift(inside), "the weight as it was")
    await inside.controller.push(desired(3, BUNDLE, overrides=drained(timedelta(seconds=20))))
    found["over_s"] = await inside.until(lambda: weights().get("10.9.0.21:80") == 100, "the override's end")
    found["end"] = weights()
    return found


def _told_done(inside: Inside) -> bool:
    report = inside.controller.reports[-1].overrides
    return report is not None and report.done and any(row.kind is OverrideKind.DRAINED for row in report.servers)


def _table_drift(inside: Inside) -> str:
    found = inside.drift(DriftKind.TABLE)
    return found.what if found else ""


if __name__ == "__main__":
    SCENARIOS["directs"] = directs
    sys.stdout.write(json.dumps(asyncio.run(main("directs"))) + "\n")
