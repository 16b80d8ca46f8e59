"""The servers of a node's pools as its HAProxy sees them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable
from datetime import datetime, timedelta

from holdfast.agent.pool_servers import PoolServer
from holdfast.agent.realtime.haproxy import CheckedServer
from holdfast.bundle import Service
from holdfast.protocol import PoolFacts, ServerFacts

_BY_HAND = "taken out by hand, at HAProxy's socket"


def facts(
    servers: Iterable[PoolServer], seen: Iterable[CheckedServer], known_out: Container[tuple[str, str]], now: datetime
) -> tuple[PoolFacts, ...]:
    """Pools with those servers that have a check; of one that stands in several backends, what is worst counts.

    Of one that an override took out (pool and name in `known_out`) nothing is known: HAProxy does not ask it. One that
    somebody took out behind our back is down: it serves nobody, and nothing else would say so.
    """
    known = {(one.backend, one.name): one for one in seen}
    found: dict[str, dict[str, list[tuple[PoolServer, CheckedServer]]]] = defaultdict(lambda: defaultdict(list))
    for one in servers:
        told = known.get((one.backend, one.name))
        if one.engine is not Service.HAPROXY or told is None:
            continue
        if not (told.taken_out and (one.pool, one.name) in known_out):
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
        last=f"{worst.last}: {_BY_HAND}" if worst.taken_out else worst.last,
    )
