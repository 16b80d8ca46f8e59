"""The same sites on both engines, side by side, and what each made of the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.differential.l7_bench import Answer, Bench, Seen
from tests.differential.l7_views import ADDRESS, PORT, pool, server, view

from holdfast.bundle import BundleFile
from holdfast.compile.node_view import NodeView, PoolView, SiteView
from holdfast.compile.renderers import haproxy, nginx

ENGINES = ("nginx", "haproxy")
RENDER = {"nginx": nginx.render, "haproxy": haproxy.render}
POOLS = ("p0", "p1", "p2", "p3", "p4", "p5")
SERVERS = {
    name: tuple(server(f"{name}-{number}", f"127.0.{100 + at}.{number}") for number in (1, 2, 3))
    for at, name in enumerate(POOLS)
}


def pools(count: int = 3, **fields: Any) -> tuple[PoolView, ...]:
    """All six pools with their first `count` servers."""
    return tuple(pool(name, SERVERS[name][:count], **fields) for name in POOLS)


def rendered(written: NodeView) -> tuple[BundleFile, ...]:
    """The files of the view's engine, which must refuse nothing; its configuration is the first."""
    rendering = RENDER[written.proxies[0].engine](written)
    assert not rendering.refusals, rendering.refusals
    return rendering.files


@dataclass(frozen=True)
class Outcome:
    """What must be equal: what the client was told, and what a server saw."""

    status: int  # hundreds; closed without an answer counts as refused, and so does 505: both like 400
    location: tuple[str, ...]
    body: bytes  # of an answer without a server that is not an error page
    pool: str
    asked: tuple[str, ...]  # method and target as the servers got them

    @classmethod
    def of(cls, answer: Answer, seen: list[Seen]) -> Outcome:
        own = b"" if seen or b"<html>" in answer.body else answer.body
        return cls(
            status=4 if answer.status in (0, 505) else answer.status // 100,
            location=tuple(answer.header("location")),
            body=own,
            pool=seen[0].pool if seen else "",
            asked=tuple(one.asked for one in seen),
        )


@dataclass
class Pair:
    """Both engines, running."""

    bench: Bench

    def outcome(self, engine: str, data: bytes) -> Outcome:
        self.bench.seen()
        answer = self.bench.send(ADDRESS[engine], PORT, data)
        return Outcome.of(answer, self.bench.seen())

    def both(self, data: bytes) -> tuple[Outcome, Outcome]:
        return self.outcome("nginx", data), self.outcome("haproxy", data)

    def agree(self, requests: Iterable[bytes]) -> None:
        """Fail with every request that the engines treat differently."""
        told = []
        for data in requests:
            left, right = self.both(data)
            if left != right:
                told.append(f"{data!r}\n  nginx:   {left}\n  haproxy: {right}")
        assert not told, "\n".join(told)


@contextmanager
def pair(bench: Bench, sites: Iterable[SiteView], used: Iterable[PoolView] = (), **fields: Any) -> Iterator[Pair]:
    """Both engines on `sites`, each on its own address."""
    sites, used = tuple(sites), tuple(used) or pools()
    with ExitStack() as stack:
        for engine in ENGINES:
            files = rendered(view(engine, sites, used, **fields))
            stack.enter_context(bench.running(engine, files, ADDRESS[engine], PORT))
        yield Pair(bench)
