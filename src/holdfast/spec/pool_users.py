"""Who sends to the servers of a pool: the nodes of each proxy that has a route to it."""

from __future__ import annotations

from collections.abc import Iterator

from .cluster import ClusterSpec
from .proxies import Proxy


def nodes_of_pool(spec: ClusterSpec, pool: str) -> tuple[str, ...]:
    """In the order of the spec; none where no route leads to the pool."""
    found = {node for proxy in spec.proxies.values() if pool in pools_of(spec, proxy) for node in proxy.nodes}
    return tuple(node for node in spec.nodes if node in found)


def nodes_with_pools(spec: ClusterSpec) -> tuple[str, ...]:
    """Every node that sends to servers of pools, in the order of the spec."""
    found = {node for proxy in spec.proxies.values() if any(pools_of(spec, proxy)) for node in proxy.nodes}
    return tuple(node for node in spec.nodes if node in found)


def pools_of(spec: ClusterSpec, proxy: Proxy) -> frozenset[str]:
    """Those that its sites have routes to."""
    return frozenset(_pools(spec, proxy))


def _pools(spec: ClusterSpec, proxy: Proxy) -> Iterator[str]:
    for listener in proxy.listeners:
        for site in listener.sites:
            for route in spec.sites[site].routes:
                yield from route.split
