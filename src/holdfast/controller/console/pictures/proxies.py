"""What proxies serve: listeners, sites, routes, and the pools with their servers as those see them who ask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from holdfast.protocol.api.overrides import OverrideView
from holdfast.protocol.reports import PoolFacts, ServerFacts
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.pools import Pool
from holdfast.spec.proxies import Proxy
from holdfast.spec.resolve import listener_addresses
from holdfast.spec.servers import Server
from holdfast.spec.sites import Route
from holdfast.spec.values import format_duration, join_host_port

from ...operations.situation import Situation
from ..words import N_
from .checks import CheckWords, check_words
from .servers import STATES, rest_of


@dataclass(frozen=True, slots=True)
class PoolSight:
    """A server of a pool as the prober of one node sees it."""

    node: str
    fresh: bool
    time: datetime
    up: bool
    in_use: bool
    last: str
    failures: int
    since: datetime | None = None  # when it became so; None: as it was found

    @property
    def state(self) -> str:
        """With which mark it is shown: before the first question nothing is known, whatever it begins with."""
        if not self.fresh or (self.up and not self.last):
            return "unknown"
        return "ok" if self.up else "bad"


@dataclass(frozen=True, slots=True)
class PoolUse:
    """A server of a pool that is overridden, as the proxy of one node has it."""

    node: str
    fresh: bool
    kind: str | None
    weight: int | None  # None: it gets no new requests
    as_wanted: bool
    open: int | None


@dataclass(frozen=True, slots=True)
class PoolServer:
    """A server of a pool."""

    written: str
    weight: int
    backup: bool
    max_connections: int | None
    word: str
    sights: tuple[PoolSight, ...]
    override: OverrideView | None = None
    uses: tuple[PoolUse, ...] = ()

    @property
    def state(self) -> str:
        """With which mark it is shown."""
        return STATES[self.word]

    @property
    def open(self) -> int | None:
        """What is not over, on all proxies that can be heard; None: nobody has counted."""
        counts = [one.open for one in self.uses if one.fresh and one.open is not None]
        return sum(counts) if counts else None

    @property
    def weight_now(self) -> int:
        """What it weighs for a while."""
        return self.override.weight if self.override and self.override.weight is not None else self.weight

    @property
    def since(self) -> datetime | None:
        """When it went down, by who saw it first."""
        return min((one.since for one in self.sights if one.fresh and not one.up and one.since), default=None)

    @property
    def last(self) -> str:
        """What became of the last question to it, where that was no good answer."""
        return next((one.last for one in self.sights if one.fresh and not one.up), "")


@dataclass(frozen=True, slots=True)
class PoolRow:
    """A pool: how a server is chosen, asked and tried again."""

    name: str
    balance: str
    check: CheckWords | None
    min_servers: int
    tries: int
    retry_on: tuple[str, ...]
    connect_timeout: str
    response_timeout: str
    servers: tuple[PoolServer, ...]
    sites: tuple[str, ...]
    engines: tuple[str, ...]
    word: str
    state: str

    @property
    def up(self) -> int:
        """How many are known to answer."""
        return sum(server.word == "in service" for server in self.servers)

    @property
    def words(self) -> str:
        """What a filter finds it by."""
        return " ".join((self.name, *self.sites, *(one.written for one in self.servers))).lower()


@dataclass(frozen=True, slots=True)
class RouteWords:
    """A route: when, and what happens then."""

    when: tuple[tuple[str, str], ...]
    pools: tuple[tuple[str, int], ...]  # with a percentage; 100: all
    then: str


@dataclass(frozen=True, slots=True)
class SiteRow:
    """A site: its hosts, and its routes of which the first that matches wins."""

    name: str
    hosts: tuple[str, ...]
    routes: tuple[RouteWords, ...]


@dataclass(frozen=True, slots=True)
class ListenerRow:
    """A socket that clients reach."""

    on: str
    endpoints: tuple[str, ...]
    tls: bool
    sites: tuple[SiteRow, ...]


@dataclass(frozen=True, slots=True)
class ProxyRow:
    """A tier of nginx or HAProxy."""

    name: str
    engine: str
    nodes: tuple[str, ...]
    silent: tuple[str, ...]
    listeners: tuple[ListenerRow, ...]

    @property
    def words(self) -> str:
        """What a filter finds it by."""
        hosts = [host for listener in self.listeners for site in listener.sites for host in (site.name, *site.hosts)]
        return " ".join((self.name, self.engine, *self.nodes, *hosts, *(one.on for one in self.listeners))).lower()


def proxies_of(seen: Situation) -> tuple[ProxyRow, ...]:
    """Every proxy of the newest spec, in its order."""
    if seen.spec is None:
        return ()
    return tuple(_proxy(seen, seen.spec, name, proxy) for name, proxy in seen.spec.proxies.items())


def pool_of(seen: Situation, name: str) -> PoolRow | None:
    """One of them; None: the spec has no such pool."""
    if seen.spec is None or name not in seen.spec.pools:
        return None
    return _pool(seen, seen.spec, name, seen.spec.pools[name])


def pools_of(seen: Situation) -> tuple[PoolRow, ...]:
    """Every pool of the newest spec, in its order."""
    if seen.spec is None:
        return ()
    return tuple(_pool(seen, seen.spec, name, pool) for name, pool in seen.spec.pools.items())


def _proxy(seen: Situation, spec: ClusterSpec, name: str, proxy: Proxy) -> ProxyRow:
    listeners = tuple(
        ListenerRow(
            on=join_host_port(one.on.target, one.on.port),
            endpoints=tuple(join_host_port(str(a), one.on.port) for a in listener_addresses(spec, one.on.target)),
            tls=one.tls,
            sites=tuple(_site(spec, site) for site in one.sites if site in spec.sites),
        )
        for one in proxy.listeners
    )
    silent = tuple(node for node in proxy.nodes if node not in seen.connected)
    return ProxyRow(name, proxy.engine, proxy.nodes, silent, listeners)


def _site(spec: ClusterSpec, name: str) -> SiteRow:
    site = spec.sites[name]
    return SiteRow(name, tuple(site.hosts), tuple(_route(route) for route in site.routes))


def _route(route: Route) -> RouteWords:
    pools = {route.to: 100} if isinstance(route.to, str) else route.to or {}
    then = ""
    if route.redirect:
        then = f"{route.redirect.status} → {route.redirect.to}"
    elif route.respond:
        then = f"{route.respond.status} {route.respond.body}".strip()
    return RouteWords(tuple(_conditions(route)), tuple(pools.items()), then)


def _conditions(route: Route) -> Iterable[tuple[str, str]]:
    """(field of the spec, value): the words of the spec are those that an operator knows."""
    if route.path is not None:
        yield "path", route.path
    if route.path_regex is not None:
        yield "path_regex", str(route.path_regex)
    for field in ("method", "user_agent", "source"):
        if value := getattr(route, field):
            yield field, ", ".join(str(one) for one in value)
    for field in ("header", "cookie"):
        for key, match in getattr(route, field).items():
            said = {name: value for name, value in match.model_dump().items() if value is not None}
            yield field, f"{key} {' '.join(f'{name} {value}' for name, value in said.items())}"


def _pool(seen: Situation, spec: ClusterSpec, name: str, pool: Pool) -> PoolRow:
    sites = tuple(site for site, found in spec.sites.items() if name in _pools_of(found.routes))
    engines = {
        proxy.engine: None
        for proxy in spec.proxies.values()
        if any(site in sites for listener in proxy.listeners for site in listener.sites)
    }
    told = [
        (node, facts)
        for node, heard in sorted(seen.heard.items())
        for facts in (heard.report.status.pools if heard.report.status else ())
        if facts.pool == name
    ]
    servers = tuple(_server(seen, name, pool, server, told) for server in pool.servers)
    word, state = _status(servers)
    return PoolRow(
        name=name,
        balance=pool.balance,
        check=check_words(pool.check),
        min_servers=pool.min_servers,
        tries=pool.tries,
        retry_on=pool.retry_on,
        connect_timeout=format_duration(pool.connect_timeout),
        response_timeout=format_duration(pool.response_timeout),
        servers=servers,
        sites=sites,
        engines=tuple(engines),
        word=word,
        state=state,
    )


def _pools_of(routes: Iterable[Route]) -> set[str]:
    return {pool for route in routes for pool in ({route.to} if isinstance(route.to, str) else set(route.to or {}))}


def _server(seen: Situation, name: str, pool: Pool, server: Server, told: list[tuple[str, PoolFacts]]) -> PoolServer:
    sights = tuple(
        _sight(seen, node, one) for node, facts in told for one in facts.servers if one.name == _named(server)
    )
    override = override_in_pool(seen.told.overrides, name, server.written)
    uses = tuple(_uses(seen, name, server)) if override else ()
    fresh_uses = [one for one in uses if one.fresh]
    return PoolServer(
        written=server.written,
        weight=server.weight,
        backup=server.backup,
        max_connections=server.max_connections,
        word=_decided(override, fresh_uses) or _word(pool, [one for one in sights if one.fresh]),
        sights=sights,
        override=override,
        uses=uses,
    )


def override_in_pool(overrides: Iterable[OverrideView], pool: str, server: str) -> OverrideView | None:
    """What is in force for a server of a pool."""
    there = [one for one in overrides if (one.pool, one.target) == (pool, server) and not one.over]
    return max(there, key=lambda one: one.since, default=None)


def _uses(seen: Situation, pool: str, server: Server) -> Iterable[PoolUse]:
    for node, heard in sorted(seen.heard.items()):
        for row in heard.report.overrides.pools if heard.report.overrides else ():
            if (row.pool, row.server) == (pool, _named(server)):
                kind = row.kind.value if row.kind else None
                yield PoolUse(node, node in seen.connected, kind, row.weight, row.as_wanted, row.open)


def _decided(override: OverrideView | None, fresh: list[PoolUse]) -> str:
    """The word for one that somebody took out; empty: its checks have the word."""
    if override is None or override.kind.value not in ("drained", "suspended"):
        return ""
    done = fresh and all(one.kind == override.kind.value and one.as_wanted and one.weight is None for one in fresh)
    if done:
        return override.kind.value
    return "being drained" if override.kind.value == "drained" else "being changed"


def _named(server: Server) -> str:
    """As bundles name the servers of pools."""
    return f"{server.host.replace(':', '-').replace('.', '-')}-{server.port}"


def _sight(seen: Situation, node: str, one: ServerFacts) -> PoolSight:
    fresh = node in seen.connected
    return PoolSight(node, fresh, seen.heard[node].time, one.up, one.in_use, one.told, one.failures, _moment(one.since))


def _moment(text: str | None) -> datetime | None:
    """As agents write it; what cannot be read is not known."""
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)


def _word(pool: Pool, fresh: list[PoolSight]) -> str:
    if not fresh:
        return "not known" if pool.check else "not checked"
    up = [one.up for one in fresh]
    if all(up):
        return "in service" if all(one.last for one in fresh) else "not checked"
    return "partly down" if any(up) else "down"


def _status(servers: tuple[PoolServer, ...]) -> tuple[str, str]:
    """(word, mark)."""
    words = {server.word for server in servers}
    if words <= {"not known", "not checked"}:
        word = "not known" if "not known" in words else "not checked"
        return word, STATES[word]
    if not words & {"in service", "not checked", "not known", "partly down"}:
        return N_("no server left"), "bad"
    if words & {"down", "partly down"}:
        return N_("some servers are down"), "warning"
    state, word = rest_of(words)
    return word, state
