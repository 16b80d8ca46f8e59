"""What made-up nodes tell of what they do: waves of traffic, of which each figure is a function of time."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx

from holdfast.bundle import Service
from holdfast.protocol.realtime import (
    BUCKET_S,
    POINTS,
    Bucket,
    Connections,
    Sample,
    TableConnection,
    TableServer,
    TableService,
    WebKind,
    WebRow,
)

if TYPE_CHECKING:
    from tests.browser.fleet import Fleet, Node

STATES = ("ESTABLISHED", "FIN_WAIT", "TIME_WAIT")


def wave(at: float, size: float, place: int = 0) -> float:
    """Some traffic."""
    return round(size * (1.3 + math.sin(at / 140 + place) + 0.25 * math.sin(at / 23 + 2 * place)), 3)  # never below 0


async def telling(fleet: Fleet, node: Node) -> None:
    """Samples for whoever looks at a node, until it is over."""
    sent: dict[str, set[int]] = {}
    while not node.agent.client.is_closed:
        if not node.watching or node.silent:
            sent.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await node.looked_at.wait()
            node.looked_at.clear()
            continue
        for one in node.watching:
            known = sent.setdefault(one.controller, set())
            said = sample(fleet, node, one.controller, one.connections, known)
            with suppress(httpx.HTTPError):
                await node.agent.client.post(
                    "/agent/v1/samples", content=said.model_dump_json(), headers={"content-type": "application/json"}
                )
        with suppress(TimeoutError):  # or until something else is wanted
            async with asyncio.timeout(min(one.every_s for one in node.watching)):
                await node.looked_at.wait()
        node.looked_at.clear()


def sample(fleet: Fleet, node: Node, controller: str, questions: tuple[str, ...], sent: set[int]) -> Sample:
    """A node at this moment, with what was not sent of its history."""
    now = time.monotonic()
    number = int(now // BUCKET_S)
    services = tuple(_services(fleet, node, now))
    web = tuple(_web(node, now))
    history = tuple(
        Bucket(number=each, values=_values(services, web, each * BUCKET_S))
        for each in range(number - POINTS, number)
        if each not in sent and each >= 0
    )
    sent |= {one.number for one in history}
    return Sample(
        node=node.name, controller=controller, number=number, seconds=1.0, every_s=1.0, directs=bool(services),
        services=services, web=web, history=history, connections=tuple(_listed(one) for one in questions),
    )  # fmt: skip


def _services(fleet: Fleet, node: Node, now: float) -> list[TableService]:
    found = []
    for place, each in enumerate(node.bundle.expected.virtual_servers if node.bundle else ()):
        holds = fleet.holder(each.group) == node.name
        size = 40.0 if holds else 0.0
        servers = []
        for at, server in enumerate(each.servers):
            rate = wave(now, size / len(each.servers), place + at)
            absent = server.name in fleet.down
            servers.append(
                TableServer(
                    name=server.name,
                    address=str(server.address),
                    port=server.port,
                    method=each.forward,
                    weight=server.weight,
                    absent=absent,
                    active=0 if absent else round(rate * 9),
                    inactive=0 if absent else round(rate * 3),
                    counters=(int(now * size), 0, 0, 0, 0),
                    per_s=None if absent else (rate, rate * 30, 0.0, rate * 5200, 0.0),
                )
            )
        total = sum(one.per_s[0] for one in servers if one.per_s)
        found.append(
            TableService(
                name=f"tcp {each.address}:{each.port}",
                source=each.source,
                transport="tcp",
                address=str(each.address),
                port=each.port or 0,
                scheduler=each.scheduler,
                servers=tuple(servers),
                per_s=(total, total * 30, 0.0, total * 5200, 0.0),
            )
        )
    return found


def _web(node: Node, now: float) -> list[WebRow]:
    services = node.bundle.services if node.bundle else ()
    engine = "nginx" if Service.NGINX in services else "haproxy" if Service.HAPROXY in services else ""
    if not engine:
        return []
    asks = engine == "haproxy"

    def row(kind: WebKind, name: str, size: float, pool: str = "", place: int = 0) -> WebRow:
        rate = wave(now, size, place)
        return WebRow(
            engine=engine, kind=kind, name=name, pool=pool, requests=int(now * size), per_s=rate,
            statuses_per_s=(0, *(round(rate * share, 2) for share in (0.95, 0.02, 0.02, 0.01)), 0),
            response_ms=12.0 + wave(now, 4, place), active=round(rate / 9) if asks else None,
            queue=0 if asks and kind is not WebKind.LISTENER else None, state="UP" if asks and pool else "",
        )  # fmt: skip

    return [
        row(WebKind.LISTENER, "www:80", 220), row(WebKind.POOL, "app", 220),
        row(WebKind.SERVER, "app01-8080", 110, "app"), row(WebKind.SERVER, "app02-8080", 110, "app", 1),
    ]  # fmt: skip


def _values(
    services: tuple[TableService, ...], web: tuple[WebRow, ...], at: float
) -> dict[str, tuple[float | None, float | None, float | None, float | None]]:
    found: dict[str, tuple[float | None, float | None, float | None, float | None]] = {}
    rates = [wave(at, 40.0 if one.per_s and one.per_s[0] else 0.0, place) for place, one in enumerate(services)]
    for one, rate in zip(services, rates, strict=True):
        found[f"ipvs {one.name}"] = (rate, rate * 5200, rate * 300, rate * 9)
    if services:
        total = sum(rates)
        found["ipvs total"] = (total, total * 5200, total * 300, total * 9)
    for row in web:
        rate = wave(at, 220)
        point = (rate, round(rate * 0.01, 3), 12.0 + wave(at, 4), 0.0 if row.queue is not None else None)
        if row.kind is not WebKind.SERVER:
            found[f"{row.engine} {row.kind.value} {row.name}"] = point
            found[f"{row.engine} total"] = point
    return found


def _listed(find: str) -> Connections:
    every = [
        TableConnection(
            protocol="TCP",
            client=f"203.0.113.{number % 200}:{40000 + number}",
            virtual="10.0.0.3:80",
            server=f"10.0.0.{7 + number % 2}:80",
            state=STATES[number % 3],
            expires_s=900 - number % 300,
        )
        for number in range(400)
    ]
    words = find.lower().split()
    fitting = [one for one in every if all(word in f"{one.client} {one.server} {one.state}".lower() for word in words)]
    states = {state: sum(one.state == state for one in fitting) for state in STATES}
    return Connections(
        find=find, listed=tuple(fitting[:200]), matching=len(fitting), counted=400,
        states={state: count for state, count in states.items() if count},
    )  # fmt: skip
