"""Which servers somebody means, and what directors and proxies say of them: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from holdfast.agent.pool_servers import name_of
from holdfast.agent.weights import file_name
from holdfast.errors import UsageError
from holdfast.protocol import OverrideReport, PooledServer, WeighedServer
from holdfast.sentences import Sentence
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.overrides import Override, known_servers, nearest_server, servers_meant
from holdfast.spec.pool_users import nodes_of_pool


@dataclass(frozen=True)
class Meant:
    """Servers as the spec writes them: of a pool, in one virtual server or, without either, in all of these."""

    servers: tuple[str, ...]
    virtual_server: str | None = None
    pool: str | None = None

    def covers(self, override: Override) -> bool:
        """Whether an override is about one of them; those of single virtual servers are, where all are meant."""
        if override.server not in self.servers or override.pool != self.pool:
            return False
        return self.virtual_server in (None, override.virtual_server)

    @property
    def shown(self) -> str:
        """For people."""
        return ", ".join(f"{self.pool}/{server}" if self.pool else server for server in self.servers)


def split(server: str) -> tuple[str, str | None]:
    """`web/10.0.0.7:80`, a server of the pool web: the server, and the pool; without a pool None."""
    pool, slash, name = server.rpartition("/")
    return (name, pool) if slash else (server, None)


def meant(spec: ClusterSpec, server: str, virtual_server: str | None, pool: str | None = None) -> Meant:
    """What an operator means by `web01:80` or `web/web01:80`, ports left out or not; UsageError names what there is.

    A server that is behind virtual servers and in a pool, or in several pools, is not guessed at.
    """
    if pool is None:
        server, pool = split(server)
    if pool is not None:
        return _of_pool(spec, server, pool, virtual_server)
    if virtual_server is not None and virtual_server not in spec.virtual_servers:
        known = ", ".join(sorted(spec.virtual_servers)) or "none"
        hint = Sentence("known: %(known)s", known=known)
        if virtual_server in spec.pools:
            hint = Sentence(
                "'%(name)s' is a pool: name its server %(name)s/%(server)s, without --from",
                name=virtual_server, server=server,
            )  # fmt: skip
        raise UsageError(
            Sentence("there is no virtual server '%(virtual_server)s'", virtual_server=virtual_server), hint
        )
    found = servers_meant(spec, server, virtual_server)
    pools = () if virtual_server is not None else tuple(name for name in spec.pools if _in_pool(spec, server, name))
    if not found and len(pools) == 1:
        return _of_pool(spec, server, pools[0], None)
    if pools:
        raise UsageError(
            Sentence("'%(server)s' is in several places", server=server),
            Sentence("name one: %(places)s", places=_places(spec, server, found, pools)),
        )
    if not found:
        said = Sentence("no virtual server and no pool has a server '%(server)s'", server=server)
        if virtual_server:
            said = Sentence("'%(name)s' has no server '%(server)s'", name=virtual_server, server=server)
        raise UsageError(said, nearest_server(spec, server))
    return Meant(found, virtual_server)


def _of_pool(spec: ClusterSpec, server: str, pool: str, virtual_server: str | None) -> Meant:
    if virtual_server is not None:
        raise UsageError(
            Sentence("%(pool)s/%(server)s is a server of a pool", pool=pool, server=server),
            "leave --from out: it names a virtual server",
        )
    if pool not in spec.pools:
        raise UsageError(
            Sentence("there is no pool '%(pool)s'", pool=pool),
            Sentence("known: %(known)s", known=", ".join(sorted(spec.pools)) or "none"),
        )
    found = _in_pool(spec, server, pool)
    if not found:
        known = ", ".join(f"{pool}/{one.written}" for one in spec.pools[pool].servers[:12])
        raise UsageError(
            Sentence("pool '%(pool)s' has no server '%(server)s'", pool=pool, server=server),
            Sentence("known: %(known)s", known=known),
        )
    if not nodes_of_pool(spec, pool):
        raise UsageError(
            Sentence("no proxy sends anything to pool '%(pool)s'", pool=pool), "a route of a site has to name it first"
        )
    return Meant(found, pool=pool)


def _in_pool(spec: ClusterSpec, server: str, pool: str) -> tuple[str, ...]:
    servers = spec.pools[pool].servers
    exactly = tuple(one.written for one in servers if one.written == server)
    return exactly or tuple(one.written for one in servers if one.host == server)


def _places(spec: ClusterSpec, server: str, found: Iterable[str], pools: Iterable[str]) -> str:
    known = known_servers(spec)
    virtual = sorted({name for one in found for name in known[one]})
    several = [f"{pool}/{server}" for pool in pools] + [f"{server} --from {name}" for name in virtual]
    return ", or ".join(several)


def rows(report: OverrideReport, wanted: Meant) -> Iterator[WeighedServer | PooledServer]:
    """Of a node's report, those about these servers; of pools only what is overridden or down has a row."""
    if wanted.pool is not None:
        several = {name_of(server) for server in wanted.servers}
        yield from (row for row in report.pools if row.pool == wanted.pool and row.server in several)
        return
    names = {file_name(server) for server in wanted.servers}
    yield from (row for row in report.servers if row.server in names and wanted.virtual_server in (None, row.source))


def shown_by(report: OverrideReport, wanted: Meant, kind: str | None) -> bool:
    """Whether a node has all of these servers so (`kind` None: not overridden)."""
    mine = list(rows(report, wanted))
    kinds = [row.kind.value if row.kind else None for row in mine]
    if wanted.pool is None:
        return report.done and bool(mine) and all(each == kind for each in kinds)
    there = report.knows_pools and wanted.pool in report.pool_names
    right = not any(kinds) if kind is None else len(mine) >= len(wanted.servers) and all(k == kind for k in kinds)
    return report.done and there and right


def left(reports: Iterable[OverrideReport], wanted: Meant) -> int:
    """Connections that have not ended, as the holders of the addresses count them; of pools, on every proxy.

    Where sessions of drained servers stay, the clients that are bound to one count as well: they will be back.
    """
    total, several = 0, []
    for report in reports:
        for row in rows(report, wanted):
            if isinstance(row, PooledServer):
                total += row.open or 0
            else:
                several.append((report, row))
    counting = [pair for pair in several if pair[1].holds] or several
    return total + sum((row.open or 0) + (0 if report.sessions_end else row.persistent) for report, row in counting)
