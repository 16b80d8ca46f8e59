"""A controller in a process of its own, a director of a thousand virtual servers, and a node with two large proxies.

They tell while somebody looks. One line of JSON says where it is, and how to get in. It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.controller.agents.test_realtime import HEEDS, stream, tell
from tests.controller.world import Agent, running

from holdfast.controller.serving import Options
from holdfast.protocol.realtime import (
    BUCKET_S,
    POINTS,
    Bucket,
    Sample,
    TableServer,
    TableService,
    Watch,
    WebKind,
    WebRow,
)

VIRTUAL, REAL = 1000, 10
POOLS, WEB = 25, 500  # of each engine
ENGINES = ("nginx", "haproxy")
SENT = "sent at "  # before the moment of a sample, in seconds of this machine's steady clock


def rates(number: int, place: int) -> tuple[float, float, float, float, float]:
    """Others each time."""
    each = float((number * 37 + place * 101) % 1000)
    return each, each * 30, 0.0, each * 1500, 0.0


def services(number: int) -> tuple[TableService, ...]:
    """The whole table; its figures are others each time."""
    return tuple(
        TableService(
            name=f"tcp 10.1.{vs // 250}.{vs % 250}:80", source=f"shop-{vs:04d}", transport="tcp", scheduler="wlc",
            address=f"10.1.{vs // 250}.{vs % 250}", port=80, per_s=rates(number, vs),
            servers=tuple(
                TableServer(
                    name=f"web{rs:02d}-80", address=f"10.2.{vs % 250}.{rs + 1}", port=80, method="dr", weight=100,
                    active=(number + vs + rs) % 900, inactive=rs, per_s=rates(number, vs + rs),
                )
                for rs in range(REAL)
            ),
        )
        for vs in range(VIRTUAL)
    )  # fmt: skip


def bucket(number: int) -> Bucket:
    """A point of each virtual server's history."""
    names = (f"ipvs tcp 10.1.{vs // 250}.{vs % 250}:80" for vs in range(VIRTUAL))
    values = {name: (float((number * vs) % 97), 1.0, 1.0, 1.0) for vs, name in enumerate(names)}
    return Bucket(number=number, values={**values, "ipvs total": (float(number % 50), 1e6, 2e6, 3e4)})


def web(number: int) -> tuple[WebRow, ...]:
    """Of both engines: a listener, and pools with their servers."""
    return tuple(row for engine in ENGINES for row in _engine(engine, number))


def _engine(engine: str, number: int) -> Iterator[WebRow]:
    yield _row(engine, WebKind.LISTENER, "www:80", "", number)
    for pool in range(POOLS):
        name = f"app-{pool:02d}"
        yield _row(engine, WebKind.POOL, name, "", number)
        for server in range(WEB // POOLS):
            yield _row(engine, WebKind.SERVER, f"10.3.{pool}.{server}:8080", name, number + server)


def _row(engine: str, kind: WebKind, name: str, pool: str, number: int) -> WebRow:
    per_s = float((number * 37) % 1000)
    return WebRow(
        engine=engine, kind=kind, name=name, pool=pool, per_s=per_s, statuses_per_s=(0, per_s, 0, 1, 1, 0),
        response_ms=12.0, active=3 if engine == "haproxy" else None, queue=0 if engine == "haproxy" else None,
        state="UP" if engine == "haproxy" and pool else "",
    )  # fmt: skip


@dataclass
class Told:
    """What a node tells: several pictures of it, one after the other, and its quarter of an hour."""

    node: str
    tables: list[tuple[TableService, ...]]
    webs: list[tuple[WebRow, ...]]


async def telling(agent: Agent, watch: Watch, told: Told) -> None:
    """A sample each second, until nobody looks; the quarter of an hour comes with the first ones."""
    begins = int(time.monotonic() // BUCKET_S)
    history = [bucket(number) for number in range(begins - POINTS, begins)]
    number = 0
    while True:  # ends: cancelled, or nobody looks
        now, part = time.monotonic(), tuple(history[:10])
        del history[:10]
        said = Sample(
            node=told.node, controller=watch.watching[0].controller, number=int(now // BUCKET_S), seconds=1.0,
            every_s=1.0, directs=bool(told.tables), services=told.tables[number % 4] if told.tables else (),
            web=told.webs[number % 4] if told.webs else (), history=part, problems=(f"{SENT}{now:.3f} ",),
        )  # fmt: skip
        if (await tell(agent, said)).status_code == 404:
            return
        number += 1
        await asyncio.sleep(max(0.0, now + 1 - time.monotonic()))


async def node(agent: Agent, told: Told) -> None:
    """One node, until it is cancelled."""
    async with stream(agent, HEEDS) as opened:
        while True:  # ends: cancelled
            watch = await opened.next_of(Watch)
            if watch.watching:
                await telling(agent, watch, told)


def generous(options: Options) -> Options:
    """All readers are the same person here, and the machine may be busy."""
    limits = replace(options.settings.limits, most_followers_each=2000)
    return replace(options, settings=replace(options.settings, limits=limits, leader_ttl_s=60))


async def main() -> None:
    """Until standard input ends."""
    director = Told("lb1", [services(number) for number in range(4)], [])
    proxy = Told("px1", [], [web(number) for number in range(4)])
    async with running(change=generous) as world:
        admin = await world.admin()
        tasks = [
            asyncio.create_task(node(await world.joined(admin, one.node), one)) for one in (director, proxy)
        ]  # fmt: skip
        cookies = {one.name: str(one.value) for one in admin.cookies.jar}
        told = {"url": world.url, "authority": world.authority, "cookies": cookies}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())
