"""Many browsers look at a director of 1,000 virtual servers with 10 real servers each: what that costs its controller.

The controller runs in a process of its own, so what is measured of it is its own. `make test` has 30 readers for 8
seconds, `make soak` has 200 for two minutes, with the same bounds for each reader.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from tests.controller.console.large_director import REAL, SENT, VIRTUAL
from tests.controller.world import WITHIN_S

from holdfast.agent.enrolment.tls import joining_context

HERE = "/console/clusters/shop"
EVENTS = {"accept": "text/event-stream"}
_MOMENT = re.compile(SENT + r"([0-9.]+)")
PATIENCE_S = 6.0  # beyond what readers are left alone for: a busy machine
MOST_BYTES = 60_000  # that travel for each picture
MOST_SHARE = 0.004  # of a processor, for each reader …
BASE_SHARE = 0.35  # … and for one director that tells 10,000 rows each second
MOST_MEMORY = 1_500_000  # bytes, for each reader with both of its streams


@dataclass
class Child:
    """The controller's process."""

    url: str
    authority: str
    cookies: dict[str, str]
    process: subprocess.Popen[str]

    def cpu_s(self) -> float:
        """What it has used of processors so far."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Bytes that are in memory."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def client(self) -> httpx.AsyncClient:
        """A browser that is logged in."""
        context = joining_context(self.authority)
        return httpx.AsyncClient(
            base_url=self.url, verify=context, timeout=WITHIN_S, trust_env=False, cookies=self.cookies
        )


@contextmanager
def large_director() -> Iterator[Child]:
    """A controller with one that tells while somebody looks."""
    argv = [sys.executable, "-m", "tests.controller.console.large_director"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield Child(told["url"], told["authority"], told["cookies"], process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass
class Reader:
    """One browser at the realtime page: its own stream of pictures, and the one that tells what has changed."""

    late_s: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    greeted: bool = False

    async def read(self, client: httpx.AsyncClient) -> None:
        async with client.stream("GET", f"{HERE}/realtime/stream?node=lb1&every=1", headers=EVENTS) as answer:
            assert answer.status_code == 200, answer.status_code
            before = 0
            async for line in answer.aiter_lines():
                found = _MOMENT.search(line) if line.startswith("data: ") else None
                if found is not None:
                    self.late_s.append(time.monotonic() - float(found[1]))
                    self.sizes.append(answer.num_bytes_downloaded - before)
                    before = answer.num_bytes_downloaded

    async def follow(self, client: httpx.AsyncClient) -> None:
        async with client.stream("GET", f"{HERE}/changes", headers=EVENTS) as answer:
            assert answer.status_code == 200, answer.status_code
            async for line in answer.aiter_lines():
                self.greeted = self.greeted or line == "event: hello"


async def _look(child: Child, readers: int, seconds: float) -> tuple[list[Reader], float, int]:
    """The readers, the share of a processor while all of them look, and the memory then."""
    made = [Reader() for _ in range(readers)]
    clients = [child.client() for _ in made]
    tasks = [asyncio.create_task(one.read(client)) for one, client in zip(made, clients, strict=True)]
    tasks += [asyncio.create_task(one.follow(client)) for one, client in zip(made, clients, strict=True)]
    try:
        async with asyncio.timeout(WITHIN_S):
            while not all(one.late_s and one.greeted for one in made):
                for task in tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.1)
        await asyncio.sleep(12)  # the quarter of an hour has been told
        for one in made:
            one.late_s.clear()
            one.sizes.clear()
        before, began = child.cpu_s(), time.monotonic()
        await asyncio.sleep(seconds)
        share = (child.cpu_s() - before) / (time.monotonic() - began)
        return made, share, child.memory()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in clients:
            await client.aclose()


@pytest.mark.parametrize(
    ("readers", "seconds"),
    [pytest.param(30, 8.0, marks=pytest.mark.measures), pytest.param(200, 120.0, marks=pytest.mark.soak)],
)
def test_many_readers_cost_little_and_see_everything_soon(readers: int, seconds: float) -> None:
    async def story(child: Child) -> None:
        _, alone, memory = await _look(child, 1, seconds / 2)
        made, share, more = await _look(child, readers, seconds)
        pace_s = max(1.0, readers * 0.02)
        late = max(max(one.late_s) for one in made)
        largest = max(max(one.sizes) for one in made)
        each = (more - memory) / readers
        told = (
            f"{VIRTUAL * REAL} rows; {readers} readers: CPU {share:.2f} (with one {alone:.2f}), {each / 1000:.0f} kB "
            f"each, {largest / 1000:.0f} kB a picture, seen by all within {late:.2f} s"
        )
        print(told)  # noqa: T201
        assert min(len(one.late_s) for one in made) >= seconds / pace_s * 0.6, told
        assert late < pace_s + PATIENCE_S, told
        assert largest < MOST_BYTES, told
        assert share < BASE_SHARE + MOST_SHARE * readers, told
        assert each < MOST_MEMORY, told

    with large_director() as child:
        asyncio.run(story(child))
