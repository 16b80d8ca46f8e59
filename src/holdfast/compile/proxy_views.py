"""From proxies, sites and pools to what one node serves."""

from __future__ import annotations

from ipaddress import ip_address

from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.pools import Pool
from holdfast.spec.proxies import Listener, Proxy
from holdfast.spec.resolve import listener_addresses, server_address

from .node_view import HealthView, ListenerView, PoolView, ProxyView, ServerView, SiteView

_SIZE_UNITS = {"k": 1024, "m": 1024 * 1024}


def proxy_views(spec: ClusterSpec, node: str) -> tuple[ProxyView, ...]:
    """The proxies of `node`, by name."""
    return tuple(_view(spec, name, proxy, node) for name, proxy in sorted(spec.proxies.items()) if node in proxy.nodes)


def _view(spec: ClusterSpec, name: str, proxy: Proxy, node: str) -> ProxyView:
    listeners = tuple(_listener(spec, listener) for listener in proxy.listeners)
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


def _listener(spec: ClusterSpec, listener: Listener) -> ListenerView:
    sites = tuple(
        SiteView(name, spec.sites[name].hosts, spec.sites[name].certificate, spec.sites[name].routes)
        for name in listener.sites
    )
    return ListenerView(
        name=f"{listener.on.target}-{listener.on.port}".replace(":", "-").replace(".", "-"),
        addresses=listener_addresses(spec, listener.on.target),
        port=listener.on.port,
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
