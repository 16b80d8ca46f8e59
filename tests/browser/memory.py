"""What a page keeps in memory, as Chromium counts it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession

TIMES = 6


def least(client: CDPSession) -> dict[str, float]:
    """Each of Chromium's figures of a page, the least of a few: what scripts and the page let go of goes in steps."""
    for domain in ("HeapProfiler", "Performance"):
        client.send(f"{domain}.enable")
    found: list[dict[str, float]] = []
    for _ in range(TIMES):
        client.send("HeapProfiler.collectGarbage")
        time.sleep(0.2)
        found.append({one["name"]: one["value"] for one in client.send("Performance.getMetrics")["metrics"]})
    return {name: min(one[name] for one in found) for name in found[0]}
