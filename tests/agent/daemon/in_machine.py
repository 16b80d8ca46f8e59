"""Runs inside a test's machine: a controller and the agent as a process of its own. Prints what it found as JSON."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from tests.agent import bundles
from tests.agent.daemon.confd_like import ConfdLike
from tests.agent.daemon.stand_in import StandIn, desired, order
from tests.controller.identity.test_enrolment import World
from tests.controller.identity.world import WallClock
from tests.waiting import LOOK_EVERY_S

from holdfast.agent.daemon.enroller import HttpsEnrolment
from holdfast.agent.daemon.settings import SETTINGS_FILE, Settings, write_settings
from holdfast.agent.enrolment import IDENTITY_FILE, join
from holdfast.agent.supervisor.client import ask
from holdfast.controller.identity.tls import server_context
from holdfast.protocol import PING_EVERY_S, Drift, DriftKind, Ping, Progress, Verb

WITHIN_S = 90.0
POLICY = Path("/etc/holdfast/policy.toml")
NGINX = Path("/etc/holdfast/nginx/nginx.conf")


class Inside:
    """A controller, and the agent that is started, killed and started again."""

    def __init__(self, controller: StandIn) -> None:
        self.controller = controller
        self.agent: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with Path("/var/log/agent.log").open("ab") as log:
            self.agent = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "holdfast.agent.daemon", stderr=log, env={"MALLOC_ARENA_MAX": "2"}
            )

    async def kill(self, number: int = signal.SIGKILL) -> int:
        assert self.agent is not None
        self.agent.send_signal(number)
        return await asyncio.wait_for(self.agent.wait(), 60)

    async def until(self, condition: Callable[[], bool], what: str) -> float:
        """How long it took, in seconds."""
        started = time.monotonic()
        while not condition():
            if time.monotonic() - started > WITHIN_S:
                file = Path("/var/log/agent.log")
                log = file.read_text()[-3000:] if file.exists() else ""
                last = self.controller.reports[-1].model_dump_json() if self.controller.reports else "no report"
                raise AssertionError(f"never: {what}\n{log}\n{last[:3000]}")
            await asyncio.sleep(LOOK_EVERY_S)
        return time.monotonic() - started

    def ended(self, number: int, progress: Progress = Progress.VERIFIED) -> bool:
        return any(
            each.fence is not None and each.fence.number == number and each.progress is progress
            for each in self.controller.reports
        )

    def drift(self, kind: DriftKind, corrected: bool = False) -> Drift | None:
        last = self.controller.reports[-1] if self.controller.reports else None
        found = (each for each in (last.drift if last else ()) if each.kind is kind and each.corrected is corrected)
        return next(found, None)


async def follow(inside: Inside) -> dict[str, Any]:
    """Applies with the real programs, follows orders, and tells what was changed by hand."""
    found: dict[str, Any] = {}
    controller = inside.controller
    await controller.push(desired(1, bundles.pair()))
    await inside.until(lambda: inside.ended(1), "applied")
    await controller.push(order(1, Verb.HOLD, group="www"), order(2, Verb.RELEASE, group="www"))
    await inside.until(lambda: len(controller.answers) == 2, "both answers")
    found["answers"] = [each.moved.moved if each.moved else str(each.failure) for each in controller.answers]
    NGINX.write_text(NGINX.read_text().replace('"one', '"by hand'))
    found["file_s"] = await inside.until(lambda: inside.drift(DriftKind.FILE) is not None, "a file")
    drift = inside.drift(DriftKind.FILE)
    found["diff"] = drift.diff if drift else ""
    Path("/proc/sys/net/ipv4/ip_nonlocal_bind").write_text("0")
    found["sysctl_s"] = await inside.until(lambda: inside.drift(DriftKind.SYSCTL) is not None, "a sysctl")
    ask("stop", "nginx")
    found["service_s"] = await inside.until(lambda: inside.drift(DriftKind.SERVICE) is not None, "a service")
    await asyncio.sleep(4)
    found["left_alone"] = NGINX.read_text().count("by hand")
    POLICY.write_text('[drift]\ncorrect = ["file", "service", "sysctl"]\n')
    await inside.until(lambda: inside.drift(DriftKind.SERVICE, corrected=True) is not None, "corrected")
    found["corrected"] = sorted(each.kind.value for each in controller.reports[-1].drift if each.corrected)
    found["text"] = NGINX.read_text().count('"one')
    found["kept_aside"] = len(list(Path("/var/lib/holdfast/adopted").rglob("nginx.conf")))
    found["status"] = await inside.kill(signal.SIGTERM)
    return found


async def idle(inside: Inside) -> dict[str, Any]:
    """What an agent costs that has nothing to do, after it applied a large bundle."""
    large = bundles.bundle(
        *bundles.pair().files, bundles.nftables(rules=1500), listeners=((bundles.Service.NGINX, "10.9.0.3", 8080),)
    )
    files = {file.path: file for file in large.files}
    large = large.model_copy(update={"files": tuple(sorted(files.values(), key=lambda file: file.path))})
    await inside.controller.push(desired(1, large))
    await inside.until(lambda: inside.ended(1), "applied")
    assert inside.agent is not None
    reports = inside.controller.reports
    await inside.until(lambda: [each.progress for each in reports].count(Progress.VERIFIED) > 1, "looked at afterwards")
    pinging = asyncio.create_task(_ping(inside.controller))
    await asyncio.sleep(8)
    streams = inside.controller.asked.count("GET /agent/v1/stream")
    shares = [await _share(inside.agent.pid) for _ in range(int(os.environ.get("TIMES", "1")))]
    assert inside.controller.asked.count("GET /agent/v1/stream") == streams  # else this measures connections
    pinging.cancel()
    rollup = Path(f"/proc/{inside.agent.pid}/smaps_rollup").read_text()
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in rollup.splitlines()[1:]}
    return {
        "rss_mb": kilobytes["Rss"] / 1024,
        "pss_mb": kilobytes["Pss"] / 1024,
        "private_mb": (kilobytes["Private_Dirty"] + kilobytes["Private_Clean"]) / 1024,
        "cpu_percent": min(shares),  # what else the machine does makes work dearer, never cheaper
        "status": await inside.kill(signal.SIGTERM),
    }


async def _ping(controller: StandIn) -> None:
    """As controllers do: an agent that hears nothing for half a minute connects anew."""
    while True:
        await controller.push(Ping(time=datetime.now(UTC)))
        await asyncio.sleep(PING_EVERY_S)


async def _share(pid: int) -> float:
    """Per cent of one processor, over IDLE_S seconds."""
    before, started = _ticks(pid), time.monotonic()
    await asyncio.sleep(float(os.environ.get("IDLE_S", "20")))
    spent = (_ticks(pid) - before) / os.sysconf("SC_CLK_TCK")
    return 100 * spent / (time.monotonic() - started)


def _ticks(pid: int) -> int:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, words[11:15]))  # its own, and of the programs that it ran


async def changes(inside: Inside) -> dict[str, Any]:
    """Milliseconds from a controller's word to each state of a change that reloads nothing: a rule of nftables.

    Turn by turn beside what watches etcd and loads the same rules without looking left or right.
    """
    await inside.controller.push(desired(1, bundles.pair()))
    await inside.until(lambda: inside.ended(1), "applied")
    states = (Progress.ACCEPTED, Progress.WRITTEN, Progress.APPLIED, Progress.VERIFIED)
    assert inside.agent is not None
    found: dict[str, list[float]] = {state.value: [] for state in states}
    template = bundles.nftables().content.replace("inet holdfast", "inet confdlike").replace("112", "$port")
    other = ConfdLike(template)
    await other.start()
    await other.change(1)
    others: dict[str, list[float]] = {"told": [], "loaded": []}
    turns, spent = int(os.environ.get("TURNS", "50")), _ticks(inside.agent.pid)
    for number in range(2, 2 + turns):
        for name, took in zip(others, await other.change(10_000 + number), strict=True):
            others[name].append(took)
        wanted = desired(number, bundles.pair(table_port=10_000 + number))
        inside.controller.reports.clear()
        started = time.perf_counter()
        await inside.controller.push(wanted)
        for state in states:
            while not inside.ended(number, state):
                assert time.perf_counter() - started < WITHIN_S
                await asyncio.sleep(0.0005)
            found[state.value].append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(0.1)
    spent = _ticks(inside.agent.pid) - spent
    await other.stop()
    return {"times": found, "confd_like": others, "cpu_ms": 1000 * spent / os.sysconf("SC_CLK_TCK") / turns}


async def kills(inside: Inside) -> dict[str, Any]:
    """kill -9 at random moments while desired states come; the last one is what the node has in the end."""
    rng = random.Random(int(os.environ.get("SEED", "1")))
    turns = int(os.environ.get("TURNS", "5"))
    for number in range(1, turns + 1):
        state = desired(number, bundles.pair(f"text{number}"))
        inside.controller.lines = [state.model_dump_json().encode()]
        await inside.controller.push(state)
        await asyncio.sleep(rng.uniform(0.0, 1.2))
        await inside.kill()
        inside.controller.streams.clear()
        await inside.start()
        if number % 2:  # every other attempt gets the time to end
            await inside.until(lambda number=number: inside.ended(number), f"state {number}")  # type: ignore[misc]
    await inside.until(lambda: inside.ended(turns), "the last state")
    orders = [each.fence.number for each in inside.controller.reports if each.fence is not None]
    found = {
        "never_back": orders == sorted(orders),
        "text": Path("/etc/holdfast/nginx/nginx.conf").read_text().count(f'"text{turns}'),
        "journal": Path("/var/lib/holdfast/journal.jsonl").exists(),
    }
    await inside.kill(signal.SIGTERM)
    return found


async def systemd(inside: Inside) -> dict[str, Any]:
    """The unit that `holdfast agent install` writes: applies in its sandbox, comes back after a kill, drops nothing."""
    await _said(sys.executable, "-m", "holdfast.cli", "agent", "install")
    await inside.until(lambda: bool(inside.controller.streams), "a stream")
    await inside.controller.push(desired(1, bundles.pair()))
    await inside.until(lambda: inside.ended(1) or inside.ended(1, Progress.PUT_BACK), "applied")
    applied = inside.controller.last.applied
    first = await _said("systemctl", "show", "--value", "--property=MainPID", "holdfast-agent")
    inside.controller.lines = [desired(2, bundles.pair("two")).model_dump_json().encode()]
    inside.controller.streams.clear()
    os.kill(int(first), signal.SIGKILL)
    await inside.until(lambda: inside.ended(2), "the next one, by the next process")
    await _said("systemctl", "stop", "holdfast-nginx")
    await inside.until(lambda: inside.drift(DriftKind.SERVICE) is not None, "a stopped service")
    nginx = await _said("systemctl", "show", "--value", "--property=ActiveState", "holdfast-nginx")
    await _said("systemctl", "stop", "holdfast-agent")
    return {
        "outcome": applied.outcome.value if applied else None,
        "failure": applied.failure.message if applied and applied.failure else None,
        "enabled": await _said("systemctl", "is-enabled", "holdfast-agent"),
        "nginx": nginx,
        "agent": await _said("systemctl", "show", "--value", "--property=ActiveState", "holdfast-agent"),
        "keepalived": await _said("systemctl", "show", "--value", "--property=ActiveState", "holdfast-keepalived"),
        "status": await _said("systemctl", "show", "--value", "--property=ExecMainStatus", "holdfast-agent"),
    }


async def _said(*words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, f"{words}: {said.decode()}{errors.decode()}"
    return said.decode().strip()


SCENARIOS: dict[str, Callable[[Inside], Awaitable[dict[str, Any]]]] = {
    "follow": follow,
    "idle": idle,
    "changes": changes,
    "kills": kills,
    "systemd": systemd,
}


async def main(name: str) -> dict[str, Any]:
    world = await World.make(clock=WallClock(datetime.now(UTC).replace(microsecond=0)))
    context = server_context(world.authorities, ["127.0.0.1"], world.clock.now())[0]
    controller = StandIn(world, context)
    await controller.start()
    token = SecretStr(await world.token("lb01"))
    await join(token, HttpsEnrolment([controller.url]), Path(IDENTITY_FILE), datetime.now(UTC))
    write_settings(Path(SETTINGS_FILE), Settings(controllers=(controller.url,)))
    inside = Inside(controller)
    try:
        if name != "systemd":
            await inside.start()
            await inside.until(lambda: bool(controller.streams), "a stream")
        return await SCENARIOS[name](inside)
    finally:
        if inside.agent is not None and inside.agent.returncode is None:
            await inside.kill()
        await controller.stop()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(sys.argv[1]))) + "\n")
