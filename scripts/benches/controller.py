"""What a thousand agents cost one controller, and how soon a change of all of them has reached the last one."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr
from scripts.benches.figures import Bench, Figure

from holdfast.agent.enrolment.identity import Identity, certificate_request, checked, make_key
from holdfast.agent.enrolment.tls import client_context
from holdfast.bundle import Bundle, BundleFile, Service
from holdfast.controller.identity import Doors, Person, open_doors
from holdfast.protocol import JoinRequest
from holdfast.rollout.bundles import Bundles
from holdfast.rollout.records import Assignment, RolloutStore
from holdfast.store.models import Role
from holdfast.store.sqlite import SqliteEngine
from holdfast.store.store import Store

AGENTS = int(os.environ.get("HOLDFAST_BENCH_AGENTS", "1000"))
CHANGES = 3  # of all nodes
IDLE_S = 20.0
WITHIN_S = 600.0
LARGEST_AGENT = 200.0  # kB of the controller's memory
LONGEST_CPU = 0.02  # per cent of one processor, for one idle agent
LONGEST_TOLD = 4.0  # ms of processor time
LONGEST_CHANGE = 5000.0  # ms, p99: as long as the store takes to write a thousand assignments, and some


@dataclass
class Listener:
    """An agent that only listens: when each number reached it."""

    identity: Identity
    reached: dict[int, float] = field(default_factory=dict)
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self, host: str, port: int) -> None:
        context = client_context(self.identity)
        reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host, limit=1 << 20)
        writer.write(f"GET /agent/v1/stream HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        try:
            while line := await reader.readline():
                if found := re.search(rb'"kind":"desired".*?"number":(\d+)', line):
                    self.reached[int(found[1])] = time.perf_counter()
                elif b'"ping"' in line:
                    self.ready.set()
        finally:
            writer.close()


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[int, str, int]]:
    """`holdfast serve` in a process of its own: its process, and where it listens."""
    command = [
        sys.executable, "-m", "holdfast.cli", "serve", "--listen", "127.0.0.1:0",
        "--store", f"sqlite:{folder}/store.db", "--key-file", f"{folder}/controller.key",
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        said = await asyncio.to_thread(process.stdout.readline)
        found = re.search(r"https://([0-9.]+):(\d+)", said)
        assert found, f"{said} {(folder / 'log').read_text()}"
        yield process.pid, found[1], int(found[2])
    finally:
        process.kill()
        process.wait()


async def joined(doors: Doors, store: Store, node: str) -> Listener:
    """A node with a certificate, without the wire."""
    token = await doors.enrolment.invite(Person("admin", Role.ADMIN), "shop", node)
    key = make_key()
    request = JoinRequest(token=SecretStr(token.get_secret_value()), certificate_request=certificate_request(key))
    answer = await doors.enrolment.join(request, "127.0.0.1")
    authority = doors.authorities.current.certificate
    return Listener(checked(key, answer.certificate, authority, "shop", node, datetime.now(UTC)))


async def changed(store: Store, nodes: list[str], number: int) -> float:
    """Tell every node something new; when the first of them could have known."""
    file = BundleFile(path="/etc/holdfast/nginx/nginx.conf", content=f"# {number}\n" + "# a line of it\n" * 500)
    bundles = {node: Bundle(cluster="shop", node=node, files=(file,), services=(Service.NGINX,)) for node in nodes}
    await Bundles(store, "shop").put(number, bundles)
    records = RolloutStore(store, "shop").assignments
    present = {one.name: one.version for one in await records.all()}
    now = store.clock.now()
    steps = [
        records.replacing(
            node,
            Assignment(node=node, number=number, revision=number, digest=bundle.digest, time=now),
            present.get(node, 0),
        )
        for node, bundle in bundles.items()
    ]
    began = time.perf_counter()
    for start in range(0, len(steps), 90):
        await store.commit(*steps[start : start + 90])
    return began


def memory_of(process: int) -> float:
    """Resident kB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    assert found
    return float(found[1])


def cpu_of(process: int) -> float:
    """Seconds of processor time so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(folder: Path) -> tuple[Figure, ...]:
    """All figures of one controller."""
    async with serving(folder) as (process, host, port):
        engine = await SqliteEngine.open(folder / "store.db")
        store = await Store.open(engine)
        doors = await open_doors(store, folder / "controller.key")
        nodes = [f"lb{number:04d}" for number in range(AGENTS)]
        listeners = [await joined(doors, store, node) for node in nodes]
        before = memory_of(process)
        tasks = []
        for start in range(0, AGENTS, 50):  # a thousand handshakes at once would measure the bench
            batch = listeners[start : start + 50]
            tasks += [asyncio.create_task(each.listen(host, port)) for each in batch]
            await asyncio.wait_for(asyncio.gather(*(each.ready.wait() for each in batch)), WITHIN_S)
        after, spent = memory_of(process), cpu_of(process)
        await asyncio.sleep(IDLE_S)
        idle = (cpu_of(process) - spent) / IDLE_S * 100 / AGENTS
        took = []
        spent = cpu_of(process)
        for number in range(1, CHANGES + 1):
            began = await changed(store, nodes, number)
            async with asyncio.timeout(WITHIN_S):
                while not all(number in each.reached for each in listeners):
                    await asyncio.sleep(0.01)
            took += [(each.reached[number] - began) * 1000 for each in listeners]
        spent = (cpu_of(process) - spent) * 1000 / (CHANGES * AGENTS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await engine.close()
    said = f"{AGENTS} agents on one controller, SQLite, TLS"
    p99 = statistics.quantiles(took, n=100)[98]
    return (
        Figure("a connected agent's memory in the controller", (after - before) / AGENTS, LARGEST_AGENT, " kB", said),
        Figure("an idle agent's processor time in the controller", idle, LONGEST_CPU, " %", said),
        Figure(
            "processor time in the controller to tell one agent", spent, LONGEST_TOLD, " ms",
            f"{said}; of {CHANGES} changes, with all that it does meanwhile",
        ),
        Figure(
            "a change of all nodes has reached 99 of 100", p99, LONGEST_CHANGE, " ms",
            f"{said}; from the first commit, bundles of 8 kB; median {statistics.median(took):.0f} ms",
        ),
    )  # fmt: skip


def run() -> tuple[Figure, ...]:
    """Takes three minutes."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # two for each agent: one here, one in the controller
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        return asyncio.run(measure(Path(folder)))


BENCH = Bench("controller", here=run)
