"""Addresses that change are told once they have come to rest, and not more often than is good."""

from __future__ import annotations

import asyncio
import os
import subprocess

import pytest

from holdfast.agent.daemon import moved
from holdfast.agent.daemon.moved import AddressWatch

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it changes the addresses of a link of its own"),
]
LINK = "hfmoved0"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)


def test_several_changes_are_told_once_and_later_ones_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moved, "AT_MOST_EVERY_S", 0.5)
    ip("link", "add", LINK, "type", "dummy")
    told: list[float] = []

    async def changed() -> None:
        told.append(asyncio.get_running_loop().time())

    async def scenario() -> None:
        watching = asyncio.create_task(AddressWatch(changed).keep())
        await asyncio.sleep(0.1)
        for last in range(1, 6):
            ip("address", "add", f"198.51.100.{last}/32", "dev", LINK)
        await asyncio.wait_for(until(lambda: len(told) == 1), 10)
        await asyncio.sleep(1)
        assert len(told) == 1
        ip("address", "del", "198.51.100.1/32", "dev", LINK)
        await asyncio.wait_for(until(lambda: len(told) == 2), 10)
        watching.cancel()

    try:
        asyncio.run(scenario())
    finally:
        ip("link", "del", LINK)


async def until(condition) -> None:  # type: ignore[no-untyped-def]
    while not condition():
        await asyncio.sleep(0.02)
