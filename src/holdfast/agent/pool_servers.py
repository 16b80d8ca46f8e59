"""The servers of a node's pools as its bundle has them behind nginx and HAProxy, and what overrides make of them: pure.

A backend (an upstream of nginx) is a pool as one kind of stickiness uses it, so a server may stand in several of them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath

from holdfast.agent.server_lists import listed
from holdfast.agent.weights import expired, spoken
from holdfast.bundle import CONFIG_DIR, HAPROXY_STATE, NGINX_SERVERS_DIR, Bundle, Service
from holdfast.protocol import OverrideKind, Overrides, PoolOverride

_HAPROXY_CFG = f"{CONFIG_DIR}/haproxy/haproxy.cfg"
_SERVER = re.compile(r"    server (?P<name>\S+) (?P<endpoint>\S+) weight (?P<weight>[0-9]{1,3})( .*)?")


@dataclass(frozen=True)
class PoolServer:
    """A server in one backend of one engine; `name` and `endpoint` (`address:port`) as that engine has them."""

    engine: Service
    backend: str
    name: str
    endpoint: str
    weight: int

    @property
    def pool(self) -> str:
        """Names of pools have no dots."""
        return self.backend.partition(".")[0]

    @property
    def spoken(self) -> str:
        """What people call it."""
        return spoken_at(self.name, self.endpoint)


@dataclass(frozen=True)
class Pooled:
    """A server of a pool, and what becomes of it. `wanted` None: it gets no new requests."""

    server: PoolServer
    override: PoolOverride | None
    wanted: int | None


def name_of(written: str) -> str:
    """`web01:80` and `[fd00::1]:80`, as a spec writes a server of a pool, as engines name it."""
    host, _, port = written.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    with suppress(ValueError):  # a node's name
        host = str(ipaddress.ip_address(host))
    return f"{host.replace(':', '-').replace('.', '-')}-{port}"


def spoken_at(name: str, endpoint: str) -> str:
    """What people call the server at `address:port` that an engine calls `name`."""
    address, _, port = endpoint.rpartition(":")
    with suppress(ValueError):  # an endpoint that another program wrote: the name will do
        return spoken(name, address.removeprefix("[").removesuffix("]"), int(port))
    return name


def servers_of(bundle: Bundle) -> tuple[PoolServer, ...]:
    """Every server that can be overridden: not those of a bundle from before there were overrides of pools."""
    return tuple(_servers(bundle))


def _servers(bundle: Bundle) -> Iterator[PoolServer]:
    for file in bundle.files:
        path = PurePath(file.path)
        if file.state and str(path.parent) == NGINX_SERVERS_DIR:
            for one in listed(file.content):
                yield PoolServer(Service.NGINX, path.stem, one.name, one.endpoint, one.weight)
        elif file.path == _HAPROXY_CFG and HAPROXY_STATE in file.content:
            yield from _of_haproxy(file.content)


def _of_haproxy(text: str) -> Iterator[PoolServer]:
    backend = ""
    for line in text.splitlines():
        if line and not line.startswith(" "):
            word, _, name = line.partition(" ")
            backend = name if word == "backend" else ""
        elif backend and (found := _SERVER.fullmatch(line)):
            yield PoolServer(Service.HAPROXY, backend, found["name"], found["endpoint"], int(found["weight"]))


def pooled(bundle: Bundle, overrides: Overrides, now: datetime) -> tuple[Pooled, ...]:
    """Every server of the bundle's pools with what is overridden of it; of several overrides the last one counts."""
    known = {(one.pool, name_of(one.server)): one for one in overrides.pools if not expired(one, now)}
    return tuple(_pooled(one, known.get((one.pool, one.name))) for one in servers_of(bundle))


def _pooled(server: PoolServer, override: PoolOverride | None) -> Pooled:
    if override is None:
        return Pooled(server, None, server.weight)
    return Pooled(server, override, override.weight if override.kind is OverrideKind.WEIGHT else None)


def unknown(bundle: Bundle, overrides: Overrides) -> tuple[str, ...]:
    """Servers of overrides that no pool of this node has, as `POOL/SERVER`."""
    known = {(one.pool, one.name) for one in servers_of(bundle)}
    names = {f"{one.pool}/{one.server}" for one in overrides.pools if (one.pool, name_of(one.server)) not in known}
    return tuple(sorted(names))
