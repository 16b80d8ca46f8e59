"""Bundles with a pool that the prober asks, as the compiler would make them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.agent import bundles

from holdfast.bundle import NGINX_SERVERS_DIR, PROBER_FILE, Bundle, BundleFile, Service

OWNED = "# Managed by Holdfast: cluster shop, node lb01.\n"
LIST = f"{NGINX_SERVERS_DIR}/web.conf"
URL = "http://10.9.0.3:8080/"
PORTS = (9001, 9002, 9003)
QUICK: dict[str, Any] = {"http": "/healthz", "every_ms": 200, "timeout_ms": 150, "fall": 3, "rise": 2}


def server_list(ports: Sequence[int] = PORTS, path: str = LIST) -> BundleFile:
    lines = "".join(f"server 127.0.0.1:{port} weight=1 max_fails=0; # s{port}\n" for port in ports)
    return BundleFile(path=path, content=OWNED + lines, state=True)


def pools_file(ports: Sequence[int] = PORTS, min_servers: int = 1, **check: Any) -> BundleFile:
    pool = {
        "pool": "web",
        "upstreams": ["web"],
        "servers": [{"name": f"s{port}", "address": "127.0.0.1", "port": port} for port in ports],
        "min_servers": min_servers,
        "check": {**QUICK, **check},
    }
    text = f'{{"_": "Managed by Holdfast: cluster shop, node lb01.",\n"pools": [{json.dumps(pool)}]}}\n'
    return BundleFile(path=PROBER_FILE, content=text)


def nginx(more: str = "") -> BundleFile:
    text = bundles.nginx(more=more).content
    text = text.replace("    server {", "    upstream web { zone web 64k; include servers/web.conf; }\n    server {", 1)
    text = text.replace('return 200 "one\\n";', "proxy_pass http://web; proxy_next_upstream off;")
    return BundleFile(path="/etc/holdfast/nginx/nginx.conf", content=text)


def bundle(ports: Sequence[int] = PORTS, min_servers: int = 1, more: str = "", **check: Any) -> Bundle:
    return bundles.bundle(
        bundles.sysctl(),
        nginx(more),
        server_list(ports),
        pools_file(ports, min_servers, **check),
        listeners=((Service.NGINX, "10.9.0.3", 8080),),
    )
