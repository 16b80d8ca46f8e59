"""Addresses that change are told once they have come to rest, and not more often than is good."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes a network namespace"),
]

# In a namespace of its own, whose loopback nobody else looks at.
INSIDE = """
import asyncio, subprocess
from holdfast.agent.daemon import moved

moved.AT_MOST_EVERY_S = 0.5
told = []

async def changed():
    told.append(asyncio.get_running_loop().time())

async def times(wanted):
    while len(told) < wanted:
        await asyncio.sleep(0.02)

def ip(*words):
    subprocess.run(["ip", "address", *words, "dev", "lo"], check=True, timeout=60)

async def main():
    watching = asyncio.create_task(moved.AddressWatch(changed).keep())
    await asyncio.sleep(0.2)
    for last in range(1, 6):
        ip("add", f"198.51.100.{last}/32")
    await asyncio.wait_for(times(1), 120)
    await asyncio.sleep(1.5)
    several = len(told)
    ip("del", "198.51.100.1/32")
    await asyncio.wait_for(times(several + 1), 120)
    watching.cancel()
    print("told", several, len(told))

asyncio.run(main())
"""


def test_several_changes_are_told_together_and_later_ones_again() -> None:
    argv = ["unshare", "-n", sys.executable, "-c", INSIDE]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    word, several, all_of_them = done.stdout.split()
    assert word == "told"
    assert int(several) < 5
    assert int(all_of_them) == int(several) + 1
