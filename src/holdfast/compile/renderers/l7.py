"""What both L7 engines are told: a site's routes as conditions, ends and backends, before any engine's words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from holdfast.compile.node_view import ListenerView, PoolView, ProxyView, SiteView
from holdfast.compile.rendering import Refusal
from holdfast.sentences import Sentence
from holdfast.spec.sites import Route, Sticky, ValueMatch
from holdfast.spec.values import join_host_port

# RFC 9110, 9.2.2, as nginx draws the line: these are never sent a second time once a server has seen them.
NON_IDEMPOTENT = ("POST", "LOCK", "PATCH")

MAX_CONDITIONS = 40  # of one route; a line of haproxy.cfg has 64 words at most

# TLS 1.2, forward secrecy and authenticated encryption only (Mozilla's "intermediate"); TLS 1.3 has its own.
TLS_CIPHERS = ":".join(
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
    )
)


@dataclass(frozen=True)
class PathPrefix:
    """The decoded, normalised path is `prefix` or lies below it; one that ends in `/` takes only what lies below."""

    prefix: str


@dataclass(frozen=True)
class PathRegex:
    """The decoded, normalised path matches `regex` somewhere, with case."""

    regex: str


@dataclass(frozen=True)
class UserAgent:
    """The User-Agent contains one of `words`, without case."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Header:
    """The first header called `name` (lower case) satisfies `match`; empty counts as absent."""

    name: str
    match: ValueMatch


@dataclass(frozen=True)
class Cookie:
    """The first cookie called `name` satisfies `match`; empty counts as absent."""

    name: str
    match: ValueMatch


@dataclass(frozen=True)
class Methods:
    """The method is one of `names`."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Sources:
    """The client's address lies in one of `networks`."""

    networks: tuple[IPv4Network | IPv6Network, ...]


Condition = PathPrefix | PathRegex | UserAgent | Header | Cookie | Methods | Sources


@dataclass(frozen=True)
class Backend:
    """A pool as one kind of stickiness uses it: an upstream of nginx, a backend of HAProxy."""

    pool: str
    sticky: str = ""  # "", "source" or "cookie"
    cookie: str = ""

    @property
    def name(self) -> str:
        """Unique: pool names have no dots."""
        return ".".join(part for part in (self.pool, self.sticky, self.cookie) if part)


@dataclass(frozen=True)
class Share:
    """A backend's part of a route's requests, in percent; never 0."""

    backend: Backend
    percent: int


@dataclass(frozen=True)
class PlannedRoute:
    """A route that can be reached. `index` counts from 0, as in `sites.NAME.routes[index]` and in the access log.

    `shares` is empty for a redirect or an answer.
    """

    index: int
    route: Route
    conditions: tuple[Condition, ...]
    shares: tuple[Share, ...]


def value_regex(literal: str) -> str:
    """`literal` inside a PCRE pattern, as bytes: everything that could mean something is escaped."""
    return re.sub(r"([^A-Za-z0-9_/\x80-\U0010ffff])", r"\\\1", literal)


def conditions_of(route: Route) -> tuple[Condition, ...]:
    """All that must hold, the cheapest first; empty for a route that takes everything."""
    found: list[Condition] = []
    if route.method:
        found.append(Methods(route.method))
    if route.path not in (None, "/"):
        assert route.path is not None
        found.append(PathPrefix(route.path))
    if route.source:
        found.append(Sources(route.source))
    found += [Header(name.lower(), match) for name, match in route.header.items()]
    found += [Cookie(name, match) for name, match in route.cookie.items()]
    if route.user_agent:
        found.append(UserAgent(route.user_agent))
    if route.path_regex:
        found.append(PathRegex(route.path_regex))
    return tuple(found)


def backend_of(pool: str, sticky: Sticky | None) -> Backend:
    """The backend of `pool` under a route's stickiness; keeping only the variant leaves the server to the balance."""
    if sticky is None or "server" not in sticky.keeps:
        return Backend(pool)
    if sticky.cookie is not None:
        return Backend(pool, "cookie", sticky.cookie)
    return Backend(pool, "source")


def planned_routes(site: SiteView) -> tuple[PlannedRoute, ...]:
    """The site's routes up to the first that takes everything; what stands behind that is never reached."""
    planned = []
    for index, route in enumerate(site.routes):
        shares = tuple(
            Share(backend_of(pool, route.sticky), percent) for pool, percent in route.split.items() if percent
        )
        planned.append(PlannedRoute(index, route, conditions_of(route), shares))
        if not planned[-1].conditions:
            break
    return tuple(planned)


def backends(proxies: tuple[ProxyView, ...]) -> dict[Backend, PoolView]:
    """Every backend that a route of these proxies uses, with its pool, sorted by name."""
    pools = {pool.name: pool for proxy in proxies for pool in proxy.pools}
    used = {
        share.backend
        for proxy in proxies
        for listener in proxy.listeners
        for site in listener.sites
        for planned in planned_routes(site)
        for share in planned.shares
    }
    return {backend: pools[backend.pool] for backend in sorted(used, key=lambda backend: backend.name)}


def sites_of(proxies: tuple[ProxyView, ...]) -> dict[str, SiteView]:
    """The sites of these proxies by name, in order of first appearance."""
    found: dict[str, SiteView] = {}
    for proxy in proxies:
        for listener in proxy.listeners:
            for site in listener.sites:
                found.setdefault(site.name, site)
    return found


def refusals(proxies: tuple[ProxyView, ...]) -> Iterator[Refusal]:
    """What neither engine can mean in the same way as the other."""
    yield from _sockets_taken_twice(proxies)
    for proxy in proxies:
        for listener in proxy.listeners:
            yield from _listener_refusals(proxy, listener)
    for site in sites_of(proxies).values():
        for index, route in enumerate(site.routes):
            if len(conditions_of(route)) > MAX_CONDITIONS:
                yield Refusal(
                    f"sites.{site.name}.routes[{index}]",
                    Sentence(
                        "the route has more than %(max_conditions)s conditions, which no line of haproxy.cfg can hold",
                        max_conditions=MAX_CONDITIONS,
                    ),
                    Sentence("use fewer headers and cookies"),
                )
            if any(name.lower() == "x-forwarded-for" for name in route.header):
                yield Refusal(
                    f"sites.{site.name}.routes[{index}].header",
                    Sentence(
                        "nginx joins repeated X-Forwarded-For headers and HAProxy reads the "
                        "first, so a condition on it has two meanings"
                    ),
                    Sentence("match on `source`, or on a header that the tier in front sets once"),
                )


def _sockets_taken_twice(proxies: tuple[ProxyView, ...]) -> Iterator[Refusal]:
    sockets = [
        (
            f"proxies.{proxy.name}.listeners",
            Sentence("listener %(name)s", name=listener.name),
            str(address),
            listener.port,
        )
        for proxy in proxies
        for listener in proxy.listeners
        for address in listener.addresses
    ]
    # Equal health addresses of two proxies are one: it says that the program runs, and that is one program.
    healths = {proxy.health: proxy.name for proxy in reversed(proxies) if proxy.health}
    sockets += [
        (f"proxies.{name}.health", Sentence("the health address"), str(health.address), health.port)
        for health, name in healths.items()
    ]
    taken: dict[tuple[str, int], str] = {}
    for field, what, address, port in sockets:
        if (address, port) in taken:
            message = Sentence(
                "%(what)s and %(taken)s both need %(socket)s",
                what=what,
                taken=taken[address, port],
                socket=join_host_port(address, port),
            )
            yield Refusal(field, message, Sentence("change the port of one of them"))
        taken.setdefault((address, port), what)


def _listener_refusals(proxy: ProxyView, listener: ListenerView) -> Iterator[Refusal]:
    hosts = Counter(host for site in listener.sites for host in site.hosts or ("",))
    for host in sorted(host for host, count in hosts.items() if count > 1):
        what = Sentence("requests for hosts that nobody names are taken")
        if host:
            what = Sentence("host %(host)s is named", host=host)
        yield Refusal(
            f"proxies.{proxy.name}.listeners",
            Sentence("%(what)s by more than one site of listener %(name)s", what=what, name=listener.name),
            Sentence("leave the host to one site; a listener has one site without hosts at most"),
        )
    for site in listener.sites:
        if listener.tls and not site.certificate:
            yield Refusal(
                f"sites.{site.name}.certificate",
                Sentence("listener %(name)s speaks TLS, but the site names no certificate", name=listener.name),
                Sentence("add `certificate: NAME`, with NAME.crt and NAME.key in the nodes' /etc/holdfast/tls"),
            )
