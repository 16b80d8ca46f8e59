"""Rules about proxies, sites and pools."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.findings import Severity
from holdfast.sentences import Sentence

from .cluster import ClusterSpec
from .mistakes import Mistake, unknown
from .positions import Path
from .proxies import Proxy
from .resolve import listener_addresses
from .resolve_lvs import listener_sockets
from .sites import Route
from .values import Address, as_address, join_host_port


def servers_exist(spec: ClusterSpec) -> Iterator[Mistake]:
    """A server is a node of the spec or an IP address: names that DNS decides would change behind the plan's back."""
    for pool_name, pool in spec.pools.items():
        for index, server in enumerate(pool.servers):
            if server.host not in spec.nodes and as_address(server.host) is None:
                path = ("pools", pool_name, "servers", index)
                yield unknown("POOL001", path, Sentence("node"), server.host, spec.nodes)


def pools_exist(spec: ClusterSpec) -> Iterator[Mistake]:
    """A route sends to pools of the spec; pools that nothing uses are likely forgotten ones."""
    used: set[str] = set()
    for site_name, site in spec.sites.items():
        for index, route in enumerate(site.routes):
            for pool in route.split:
                used.add(pool)
                if pool not in spec.pools:
                    split = isinstance(route.to, dict)
                    path: Path = ("sites", site_name, "routes", index, "to")
                    path = (*path, pool) if split else path
                    yield unknown("SITE001", path, Sentence("pool"), pool, spec.pools, key=split)
    for name in spec.pools:
        if name not in used and used <= spec.pools.keys():  # otherwise a misspelt name is likelier
            message = Sentence("no route sends anything to pool '%(name)s'", name=name)
            hint = Sentence("name it in a route's `to`, or remove it")
            yield Mistake("POOL002", ("pools", name), message, hint, Severity.WARNING, key=True)


def sites_are_served(spec: ClusterSpec) -> Iterator[Mistake]:
    """A site that no listener names gets no request: likely forgotten."""
    served = {site for proxy in spec.proxies.values() for listener in proxy.listeners for site in listener.sites}
    for name in spec.sites:
        if name not in served and served <= spec.sites.keys():
            message = Sentence("no listener serves site '%(name)s'", name=name)
            hint = Sentence("name it in a listener's `sites`, or remove it")
            yield Mistake("SITE004", ("sites", name), message, hint, Severity.WARNING, key=True)


def routes_can_match(spec: ClusterSpec) -> Iterator[Mistake]:
    """First match wins, so what stands behind a route that takes the same requests never gets one."""
    for site_name, site in spec.sites.items():
        for index, route in enumerate(site.routes):
            first = next((i for i, earlier in enumerate(site.routes[:index]) if earlier.covers(route)), None)
            if first is not None:
                whole = site.routes[first].is_everything
                what = Sentence("everything") if whole else Sentence("all that it could match")
                yield Mistake(
                    "SITE002",
                    ("sites", site_name, "routes", index),
                    Sentence(
                        "this route is never reached: route %(first)s of '%(site_name)s' takes %(what)s",
                        first=first + 1,
                        site_name=site_name,
                        what=what,
                    ),
                    Sentence("move it before that one: the first match wins"),
                    Severity.WARNING,
                )


def proxies_are_complete(spec: ClusterSpec) -> Iterator[Mistake]:
    """Nodes, sites and addresses of a proxy exist, and its nodes may hold what it listens on."""
    for name, proxy in spec.proxies.items():
        for index, node in enumerate(proxy.nodes):
            if node not in spec.nodes:
                yield unknown("PROXY001", ("proxies", name, "nodes", index), Sentence("node"), node, spec.nodes)
        for index, listener in enumerate(proxy.listeners):
            path = ("proxies", name, "listeners", index)
            for number, site in enumerate(listener.sites):
                if site not in spec.sites:
                    yield unknown("PROXY002", (*path, "sites", number), Sentence("site"), site, spec.sites)
            group = listener.on.group
            if group is None:
                continue
            if group not in spec.vrrp:
                yield unknown("PROXY003", (*path, "on"), Sentence("VRRP group"), group, spec.vrrp)
                continue
            if not listener_addresses(spec, listener.on.target):
                known = spec.vrrp[group].addresses
                wanted = listener.on.address_name or ""
                yield unknown(
                    "PROXY004", (*path, "on"), Sentence("address of '%(group)s' named", group=group), wanted, known
                )
            for node in sorted({n for n in proxy.nodes if n in spec.nodes} - set(spec.vrrp[group].members)):
                if listener_sockets(spec, node, listener.on):
                    continue
                served = Sentence(" and serves no virtual server there") if spec.virtual_servers else ""
                yield Mistake(
                    "PROXY005",
                    (*path, "on"),
                    Sentence(
                        "'%(node)s' runs this proxy, but never holds '%(group)s'%(served)s",
                        node=node,
                        group=group,
                        served=served,
                    ),
                    Sentence(
                        "add it to vrrp.%(group)s.nodes, or take it out of proxies.%(name)s.nodes",
                        group=group,
                        name=name,
                    ),
                )
                break


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
                        what = Sentence("the host %(host)s", host=host) if host else Sentence("every other host")
                        message = Sentence(
                            "%(what)s is taken by site '%(seen)s' on this listener", what=what, seen=seen[host]
                        )
                        hint = (
                            Sentence("give each host to one site")
                            if host
                            else Sentence("name the hosts of all sites but one")
                        )
                        yield Mistake("PROXY006", path, message, hint)
                    seen[host] = site_name
                if site and listener.tls and not site.certificate:
                    yield Mistake(
                        "PROXY007",
                        path,
                        Sentence(
                            "the listener speaks TLS, but site '%(site_name)s' names no certificate",
                            site_name=site_name,
                        ),
                        Sentence("add `certificate: NAME` to sites.%(site_name)s", site_name=site_name),
                    )


def literal_addresses_are_own(spec: ClusterSpec) -> Iterator[Mistake]:
    """A listener's literal address is one that each node of the proxy has, or may come to hold."""
    for name, proxy in spec.proxies.items():
        for index, listener in enumerate(proxy.listeners):
            address = as_address(listener.on.target)
            if address is None or address.is_unspecified or address.is_loopback:
                continue
            groups = [group for group in spec.vrrp.values() if address in {a.ip for a in group.addresses.values()}]
            holders = {member for group in groups for member in group.members}
            strange = [
                node
                for node in proxy.nodes
                if node in spec.nodes and node not in holders and address not in spec.nodes[node].addresses
                if not (holders and listener_sockets(spec, node, listener.on))
            ]
            if strange:
                yield Mistake(
                    "PROXY009",
                    ("proxies", name, "listeners", index, "on"),
                    Sentence("%(address)s is no address of %(strange)s", address=address, strange=", ".join(strange)),
                    Sentence(
                        "name a VRRP group, such as 'www:80', or listen on every address: '0.0.0.0:80', '[::]:80'"
                    ),
                )


def sockets_are_free(spec: ClusterSpec) -> Iterator[Mistake]:
    """On one node every address and port belongs to one listener; 0.0.0.0 and :: stand for all of their family."""
    taken: dict[tuple[str, int], list[tuple[Address, str]]] = {}
    reported: set[Path] = set()
    for name, proxy in spec.proxies.items():
        for node in proxy.nodes:
            for address, port, path in _sockets(spec, name, proxy, node):
                others = taken.setdefault((node, port), [])
                found = next((other for other in others if _overlap(other[0], address)), None)
                if found and path not in reported:
                    reported.add(path)
                    yield _taken(join_host_port(str(address), port), node, found, name, path)
                others.append((address, name))


def _sockets(spec: ClusterSpec, name: str, proxy: Proxy, node: str) -> Iterator[tuple[Address, int, Path]]:
    if proxy.health and (own := as_address(proxy.health.address)):
        yield own, proxy.health.port, ("proxies", name, "health")
    for index, listener in enumerate(proxy.listeners):
        for address, port in listener_sockets(spec, node, listener.on):
            yield address, port, ("proxies", name, "listeners", index, "on")


def _overlap(one: Address, other: Address) -> bool:
    return one == other or (one.version == other.version and (one.is_unspecified or other.is_unspecified))


def _taken(socket: str, node: str, found: tuple[Address, str], name: str, path: Path) -> Mistake:
    owner = Sentence("this proxy") if found[1] == name else Sentence("proxy '%(name)s'", name=found[1])
    covers = Sentence(" (%(address)s covers it)", address=found[0]) if found[0].is_unspecified else ""
    hint = Sentence("give one of them another port")
    if path[-1] == "health":
        hint = Sentence("give it another port, such as `health: 127.0.0.1:8081/healthz`, or `health: false`")
    return Mistake(
        "PROXY008",
        path,
        Sentence(
            "%(socket)s on '%(node)s' belongs to %(owner)s already%(covers)s",
            socket=socket,
            node=node,
            owner=owner,
            covers=covers,
        ),
        hint,
    )


def cookies_differ(spec: ClusterSpec) -> Iterator[Mistake]:
    """A cookie that keeps clients on two different sets of pools of one site would be rewritten back and forth."""
    for site_name, site in spec.sites.items():
        used: dict[str, Route] = {}
        for index, route in enumerate(site.routes):
            cookie = route.sticky.cookie if route.sticky else None
            if cookie and cookie in used and used[cookie].split != route.split:
                yield Mistake(
                    "SITE003", ("sites", site_name, "routes", index, "sticky"),
                    Sentence("the cookie '%(cookie)s' keeps clients on other pools in an earlier route", cookie=cookie),
                    Sentence("use another cookie name"),
                )  # fmt: skip
            if cookie:
                used.setdefault(cookie, route)


def somebody_asks_the_servers(spec: ClusterSpec) -> Iterator[Mistake]:
    """Mail about servers comes from who asks them: of a pool without a check nobody ever learns anything."""
    asked = [event for event in spec.notify.on if event != "vip_moved"]
    if not asked or spec.notify.email is None:
        return
    used = {pool for site in spec.sites.values() for route in site.routes for pool in route.split}
    for name, pool in spec.pools.items():
        if pool.check is None and name in used:
            yield Mistake(
                "NOTIFY003",
                ("pools", name),
                Sentence(
                    "nobody asks the servers of pool '%(name)s', so no mail tells of '%(asked)s' there",
                    name=name,
                    asked=asked[0],
                ),
                Sentence("give it a `check`, such as `check: {http: /healthz}`"),
                Severity.WARNING,
                key=True,
            )


RULES = (
    servers_exist,
    pools_exist,
    sites_are_served,
    routes_can_match,
    proxies_are_complete,
    hosts_are_clear,
    literal_addresses_are_own,
    sockets_are_free,
    cookies_differ,
    somebody_asks_the_servers,
)
