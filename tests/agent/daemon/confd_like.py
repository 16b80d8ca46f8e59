"""What watches etcd, renders a template, checks and loads it, as confd does: nothing is compared, verified or kept."""

from __future__ import annotations

import asyncio
import json
import string
import time
from pathlib import Path

from tests.store.etcd_cluster import EtcdCluster

from holdfast.agent.files import replace
from holdfast.store.address import EtcdAddress, EtcdCredentials
from holdfast.store.etcd.engine import EtcdEngine
from holdfast.store.port import Changes, Put

_FILE = Path("/etc/confd-like.nft")
_KEY = "node/lb01"


class ConfdLike:
    """One program on one node, and its etcd."""

    def __init__(self, template: str) -> None:
        """`$port` is what changes; `template` defines the table `inet confdlike`."""
        self._template = string.Template(template)
        self._cluster = EtcdCluster(size=1)
        self._engine: EtcdEngine | None = None
        self._task: asyncio.Task[None] | None = None
        self._told = self._loaded = 0.0
        self._done = asyncio.Event()

    async def start(self) -> None:
        await asyncio.to_thread(self._cluster.start)
        self._engine = EtcdEngine(EtcdAddress(self._cluster.endpoints, "confd"), EtcdCredentials())
        self._task = asyncio.create_task(self._follow(self._engine))
        async with asyncio.timeout(120):
            await self._done.wait()

    async def change(self, port: int) -> tuple[float, float]:
        """Milliseconds from the write until it was told, and until the rules were loaded."""
        assert self._engine is not None
        self._done.clear()
        began = time.perf_counter()
        await self._engine.commit([], [Put(_KEY, json.dumps({"port": port}).encode())])
        async with asyncio.timeout(120):
            await self._done.wait()
        return (self._told - began) * 1000, (self._loaded - began) * 1000

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._engine is not None:
            await self._engine.close()
        self._cluster.stop()

    async def _follow(self, engine: EtcdEngine) -> None:
        async with engine.watch(_KEY) as told:
            async for one in told:
                if isinstance(one, Changes) and one.changes and one.changes[-1].entry is not None:
                    self._told = time.perf_counter()
                    await self._load(json.loads(one.changes[-1].entry.value))
                    self._loaded = time.perf_counter()
                self._done.set()  # for the first time when it has begun to watch

    async def _load(self, values: dict[str, object]) -> None:
        rules = self._template.substitute(values)
        anew = "add table inet confdlike\ndelete table inet confdlike\n"
        replace(_FILE, (anew + rules).encode())
        for words in (("nft", "-c", "-f", str(_FILE)), ("nft", "-f", str(_FILE))):
            process = await asyncio.create_subprocess_exec(*words)
            assert await process.wait() == 0, words
