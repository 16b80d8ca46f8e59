"""From proxies, sites and pools to what one node serves."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.pools import Pool
from holdfast.spec.proxies import Listener, Proxy
from holdfast.spec.resolve import server_address
from holdfast.spec.resolve_lvs import listener_sockets

from .node_view import HealthView, ListenerView, PoolView, ProxyView, ServerView, SiteView

_SIZE_UNITS = {"k": 1024, "m": 1024 * 1024}


def proxy_views(spec: ClusterSpec, node: str) -> tuple[ProxyView, ...]:
    """The proxies of `node`, by name."""
    return tuple(_view(spec, name, proxy, node) for name, proxy in sorted(spec.proxies.items()) if node in proxy.nodes)


def _view(spec: ClusterSpec, name: str, proxy: Proxy, node: str) -> ProxyView:
    listeners = tuple(view for listener in proxy.listeners for view in _listeners(spec, listener, node))
    used = {pool for listener in listeners for site in listener.sites for route in site.routes for pool in route.split}
    health = proxy.health
    return ProxyView(
        name=name,
        engine=proxy.engine,
        listeners=listeners,
        pools=tuple(_pool(spec, pool_name, spec.pools[pool_name], node) for pool_name in sorted(used)),
        forwarded=proxy.forwarded,
        health=HealthView(ip_address(health.address), health.port, health.path) if health else None,
        client_timeout_ms=proxy.client_timeout,
        idle_timeout_ms=proxy.idle_timeout,
        max_body_bytes=_bytes(proxy.max_body) if proxy.max_body else None,
    )


def _bytes(size: str) -> int:
    return int(size[:-1]) * _SIZE_UNITS[size[-1]] if size[-1] in _SIZE_UNITS else int(size)


def _listeners(spec: ClusterSpec, listener: Listener, node: str) -> Iterator[ListenerView]:
    """One, or, on a real server that directors know by other ports than its clients do, one a port."""
    sites = tuple(
        SiteView(name, spec.sites[name].hosts, spec.sites[name].certificate, spec.sites[name].routes)
        for name in listener.sites
    )
    name = f"{listener.on.target}-{listener.on.port}".replace(":", "-").replace(".", "-")
    sockets = listener_sockets(spec, node, listener.on)
    for port in dict.fromkeys(port for _, port in sockets):
        yield ListenerView(
            name=name if port == listener.on.port else f"{name}-{port}",
            addresses=tuple(address for address, its in sockets if its == port),
            port=port,
            tls=listener.tls,
            sites=sites,
        )


def _pool(spec: ClusterSpec, name: str, pool: Pool, node: str) -> PoolView:
    servers = []
    for server in pool.servers:
        address = server_address(spec, server.host, node)
        assert address is not None, "the reference rules found it"
        safe = server.host.replace(":", "-").replace(".", "-")
        servers.append(
            ServerView(
                f"{safe}-{server.port}", address, server.port, server.weight, server.max_connections, server.backup
            )
        )
    return PoolView(
        name=name,
        servers=tuple(servers),
        balance=pool.balance,
        check=pool.check,
        retry_on=pool.retry_on,
        tries=pool.tries,
        min_servers=pool.min_servers,
        connect_timeout_ms=pool.connect_timeout,
        response_timeout_ms=pool.response_timeout,
    )
