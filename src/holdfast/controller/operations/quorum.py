"""What becomes of a virtual server that an override leaves with too little weight: pure.

What a track file takes from a weight, keepalived takes from the quorum. Once that is lost and there is a sorry server,
all the others leave the kernel's table; with `failed: weightless` they stay in it at weight 0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from holdfast.agent.pool_servers import name_of
from holdfast.agent.weights import file_name
from holdfast.protocol import OverrideReport
from holdfast.sentences import Sentence
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.overrides import Override, known_servers
from holdfast.spec.virtual_servers import VirtualServer

from .servers import Meant

_OUT = ("drained", "suspended")


def too_few(
    spec: ClusterSpec, overrides: Collection[Override], wanted: Meant, reports: Iterable[OverrideReport]
) -> tuple[str, ...]:
    """A sentence for each virtual server, and for the pool, that has too few left once `overrides` are in force."""
    if wanted.pool is None:
        return emptied(spec, overrides, wanted.servers, wanted.virtual_server, reports)
    return thinned(spec, overrides, wanted.pool, reports)


def thinned(
    spec: ClusterSpec, overrides: Iterable[Override], pool: str, reports: Iterable[OverrideReport]
) -> tuple[str, ...]:
    """A sentence for a pool that would be left with fewer servers than its `min_servers`: pure.

    A server that any proxy finds down does not count.
    """
    found = spec.pools[pool]
    out = {each.server for each in overrides if each.pool == pool and each.kind in _OUT}
    down = {row.server for report in reports for row in report.pools if row.pool == pool and row.up is False}
    staying = [one.written for one in found.servers if one.written not in out]
    up = [server for server in staying if name_of(server) not in down]
    if len(up) >= found.min_servers:
        return ()
    if not up:
        return (Sentence("no server of pool '%(pool)s' would be left that is up: nobody would answer", pool=pool),)
    values = {"pool": pool, "servers": ", ".join(up[:5])}
    if len(up) == 1:
        return (
            Sentence(
                "pool '%(pool)s' is left with 1 server (%(servers)s), below its min_servers of %(floor)s",
                **values, floor=found.min_servers,
            ),
        )  # fmt: skip
    return (
        Sentence(
            "pool '%(pool)s' is left with %(n)s servers (%(servers)s), below its min_servers of %(floor)s",
            **values, n=len(up), floor=found.min_servers,
        ),
    )  # fmt: skip


def emptied(
    spec: ClusterSpec,
    overrides: Collection[Override],
    servers: Collection[str],
    virtual_server: str | None,
    reports: Iterable[OverrideReport],
) -> tuple[str, ...]:
    """A sentence for each virtual server that loses its last server, or its quorum, once `overrides` are in force.

    `reports` say what the directors' kernels have now; without any the spec's weights count.
    """
    known, several = known_servers(spec), tuple(reports)
    names = sorted({vs for server in servers for vs in known[server] if virtual_server in (None, vs)})
    return tuple(sentence for name in names if (sentence := _sentence(spec, name, overrides, servers, several)))


def _sentence(
    spec: ClusterSpec,
    name: str,
    overrides: Collection[Override],
    servers: Collection[str],
    reports: Collection[OverrideReport],
) -> str:
    vs = spec.virtual_servers[name]
    after = {each.written: _weight(each.written, each.weight, name, overrides) for each in vs.servers}
    left = _left(name, after, servers, reports)
    floor = vs.quorum.weight - vs.quorum.hysteresis if vs.sorry else 1
    if left > 0 and left >= floor:
        return ""
    who = ", ".join(server for server in servers if server in after)
    told = {"name": name, "then": _then(vs)}
    if left > 0:
        return Sentence(
            "'%(name)s' is left with a weight of %(left)s, below its quorum of %(floor)s: %(then)s",
            **told, left=left, floor=vs.quorum.weight,
        )  # fmt: skip
    if any(after.values()):
        return Sentence("%(server)s is the last server that is up of '%(name)s': %(then)s", **told, server=who)
    return Sentence("%(server)s is the only server left of '%(name)s': %(then)s", **told, server=who)


def _then(vs: VirtualServer) -> str:
    if vs.sorry is None:
        return Sentence("nobody would answer")
    server = vs.sorry.written
    if vs.failed == "weightless":
        return Sentence("its sorry server %(server)s would answer", server=server)
    return Sentence(
        "its sorry server %(server)s would answer, and the connections that its servers have are reset: "
        "keepalived takes all out of the table",
        server=server,
    )


def _left(name: str, after: Mapping[str, int], servers: Collection[str], reports: Collection[OverrideReport]) -> int:
    """The weight that is left: what the director has that sees most; of two families, that of the poorer one."""
    if not reports:
        return sum(after.values())
    wanted = {file_name(server): weight for server, weight in after.items()}
    changed = {file_name(server) for server in servers if server in after}
    most: dict[str, int] = defaultdict(int)
    for view, total in _totals(name, wanted, changed, reports):
        most[view] = max(most[view], total)
    return min(most.values(), default=sum(after.values()))


def _totals(
    name: str, wanted: Mapping[str, int], changed: Collection[str], reports: Iterable[OverrideReport]
) -> Iterator[tuple[str, int]]:
    """For each director, each virtual server in its kernel that has one of the changed servers, and its weight then."""
    for report in reports:
        views = {row.virtual_server for row in report.servers if row.source == name and row.server in changed}
        for view in views:
            rows = [row for row in report.servers if row.virtual_server == view]
            yield view, sum(wanted.get(row.server, 0) for row in rows if row.server in changed or row.weight)


def _weight(server: str, base: int, virtual_server: str, overrides: Iterable[Override]) -> int:
    of = {each.virtual_server: each for each in overrides if each.server == server and each.pool is None}
    found = of.get(virtual_server, of.get(None))
    if found is None:
        return base
    return 0 if found.kind in _OUT else found.weight or 0
