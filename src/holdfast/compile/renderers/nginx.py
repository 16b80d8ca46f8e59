"""nginx: one file with every proxy tier of a node that nginx serves (verified on 1.22)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.bundle import CONFIG_DIR, LOG_DIR, NGINX_SERVERS_DIR, RUN_DIR, STATE_DIR, TLS_DIR, BundleFile
from holdfast.compile.node_view import HealthView, ListenerView, NodeView, PoolView, ProxyView, ServerView, SiteView
from holdfast.compile.rendering import Refusal, Rendering, ownership, template
from holdfast.sentences import Sentence
from holdfast.spec.pools import RetryCondition
from holdfast.spec.values import join_host_port

from . import l7
from .l7 import Backend, PlannedRoute
from .l7_nginx_maps import Block, Maps

PATH = f"{CONFIG_DIR}/nginx/nginx.conf"
# nginx makes its temporary folders itself, but not what they stand in.
FOLDERS = (f"{STATE_DIR}/nginx", f"{RUN_DIR}/nginx", f"{LOG_DIR}/nginx")

# `http_429` and the like are nginx's own words; an unreadable answer is an error as much as none at all.
_NEXT_UPSTREAM = {"error": ("error", "invalid_header"), "timeout": ("timeout",)}
_PASSIVE_FAIL_S = 10  # nginx's own default, for pools without a check

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NAME = re.compile(r"^[A-Za-z0-9._:*-]+$")
_VARIABLE = re.compile(r"\$\{?[a-z][a-z0-9_]*\}?")


@dataclass(frozen=True)
class Upstream:
    """An `upstream` block. `hash` is what keeps a client where it is, or nothing."""

    backend: Backend
    pool: PoolView
    hash: str
    fail_timeout_s: int

    @property
    def zone_kb(self) -> int:
        """Shared memory for the state of its servers: about 1 kB each, measured, and room for some more."""
        return 64 * (1 + -(-len(self.pool.servers) // 32))

    @property
    def server_lines(self) -> tuple[str, ...]:
        """Its servers, a line each."""
        return tuple(_server_line(server, self.fail_timeout_s) for server in self.pool.servers)


@dataclass(frozen=True)
class End:
    """A named location: where the requests of one route (and one variant of it) end."""

    name: str
    route: int
    backend: Backend | None = None
    pool: PoolView | None = None
    next_upstream: tuple[str, ...] = ()
    set_cookie: str = ""  # a variable, or nothing
    status: int = 0
    text: str = ""  # of an answer or a redirect; has nginx variables only in a redirect
    redirect: bool = False
    needs_host: bool = False


@dataclass(frozen=True)
class Server:
    """A `server` block: one site on one listener."""

    proxy: ProxyView
    listener: ListenerView
    site: SiteView
    jump: str  # the variable that names the end
    ends: tuple[End, ...]


def quoted(value: object) -> str:
    """`value` as a quoted word. ValueError for what nginx.conf cannot carry."""
    text = str(value)
    if _CONTROL.search(text):
        raise ValueError(f"{text!r} has control characters, which nginx.conf cannot carry")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal(value: object) -> str:
    """`value` quoted for a place where nginx would expand variables; `$` cannot be escaped there: ValueError."""
    if "$" in str(value):
        raise ValueError(f"{value!r} contains '$', which nginx would take for a variable")
    return quoted(value)


def expanded(value: object) -> str:
    """`value` quoted, with variables of this renderer's making in it; any other `$` is a ValueError."""
    if "$" in _VARIABLE.sub("", str(value)):
        raise ValueError(f"{value!r} contains a '$' that starts no variable")
    return quoted(value)


def name(value: object) -> str:
    """`value` as a bare word; ValueError where it would need quotes."""
    if not _NAME.match(str(value)):
        raise ValueError(f"{value!r} is not a plain name")
    return str(value)


def comment(value: object) -> str:
    """`value` behind a `#`; ValueError where it would end the line."""
    if _CONTROL.search(str(value)):
        raise ValueError(f"{value!r} has control characters")
    return str(value)


def _server_line(server: ServerView, fail_timeout_s: int) -> str:
    limit = f" max_conns={server.max_connections}" if server.max_connections else ""
    return (
        f"server {endpoint(server.address, server.port)} weight={server.weight}{limit} max_fails=1"
        f" fail_timeout={fail_timeout_s}s{' backup' if server.backup else ''}; # {comment(server.name)}"
    )


def endpoint(address: object, port: int) -> str:
    """`address:port` as nginx and HAProxy both write it, IPv6 in brackets."""
    return join_host_port(str(address), port)


def render(view: NodeView) -> Rendering:
    """The node's nginx.conf, or nothing where no proxy of the node runs nginx."""
    proxies = view.engines("nginx")
    if not proxies:
        return Rendering()
    backends = l7.backends(proxies)
    refused = (*l7.refusals(proxies), *_refusals(proxies, backends))
    if refused:
        return Rendering(refusals=refused)
    maps = Maps()
    servers = tuple(_servers(proxies, backends, maps))
    upstreams = tuple(_upstream(backend, pool, maps) for backend, pool in backends.items())
    filters = {"q": quoted, "literal": literal, "expanded": expanded, "name": name, "comment": comment}
    write = template("nginx.conf.j2", filters)
    content = write(
        ownership=ownership(view.cluster, view.node),
        blocks=_in_order_of_need(maps.blocks),
        upstreams=upstreams,
        servers=servers,
        strays=tuple(_strays(proxies)),
        healths=_healths(proxies),
        endpoint=endpoint,
        tls_dir=TLS_DIR,
        tls_ciphers=l7.TLS_CIPHERS,
        state=f"{STATE_DIR}/nginx",
        run=f"{RUN_DIR}/nginx",
        log=f"{LOG_DIR}/nginx",
    )
    lists = (_server_list(view, upstream) for upstream in upstreams)
    return Rendering(files=(BundleFile(path=PATH, content=content), *lists))


def _server_list(view: NodeView, upstream: Upstream) -> BundleFile:
    """The servers of a pool in a file of their own: the agent marks in it which are down, and what they weigh now."""
    explained = "# State: the node's prober, and operators' overrides, set `down`; overrides set weights."
    lines = [ownership(view.cluster, view.node), explained, *upstream.server_lines]
    path = f"{NGINX_SERVERS_DIR}/{name(upstream.backend.name)}.conf"
    return BundleFile(path=path, content="\n".join(lines) + "\n", state=True)


def _in_order_of_need(blocks: list[Block]) -> tuple[Block, ...]:
    """Conditions first, what is made of them after; nginx itself does not mind."""
    rank = ("c", "all", "cookie", "id", "set_cookie", "split", "route")
    return tuple(sorted(blocks, key=lambda block: rank.index(block.variable.removeprefix("hf_").rstrip("0123456789"))))


def _refusals(proxies: tuple[ProxyView, ...], backends: dict[Backend, PoolView]) -> Iterator[Refusal]:
    seen = set()
    for backend, pool in backends.items():
        if not backend.sticky and pool.balance != "source":
            continue
        why = "`balance: source`" if pool.balance == "source" else f"`sticky: {backend.sticky}`"
        for index, server in enumerate(pool.servers):
            if server.backup and (pool.name, index) not in seen:
                seen.add((pool.name, index))
                yield Refusal(
                    f"pools.{pool.name}.servers[{index}].backup",
                    Sentence(
                        "nginx has no backup servers where clients are kept on a server by a hash (%(why)s)", why=why
                    ),
                    Sentence("leave `backup` or the stickiness out, or use `engine: haproxy`"),
                )
    for site in l7.sites_of(proxies).values():
        for index, route in enumerate(site.routes):
            if route.respond and route.respond.status == 444:
                yield Refusal(
                    f"sites.{site.name}.routes[{index}].respond",
                    Sentence("nginx closes the connection without an answer where it should answer 444"),
                    Sentence("use another status, such as 403"),
                )


def _upstream(backend: Backend, pool: PoolView, maps: Maps) -> Upstream:
    if backend.sticky == "cookie":
        key = "$" + maps.client_id(backend.cookie)
    else:
        key = "$binary_remote_addr" if backend.sticky or pool.balance == "source" else ""
    fail_timeout = -(-pool.check.every * pool.check.rise // 1000) if pool.check else _PASSIVE_FAIL_S
    return Upstream(backend, pool, key, fail_timeout)


def _servers(proxies: tuple[ProxyView, ...], backends: dict[Backend, PoolView], maps: Maps) -> Iterator[Server]:
    for proxy in proxies:
        for listener in proxy.listeners:
            for site in listener.sites:
                routes = l7.planned_routes(site)
                ends = tuple(end for planned in routes for end in _ends(planned, backends, maps))
                yield Server(proxy, listener, site, maps.routes(site.name, routes), ends)


def _ends(planned: PlannedRoute, backends: dict[Backend, PoolView], maps: Maps) -> Iterator[End]:
    route, name, index = planned.route, str(planned.index), planned.index
    if route.redirect:
        to = route.redirect.to.replace("{host}", "${host}").replace("{uri}", "${request_uri}")
        needs_host = "{host}" in route.redirect.to
        yield End(name, index, status=route.redirect.status, text=to, redirect=True, needs_host=needs_host)
    if route.respond:
        yield End(name, index, status=route.respond.status, text=route.respond.body)
    cookie = route.sticky.cookie if route.sticky else None
    for share in planned.shares:
        pool = backends[share.backend]
        yield End(
            name=f"{index}.{share.backend.name}",
            route=index,
            backend=share.backend,
            pool=pool,
            next_upstream=_next_upstream(pool.retry_on),
            set_cookie=maps.set_cookie(cookie) if cookie else "",
        )


def _next_upstream(conditions: tuple[RetryCondition, ...]) -> tuple[str, ...]:
    """nginx's words, in the order given; `off` for none."""
    words = [word for condition in conditions for word in _NEXT_UPSTREAM.get(condition, (condition,))]
    return tuple(words) or ("off",)


def _strays(proxies: tuple[ProxyView, ...]) -> Iterator[tuple[ProxyView, ListenerView]]:
    """Listeners where requests for unknown hosts have no site of their own."""
    for proxy in proxies:
        for listener in proxy.listeners:
            if all(site.hosts for site in listener.sites):
                yield proxy, listener


def _healths(proxies: tuple[ProxyView, ...]) -> tuple[HealthView, ...]:
    return tuple(dict.fromkeys(proxy.health for proxy in proxies if proxy.health))
