"""A pool under watch: what its servers answered, which of them nginx was told to leave out, and which it should."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from holdfast.agent.prober.decide import Health, after, wanted_down
from holdfast.agent.prober.outbox import Change
from holdfast.bundle import ProbedPool, ProbedServer
from holdfast.protocol import PoolFacts, ServerFacts
from holdfast.sentences import said_of


class WatchedPool:
    """`clock` gives monotonic seconds, `today` the time of day as RFC 3339 writes it."""

    def __init__(
        self,
        pool: ProbedPool,
        marked: Collection[str],
        backups: Collection[str],
        clock: Callable[[], float],
        today: Callable[[], str],
    ) -> None:
        self.pool = pool
        self.marked = frozenset(marked)
        self._backups = frozenset(backups)
        self.out: frozenset[str] = frozenset()  # what an operator took out: nginx leaves it out whatever is marked
        self._clock, self._today = clock, today
        self.servers: dict[str, ProbedServer] = {server.endpoint: server for server in pool.servers}
        self._health = {endpoint: Health(up=endpoint not in self.marked) for endpoint in self.servers}
        self._last = dict.fromkeys(self.servers, "")
        self._since: dict[str, str | None] = dict.fromkeys(self.servers)

    def remember(self, earlier: WatchedPool) -> None:
        """Go on counting where the pool as it was before left off, if its servers are asked the same."""
        if earlier.pool.check != self.pool.check:
            return
        for endpoint in self.servers.keys() & earlier.servers.keys():
            self._health[endpoint] = earlier._health[endpoint]
            self._last[endpoint] = earlier._last[endpoint]
            self._since[endpoint] = earlier._since[endpoint]

    def answered(self, endpoint: str, good: bool, said: str) -> bool:
        """Count an answer; True if it took the server down, or brought it back."""
        check, before = self.pool.check, self._health[endpoint]
        now = after(before, good, self._clock(), check.fall, check.rise)
        self._health[endpoint], self._last[endpoint] = now, said
        if now.up is not before.up:
            self._since[endpoint] = self._today()
        return now.up is not before.up

    def is_up(self, endpoint: str) -> bool:
        """What its answers say."""
        return self._health[endpoint].up

    @property
    def wanted(self) -> frozenset[str]:
        """What nginx is to leave out."""
        return wanted_down(self._health, self.marked, self.pool.min_servers, self._backups, self.out)

    def change(self, endpoint: str) -> Change:
        """What became of a server just now, for the mail about it."""
        check, said = self.pool.check, re.sub(r"^answers (?=\d)", "HTTP ", self._last[endpoint])
        return Change(
            pool=self.pool.pool,
            server=self.servers[endpoint].name,
            endpoint=endpoint,
            up=self.is_up(endpoint),
            at=self._since[endpoint] or self._today(),
            why=f"{said} to GET {check.http}" if check.http and said.startswith("HTTP ") else said,
            in_use=endpoint not in self.wanted | self.out,
            up_count=sum(health.up for health in self._health.values()),
            servers=len(self._health),
        )

    def facts(self) -> PoolFacts:
        """For the status."""
        servers = tuple(
            ServerFacts(
                name=server.name,
                endpoint=endpoint,
                up=self._health[endpoint].up,
                in_use=endpoint not in self.marked | self.out,
                since=self._since[endpoint],
                last=self._last[endpoint],
                last_said={} if self._health[endpoint].up else said_of(self._last[endpoint]),
                failures=self._health[endpoint].failures,
                successes=self._health[endpoint].successes,
            )
            for endpoint, server in self.servers.items()
        )
        return PoolFacts(pool=self.pool.pool, min_servers=self.pool.min_servers, servers=servers)
