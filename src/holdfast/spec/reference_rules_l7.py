"""Rules about proxies, sites and pools."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.findings import Severity

from .cluster import ClusterSpec
from .mistakes import Mistake, unknown
from .positions import Path
from .resolve import listener_addresses
from .sites import Route
from .values import as_address


def servers_exist(spec: ClusterSpec) -> Iterator[Mistake]:
    """A server is a node of the spec or an IP address: names that DNS decides would change behind the plan's back."""
    for pool_name, pool in spec.pools.items():
        for index, server in enumerate(pool.servers):
            if server.host not in spec.nodes and as_address(server.host) is None:
                path = ("pools", pool_name, "servers", index)
                yield unknown("POOL001", path, "node", server.host, spec.nodes)


def pools_exist(spec: ClusterSpec) -> Iterator[Mistake]:
    """A route sends to pools of the spec; pools that nothing uses are likely forgotten ones."""
    used: set[str] = set()
    for site_name, site in spec.sites.items():
        for index, route in enumerate(site.routes):
            for pool in route.split:
                used.add(pool)
                if pool not in spec.pools:
                    path = ("sites", site_name, "routes", index, "to", pool)
                    yield unknown("SITE001", path, "pool", pool, spec.pools)
    for name in spec.pools:
        if name not in used:
            yield Mistake(
                "POOL002", ("pools", name), f"no route sends anything to pool '{name}'", severity=Severity.WARNING
            )


def routes_can_match(spec: ClusterSpec) -> Iterator[Mistake]:
    """First match wins, so what stands behind a route for everything never gets a request."""
    for site_name, site in spec.sites.items():
        for index, route in enumerate(site.routes[:-1]):
            if route.is_everything:
                yield Mistake(
                    "SITE002", ("sites", site_name, "routes", index + 1),
                    f"this route is never reached: route {index + 1} of '{site_name}' takes everything",
                    "move the route that takes everything to the end", Severity.WARNING,
                )  # fmt: skip
                break


def proxies_are_complete(spec: ClusterSpec) -> Iterator[Mistake]:
    """Nodes, sites and addresses of a proxy exist, and its nodes may hold what it listens on."""
    for name, proxy in spec.proxies.items():
        for index, node in enumerate(proxy.nodes):
            if node not in spec.nodes:
                yield unknown("PROXY001", ("proxies", name, "nodes", index), "node", node, spec.nodes)
        for index, listener in enumerate(proxy.listeners):
            path = ("proxies", name, "listeners", index)
            for number, site in enumerate(listener.sites):
                if site not in spec.sites:
                    yield unknown("PROXY002", (*path, "sites", number), "site", site, spec.sites)
            group = listener.on.group
            if group is None:
                continue
            if group not in spec.vrrp:
                yield unknown("PROXY003", (*path, "on"), "VRRP group", group, spec.vrrp)
                continue
            if not listener_addresses(spec, listener.on.target):
                known = spec.vrrp[group].addresses
                wanted = listener.on.address_name or ""
                yield unknown("PROXY004", (*path, "on"), f"address of '{group}' named", wanted, known)
            for node in sorted(set(proxy.nodes) - set(spec.vrrp[group].members)):
                yield Mistake(
                    "PROXY005", (*path, "on"), f"'{node}' runs this proxy, but never holds '{group}'",
                    f"add it to vrrp.{group}.nodes, or take it out of proxies.{name}.nodes",
                )  # fmt: skip


def hosts_are_clear(spec: ClusterSpec) -> Iterator[Mistake]:
    """On one listener each host has one site, and one site at most takes the rest."""
    for name, proxy in spec.proxies.items():
        for index, listener in enumerate(proxy.listeners):
            seen: dict[str, str] = {}
            for number, site_name in enumerate(listener.sites):
                path = ("proxies", name, "listeners", index, "sites", number)
                site = spec.sites.get(site_name)
                for host in (site.hosts or ("",)) if site else ():
                    if host in seen:
                        what = f"the host {host}" if host else "every other host"
                        yield Mistake("PROXY006", path, f"{what} is taken by site '{seen[host]}' on this listener")
                    seen[host] = site_name
                if site and listener.tls and not site.certificate:
                    yield Mistake(
                        "PROXY007", path, f"the listener speaks TLS, but site '{site_name}' names no certificate",
                        f"add `certificate: NAME` to sites.{site_name}",
                    )  # fmt: skip


def sockets_are_free(spec: ClusterSpec) -> Iterator[Mistake]:
    """On one node every address and port belongs to one proxy."""
    taken: dict[tuple[str, str, int], str] = {}
    for name, proxy in spec.proxies.items():
        sockets: list[tuple[str, int, Path]] = [
            (str(address), listener.on.port, ("proxies", name, "listeners", index, "on"))
            for index, listener in enumerate(proxy.listeners)
            for address in listener_addresses(spec, listener.on.target)
        ]
        if proxy.health:
            sockets.append((proxy.health.address, proxy.health.port, ("proxies", name, "health")))
        for node in proxy.nodes:
            for address, port, path in sockets:
                owner = taken.setdefault((node, address, port), name)
                wildcard = next((a for a in ("0.0.0.0", "::") if (node, a, port) in taken and a != address), None)
                if owner != name or (wildcard and taken[(node, wildcard, port)] != name):
                    other = owner if owner != name else taken[(node, str(wildcard), port)]
                    yield Mistake(
                        "PROXY008", path, f"{address}:{port} on '{node}' belongs to proxy '{other}' already",
                        "give one of them another port" + ("; `health:` names it" if path[-1] == "health" else ""),
                    )  # fmt: skip


def cookies_differ(spec: ClusterSpec) -> Iterator[Mistake]:
    """A cookie that keeps clients on two different sets of pools of one site would be rewritten back and forth."""
    for site_name, site in spec.sites.items():
        used: dict[str, Route] = {}
        for index, route in enumerate(site.routes):
            cookie = route.sticky.cookie if route.sticky else None
            if cookie and cookie in used and used[cookie].split != route.split:
                yield Mistake(
                    "SITE003", ("sites", site_name, "routes", index, "sticky"),
                    f"the cookie '{cookie}' keeps clients on other pools in an earlier route",
                    "use another cookie name",
                )  # fmt: skip
            if cookie:
                used.setdefault(cookie, route)


RULES = (
    servers_exist,
    pools_exist,
    routes_can_match,
    proxies_are_complete,
    hosts_are_clear,
    sockets_are_free,
    cookies_differ,
)
