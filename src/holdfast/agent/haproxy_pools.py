"""The servers of a node's pools as its HAProxy sees them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from holdfast.agent.pool_servers import PoolServer
from holdfast.agent.realtime.haproxy import CheckedServer
from holdfast.bundle import Service
from holdfast.protocol import PoolFacts, ServerFacts


def facts(servers: Iterable[PoolServer], seen: Iterable[CheckedServer], now: datetime) -> tuple[PoolFacts, ...]:
    """Pools with those servers that HAProxy asks; of one that it asks in several backends, what is worst counts."""
    known = {(one.backend, one.name): one for one in seen}
    found: dict[str, dict[str, list[tuple[PoolServer, CheckedServer]]]] = defaultdict(lambda: defaultdict(list))
    for one in servers:
        told = known.get((one.backend, one.name))
        if one.engine is Service.HAPROXY and told is not None:
            found[one.pool][one.name].append((one, told))
    return tuple(
        PoolFacts(pool=pool, min_servers=0, servers=tuple(_server(each, now) for each in several.values()))
        for pool, several in found.items()
    )


def _server(several: list[tuple[PoolServer, CheckedServer]], now: datetime) -> ServerFacts:
    server, worst = min(several, key=lambda one: (one[1].up, bool(one[1].last), one[0].backend))
    since = None if worst.up else (now - timedelta(seconds=worst.changed_s)).isoformat(timespec="seconds")
    return ServerFacts(
        name=server.name,
        endpoint=server.endpoint,
        up=worst.up,
        in_use=all(told.in_use for _, told in several),
        since=since,
        last=worst.last,
    )
