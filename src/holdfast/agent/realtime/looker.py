"""Looks at this node: all that somebody who looks is told, and cheaply, all the time, what its history is made of."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

from holdfast.agent.generations import Generations
from holdfast.agent.host.port import Places
from holdfast.agent.realtime import haproxy, nginx, table, web
from holdfast.agent.realtime.web import Web
from holdfast.bundle import Bundle, Service
from holdfast.errors import HoldfastError
from holdfast.ipvs.connections import Connections as Listed
from holdfast.ipvs.model import Table
from holdfast.ipvs.rates import Meter
from holdfast.ipvs.reader import KernelTable
from holdfast.protocol.realtime import BUCKET_S, TOTAL, Connections, Requests, Sample, TableService, WebRow
from holdfast.protocol.realtime_ring import Point, Ring

TABLE = "ipvs"  # before the names of the table's series
_SHARE = 0.001  # of a processor, for a history that perhaps nobody looks at
_BRIEF_LOG = 200_000  # bytes of nginx's log in one look …
_WHOLE_LOG = 8_000_000  # … while somebody looks
_LATELY_S = 60.0  # a look may be put off by what it costs
_MOST_LISTED = 50_000  # connections that are read of the kernel's list: a quarter of a second
_ACCESS_LOG = "nginx/access.log"


class InForce(Protocol):
    """What this node runs; Generations is one."""

    def current(self) -> str | None: ...

    def bundle(self, name: str | None) -> Bundle | None: ...


class Reader(Protocol):
    """What is asked of the kernel; KernelTable is one."""

    def table(self) -> Table: ...

    def services(self) -> Table: ...

    def connections(self, limit: int) -> Listed: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class _Runs:
    """What the bundle that is in force makes of this node."""

    name: str | None
    names: table.NameTable = field(default_factory=dict)  # of the virtual servers that it directs
    nginx: bool = False
    haproxy: bool = False

    @property
    def directs(self) -> bool:
        """Whether the kernel's table is of interest."""
        return bool(self.names)


@dataclass(frozen=True)
class _Look:
    """What was seen at one moment; `table` None: this node directs nothing. `whole`: with what is behind services."""

    at: float
    table: Table | None
    whole: bool
    web: Web
    problems: tuple[str, ...] = ()


class Looker:
    """For one thread. `reader` opens the kernel's table; `in_force` are the node's generations, if nothing else."""

    def __init__(
        self,
        places: Places,
        reader: Callable[[], Reader] = KernelTable,
        in_force: InForce | None = None,
        clock: Callable[[], float] = time.monotonic,
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._places = places
        self._generations = in_force or Generations(places)
        self._reader = reader()
        self._clock = clock
        self._spent = spent
        self._runs = _Runs(None)
        self._log = nginx.LogTail(places.log / _ACCESS_LOG)
        self._counts = nginx.Counts()
        self.ring = Ring()
        self._base: _Look | None = None  # where the bucket began that is being filled
        self._buckets = Meter()  # of the looks that begin one
        self._before: _Look | None = None  # the last whole look
        self._meter = Meter()  # of whole looks
        self._much = False  # whether the last look for the history took too long, …
        self._dear = False  # … and so all of the table is too much for it
        self._lately = 0.0, Requests()  # by the clock, when that was so
        self.brief_at = 0.0  # by the clock: before, nothing is due

    def close(self) -> None:
        """Let go of what is open."""
        self._reader.close()
        self._log.close()

    def brief(self) -> None:
        """A look for the history, if it is time for one."""
        now = self._clock()
        if now < self.brief_at:
            return
        self._now()  # to read a new bundle is no look's fault
        began = self._spent()
        self._remember(self._look(whole=not self._dear, log=_BRIEF_LOG))
        cost = self._spent() - began
        was_much, self._much = self._much, cost > _SHARE * BUCKET_S
        self._dear = self._dear or (was_much and self._much)  # once is chance: the first look takes longer
        self.brief_at = max((now // BUCKET_S + 1) * BUCKET_S, now + cost / _SHARE)

    def rest(self) -> None:
        """Nobody looks any more: what only who looks needs is forgotten."""
        self._before, self._meter = None, Meter()

    def sample(self, node: str, questions: Collection[str] = ()) -> Sample:
        """All that is told; rates are over the time since the last one.

        Every question is answered, also where there are more of them than are told to one controller.
        """
        now = self._look(whole=True, log=_WHOLE_LOG)
        self._remember(now)
        before, self._before = self._before, now
        seconds = now.at - before.at if before is not None else 0.0
        services, left_out = self._services(now)
        listed, problems = self._connections(questions) if now.table is not None else ((), now.problems)
        rows, fewer = web.cut(web.rated(before.web if before is not None else None, now.web, seconds))
        found = Sample(
            node=node,
            controller="",
            number=int(now.at // BUCKET_S),
            seconds=round(seconds, 3),
            directs=self._runs.directs,
            services=services,
            left_out=left_out + fewer,
            web=rows,
            estimated=now.web.estimated,
            problems=tuple(dict.fromkeys(one[:1000] for one in (*now.problems, *problems)))[:10],
        )
        return found.model_copy(update={"connections": listed})  # whose number is for each controller

    def _services(self, now: _Look) -> tuple[tuple[TableService, ...], int]:
        if now.table is None:
            self._meter = Meter()
            return (), 0
        return table.told(now.table, self._meter.take(now.table), self._runs.names)

    def _connections(self, questions: Collection[str]) -> tuple[tuple[Connections, ...], tuple[str, ...]]:
        if not questions:
            return (), ()
        try:
            listed = self._reader.connections(_MOST_LISTED)
        except HoldfastError as error:
            return (), (error.message,)
        return tuple(table.matching(listed, one) for one in questions), ()

    def _remember(self, now: _Look) -> None:
        """Where a bucket has ended, it becomes a point of the history."""
        number, base = int(now.at // BUCKET_S), self._base
        if base is not None and int(base.at // BUCKET_S) == number:
            return
        self._base = now
        points = self._points(now)
        if base is None:
            return
        found = {f"{TABLE} {name or TOTAL}"[:200]: point for name, point in points.items()}
        rows = self._rated(base, now)
        found |= web.points(rows)
        self._lately = now.at, web.requests(rows)
        self.ring.add(number - 1, found)

    def _points(self, now: _Look) -> dict[str, Point]:
        if now.table is None:
            self._buckets = Meter()
            return {}
        return table.points(now.table, self._buckets.take(now.table), whole=now.whole)

    def lately(self) -> Requests:
        """What proxies did in the last bucket; nothing where that was long ago. For any thread."""
        when, found = self._lately
        return found if self._clock() - when <= _LATELY_S else Requests()

    @staticmethod
    def _rated(base: _Look, now: _Look) -> tuple[WebRow, ...]:
        return web.rated(base.web, now.web, now.at - base.at)

    def _look(self, *, whole: bool, log: int) -> _Look:
        runs, problems = self._now(), []
        seen: Table | None = None
        if runs.directs:
            try:
                seen = self._reader.table() if whole else self._reader.services()
            except HoldfastError as error:
                problems.append(error.message)
        rows: list[WebRow] = []
        times: dict[web.Key, tuple[float, float]] = {}
        estimated = False
        if runs.nginx:
            try:
                growth = self._log.read(log)
                self._counts.take(growth)
                estimated = growth.share < 1
            except HoldfastError as error:
                problems.append(error.message)
            rows += nginx.rows(self._counts)
            times = {(nginx.ENGINE, *key): took for key, took in nginx.times(self._counts).items()}
        if runs.haproxy:
            try:
                rows += haproxy.stat(self._places.at(haproxy.SOCKET))
            except HoldfastError as error:
                problems.append(error.message)
        return _Look(self._clock(), seen, whole, Web(tuple(rows), times, estimated), tuple(problems))

    def _now(self) -> _Runs:
        name = self._generations.current()
        if name != self._runs.name:
            bundle = self._generations.bundle(name)
            services = bundle.services if bundle is not None else ()
            self._runs = _Runs(
                name,
                names=table.names_of(bundle) if bundle is not None else {},
                nginx=Service.NGINX in services,
                haproxy=Service.HAPROXY in services,
            )
            self._dear = False
        return self._runs
