"""Who waits before a server that takes no more at a time is counted as HAProxy has it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from tests.differential.l7_bench import Bench, request
from tests.differential.l7_pair import POOLS, SERVERS, pair
from tests.differential.l7_views import ADDRESS, PORT, pool, server, site

from holdfast.agent.realtime import haproxy, web
from holdfast.protocol.realtime import WebKind, WebRow

pytestmark = pytest.mark.lab

SITE = site("shop", ("www.example.com",), {"to": "p0"})
CLIENTS = 6
WITHIN_S = 60.0
# One request at a time; who waits does so for longer than the test takes.
ONE_AT_A_TIME = tuple(
    pool(
        name,
        [server(SERVERS[name][0].name, str(SERVERS[name][0].address), max_connections=1)],
        connect_timeout_ms=120_000,
        response_timeout_ms=120_000,
        tries=1,
    )
    for name in POOLS
)


def _told(bench: Bench) -> tuple[WebRow, ...]:
    root = Path(f"/proc/{bench.namespace._holder.pid}/root")
    return tuple(haproxy.rows(haproxy.ask(root / haproxy.SOCKET.lstrip("/"))))


def test_those_who_wait_are_the_pools_queue_and_the_history_has_them(bench: Bench) -> None:
    over = threading.Event()

    def asks() -> None:
        while not over.is_set():
            bench.send(ADDRESS["haproxy"], PORT, request("/slow", "www.example.com"), timeout=2 * WITHIN_S)

    for origin in bench.origins:
        origin.mood = "hang"  # for some seconds, over and over, so that the queue stays as long as it is
    with pair(bench, [SITE], ONE_AT_A_TIME):
        clients = [threading.Thread(target=asks) for _ in range(CLIENTS)]
        for one in clients:
            one.start()
        try:
            deadline, rows = time.monotonic() + WITHIN_S, _told(bench)
            while _waiting(rows) != (CLIENTS, 1, CLIENTS - 1):  # who waits is with the pool already
                assert time.monotonic() < deadline, rows
                time.sleep(0.05)
                rows = _told(bench)
        finally:
            over.set()
            for origin in bench.origins:
                origin.mood = "ok"
    for one in clients:
        one.join(WITHIN_S)
    assert web.points(rows)["haproxy total"][3] == CLIENTS - 1


def _waiting(rows: tuple[WebRow, ...]) -> tuple[int | None, int | None, int | None]:
    """Requests that the pool has, those that its server has, and those that wait."""
    whole = _of(rows, WebKind.POOL, "p0")
    return whole.active, _of(rows, WebKind.SERVER, "p0-1").active, whole.queue


def _of(rows: tuple[WebRow, ...], kind: WebKind, name: str) -> WebRow:
    (found,) = [row for row in rows if (row.kind, row.name) == (kind, name)]
    return found
