"""Views for the L7 renderers, with every default that a test does not care about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

from holdfast.compile.node_view import (
    HealthView,
    ListenerView,
    NodeView,
    PoolView,
    ProxyView,
    ServerView,
    SiteView,
)
from holdfast.spec.sites import Route

ADDRESS = {"nginx": "127.0.0.11", "haproxy": "127.0.0.12"}
PORT = 8000


def server(name: str, address: str, port: int = 9000, **fields: Any) -> ServerView:
    defaults: dict[str, Any] = {"weight": 1, "max_connections": None, "backup": False}
    return ServerView(name=name, address=ip_address(address), port=port, **(defaults | fields))


def pool(name: str, servers: Iterable[ServerView], **fields: Any) -> PoolView:
    defaults: dict[str, Any] = {
        "balance": "round_robin",
        "check": None,
        "retry_on": ("error", "timeout"),
        "tries": 3,
        "min_servers": 1,
        "connect_timeout_ms": 1000,
        "response_timeout_ms": 1000,
    }
    return PoolView(name=name, servers=tuple(servers), **(defaults | fields))


def routes(*written: Mapping[str, Any]) -> tuple[Route, ...]:
    return tuple(Route.model_validate(route) for route in written)


def site(name: str, hosts: Iterable[str], *written: Mapping[str, Any], certificate: str | None = None) -> SiteView:
    return SiteView(name, tuple(hosts), certificate, routes(*written))


def view(
    engine: str,
    sites: Iterable[SiteView],
    pools: Iterable[PoolView],
    addresses: Iterable[str] = (),
    port: int = PORT,
    tls: bool = False,
    **fields: Any,
) -> NodeView:
    """One proxy with one listener on this engine's address."""
    listening = tuple(ip_address(address) for address in addresses or (ADDRESS[engine],))
    defaults: dict[str, Any] = {
        "forwarded": "replace",
        "health": HealthView(ip_address(ADDRESS[engine]), 8080, "/healthz"),
        "client_timeout_ms": 5000,
        "idle_timeout_ms": 5000,
        "max_body_bytes": None,
    }
    proxy = ProxyView(
        name="edge",
        engine=engine,
        listeners=(ListenerView("www:80", listening, port, tls, tuple(sites)),),
        pools=tuple(pools),
        **(defaults | fields),
    )
    return NodeView("shop", "lb01", (), (proxy,), None, False, frozenset())
