"""Servers that go down or come back: told when it happens, and not with the next regular report alone.

Health checks are keepalived's, the prober's and HAProxy's. What they came to is in the kernel's table, in the prober's
file, and said by HAProxy's socket.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Hashable, Iterator
from math import ceil

from holdfast.agent import haproxy_state
from holdfast.agent.daemon.state import State
from holdfast.agent.generations import Generations
from holdfast.agent.pool_servers import servers_of
from holdfast.agent.prober.status_file import read_status
from holdfast.agent.realtime import haproxy
from holdfast.agent.services.base import Node
from holdfast.agent.steps import translated
from holdfast.bundle import Service
from holdfast.errors import ApplyError, HoldfastError, TableUnreadable

LOOK_EVERY_S = 2.0
_SHARE = 0.001  # of a processor: a table of ten thousand servers is looked at less often …
_LONGEST_S = 30.0  # … yet so often
_UNKNOWN = -1  # changes that were under way during a look


class Health:
    """How the servers of one node are, as one value: another one says that something is different."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._generations = Generations(node.places)
        self._generation: str | None = None
        self._directs = self._probes = self._proxies = False

    @property
    def empty(self) -> bool:
        """Whether the generation that was looked at last has no servers to look at."""
        return self._generation is not None and not (self._directs or self._probes or self._proxies)

    def look(self) -> int:
        """The value now. Raises ApplyError."""
        with translated():
            name = self._generations.current()
            if name != self._generation:
                bundle = self._generations.bundle(name)
                self._directs = bundle is not None and bool(bundle.expected.virtual_servers)
                self._probes = bundle is not None and Service.PROBER in bundle.services
                self._proxies = bundle is not None and any(one.engine is Service.HAPROXY for one in servers_of(bundle))
                self._generation = name
            return hash(frozenset(self._seen()))

    def _seen(self) -> Iterator[Hashable]:
        if self._directs:
            yield from self._weights()
        said = read_status(self._node.places) if self._probes else None
        for pool in said.pools if said is not None else ():
            for server in pool.servers:
                yield pool.pool, server.name, server.up, server.in_use, bool(server.last)

        if self._proxies:
            yield from self._in_haproxy()

    def _in_haproxy(self) -> Iterator[Hashable]:
        try:
            said = haproxy.ask(self._node.places.at(haproxy.SOCKET), question="show servers state")
        except ApplyError as error:
            yield error.message
            return
        yield from haproxy_state.health(said)

    def _weights(self) -> Iterator[Hashable]:
        try:
            table = self._node.host.virtual_servers()
        except TableUnreadable as error:
            yield error.message
            return
        for service in table.services:
            for one in service.destinations:
                yield service.key, one.key, one.weight


class HealthWatch:
    """Of one agent. Calls `changed` when servers are otherwise than they were."""

    def __init__(self, state: State, changed: Callable[[], Awaitable[None]], every_s: float = LOOK_EVERY_S) -> None:
        self._state = state
        self._changed = changed
        self._every_s = every_s
        self._health = Health(state.work.node)
        self._seen: int | None = None

    async def keep(self) -> None:
        """Until cancelled. What cannot be looked at is told by the regular look."""
        rest_s = self._every_s
        changes = _UNKNOWN
        while True:  # ends: cancelled
            await self._state.beat.rest(rest_s)
            if self._health.empty and changes == self._state.changes:
                continue  # a node without servers is to cost nothing
            changes = _UNKNOWN if self._state.busy else self._state.changes
            try:
                seen, took_s = await self._state.look(self._look)
            except HoldfastError:
                continue
            rest_s = self._every_s * ceil(max(1.0, min(took_s / _SHARE, _LONGEST_S) / self._every_s))
            if self._seen is not None and seen != self._seen:
                await self._changed()
            self._seen = seen

    def _look(self) -> tuple[int, float]:
        started = time.thread_time()
        return self._health.look(), time.thread_time() - started
