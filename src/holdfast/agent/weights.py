"""What overrides mean for the track files that keepalived adds to the weights of real servers: pure.

Asked of keepalived 2.2.7 with `FILE_CHECK { track_file …; weight 1 }`: the weight is base + value, never below 0. The
lowest integer takes the server out of the table, as a failed check does. A file that is empty, damaged or absent counts
as 0, which is full weight; a value that was clamped at 0 stays so when the base changes.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from holdfast.bundle import Bundle, RealServerExpectation, VirtualServerExpectation
from holdfast.protocol import OverrideKind, Overrides, PoolOverride, ServerOverride

DRAINED = -65535  # no base weight is larger, so 0 comes out whatever the base becomes
SUSPENDED = -(2**31)  # -2147483647 still drains; only this, and what is below, is a fault


@dataclass(frozen=True)
class Weighted:
    """A real server in a virtual server, and what becomes of its weight. `wanted` None: it is not in the table."""

    virtual_server: VirtualServerExpectation
    server: RealServerExpectation
    override: ServerOverride | None
    value: int
    wanted: int | None

    @property
    def spoken(self) -> str:
        """What people call it."""
        return spoken(self.server.name, str(self.server.address), self.server.port)


def file_name(written: str) -> str:
    """`web01:80` and `[fd00::1]:80`, as a spec writes a server, as bundles name it (RealServerExpectation.name)."""
    host, colon, port = written.rpartition(":")
    if not colon or written.endswith("]") or (written.count(":") > 1 and not written.startswith("[")):
        host, port = written, ""
    host = host.removeprefix("[").removesuffix("]")
    with suppress(ValueError):  # a node's name
        host = ipaddress.ip_address(host).exploded.replace(":", ".")
    return f"{host}-{port}" if port else host


def spoken(name: str, address: str, port: int) -> str:
    """What people call the server at an address that a bundle or an engine calls `name`: as a spec writes it."""
    host = name.removesuffix(f"-{port}")
    shown, literal = host, ipaddress.ip_address(address)
    if host in (literal.exploded.replace(":", "."), re.sub("[:.]", "-", literal.compressed)):
        shown = f"[{literal}]" if literal.version == 6 else str(literal)
    return f"{shown}:{port}" if host != name else shown


def in_force(overrides: Overrides, now: datetime) -> tuple[ServerOverride, ...]:
    """Those whose time is not over."""
    return tuple(each for each in overrides.servers if not expired(each, now))


def expired(override: ServerOverride | PoolOverride, now: datetime) -> bool:
    """Whether its `until` has passed; one that cannot be read does not end by itself."""
    if override.until is None:
        return False
    try:
        until = datetime.fromisoformat(override.until)
    except ValueError:
        return False
    return (until if until.tzinfo else until.replace(tzinfo=UTC)) <= now


def weighted(bundle: Bundle, overrides: Overrides, now: datetime) -> tuple[Weighted, ...]:
    """Every real server of the bundle's virtual servers. Of several overrides the one for this virtual server counts.

    Among equals the last one does.
    """
    everywhere: dict[str, ServerOverride] = {}
    somewhere: dict[tuple[str, str], ServerOverride] = {}
    for each in in_force(overrides, now):
        name = file_name(each.server)
        if each.virtual_server is None:
            everywhere[name] = each
        else:
            somewhere[each.virtual_server, name] = each
    return tuple(
        _weighted(vs, server, somewhere.get((vs.source, server.name), everywhere.get(server.name)))
        for vs in bundle.expected.virtual_servers
        for server in vs.servers
    )


def _weighted(vs: VirtualServerExpectation, server: RealServerExpectation, override: ServerOverride | None) -> Weighted:
    if override is None:
        return Weighted(vs, server, None, 0, server.weight)
    if override.kind is OverrideKind.SUSPENDED:
        return Weighted(vs, server, override, SUSPENDED, None)
    weight = override.weight if override.kind is OverrideKind.WEIGHT and override.weight is not None else 0
    return Weighted(vs, server, override, weight - server.weight if weight else DRAINED, weight)


def unknown(bundle: Bundle, overrides: Overrides) -> tuple[str, ...]:
    """Servers of overrides that no virtual server of this node has."""
    known = {(vs.source, server.name) for vs in bundle.expected.virtual_servers for server in vs.servers}
    names = {name for _, name in known}
    return tuple(sorted({each.server for each in overrides.servers if not _is_known(each, known, names)}))


def _is_known(override: ServerOverride, known: Iterable[tuple[str, str]], names: Iterable[str]) -> bool:
    name = file_name(override.server)
    return (override.virtual_server, name) in known if override.virtual_server else name in names


def files(all_weighted: Iterable[Weighted]) -> Iterator[tuple[str, int]]:
    """(path, value) of each weight file."""
    return ((each.server.weight_file, each.value) for each in all_weighted)
