"""What an agent counts of the real engines is what they were asked, and how they answered."""

from __future__ import annotations

import time
from operator import ge
from pathlib import Path

import pytest
from tests.differential.l7_bench import Bench, request
from tests.differential.l7_pair import ENGINES, pair
from tests.differential.l7_views import ADDRESS, PORT, site

from holdfast.agent.realtime import haproxy, nginx
from holdfast.agent.realtime.nginx import Counts, LogTail
from holdfast.protocol.realtime import WebKind, WebRow

pytestmark = [pytest.mark.lab, pytest.mark.parametrize("engine", ENGINES)]

SITE = site("shop", ("www.example.com",), {"path": "/no", "respond": {"status": 403, "body": "no"}}, {"to": "p0"})
WITHIN_S = 60.0
ASKED = ("/a", "/b", "/c", "/no", "/no")


class Rows:
    """What is counted now."""

    def __init__(self, bench: Bench, engine: str) -> None:
        self._root = Path(f"/proc/{bench.namespace._holder.pid}/root")
        self._engine = engine
        self._counts = Counts()
        self._tail = LogTail(self._root / "var/log/holdfast/nginx/access.log")
        if engine == "nginx":
            self._tail.read(0)  # what other tests asked stands there already

    def now(self) -> dict[tuple[WebKind, str], WebRow]:
        if self._engine == "nginx":
            self._counts.take(self._tail.read(1_000_000))
            rows = tuple(nginx.rows(self._counts))
        else:
            rows = tuple(haproxy.stat(self._root / haproxy.SOCKET.lstrip("/")))
        return {(row.kind, row.name): row for row in rows}

    def until(self, *answers: int) -> dict[tuple[WebKind, str], WebRow]:
        """Once so many of each class were counted: nginx writes its log a moment after the answer."""
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            found = self.now()
            listeners = [row.statuses for row in found.values() if row.kind is WebKind.LISTENER]
            if any(all(map(ge, one, answers)) for one in listeners):
                return found
            time.sleep(0.05)
        raise AssertionError(f"{answers} were never counted: {self.now()}")


def test_requests_and_classes_are_counted_by_listener_pool_and_server(bench: Bench, engine: str) -> None:
    with pair(bench, [SITE]):
        rows = Rows(bench, engine)
        for path in ASKED:
            bench.send(ADDRESS[engine], PORT, request(path, "www.example.com"))
        found = rows.until(0, 3, 0, 2)
    (listener,) = [row for row in found.values() if row.kind is WebKind.LISTENER]
    assert listener.statuses[1:3] == (3, 0)
    assert listener.requests == sum(listener.statuses)
    # HAProxy counts a connection that says nothing, too: whoever looked whether it listens.
    assert listener.statuses[3] == 2 if engine == "nginx" else listener.statuses[3] >= 2
    pool = found[WebKind.POOL, "p0"]
    assert pool.statuses[1] == 3
    servers = [row for row in found.values() if row.kind is WebKind.SERVER and row.pool == "p0"]
    assert len(servers) == 3
    assert sum(row.statuses[1] for row in servers) == 3
    assert {row.name for row in servers} == (
        {f"127.0.100.{number}:9000" for number in (1, 2, 3)} if engine == "nginx" else {"p0-1", "p0-2", "p0-3"}
    )


def test_failures_of_servers_are_theirs(bench: Bench, engine: str) -> None:
    """Each server answers 503: the client gets one answer of that class, and no server has one of 2xx."""
    for origin in bench.origins:
        origin.mood = "503"
    with pair(bench, [SITE]):
        rows = Rows(bench, engine)
        answer = bench.send(ADDRESS[engine], PORT, request("/x", "www.example.com"))
        assert answer.status == 503
        found = rows.until(0, 0, 0, 0, 1)
    (listener,) = [row for row in found.values() if row.kind is WebKind.LISTENER]
    assert listener.statuses[4] == 1
    servers = [row for row in found.values() if row.kind is WebKind.SERVER and row.pool == "p0"]
    assert sum(row.statuses[1] for row in servers) == 0
    assert sum(row.statuses[4] for row in servers) >= 1
