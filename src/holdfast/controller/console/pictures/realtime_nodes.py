"""Which nodes have something to show, and which of them is shown first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.spec.resolve_lvs import directors

from ...operations.situation import Situation
from ..words import N_


@dataclass(frozen=True, slots=True)
class Offered:
    """A node: what it does, and whether it holds addresses now."""

    name: str
    roles: tuple[str, ...]
    holds: tuple[str, ...]
    connected: bool


def offered(seen: Situation) -> tuple[Offered, ...]:
    """Every node that has joined: directors first, then proxies, then all others."""
    direct: set[str] = set()
    proxies: set[str] = set()
    if seen.spec is not None:
        direct = {node for name in seen.spec.virtual_servers for node in directors(seen.spec, name)}
        proxies = {node for proxy in seen.spec.proxies.values() for node in proxy.nodes}
    found = [
        Offered(
            name=one.node,
            roles=(
                *((N_("director"),) if one.node in direct else ()),
                *((N_("proxy"),) if one.node in proxies else ()),
            ),
            holds=one.holds,
            connected=one.connected,
        )
        for one in seen.told.nodes
        if one.enrolled is not None and one.revoked is None
    ]
    return tuple(sorted(found, key=lambda one: (one.name not in direct, one.name not in proxies, one.name)))


def first_of(seen: Situation, nodes: Sequence[Offered]) -> str:
    """The one where most happens, as far as is known: it holds addresses, and can be heard. Empty: there is none."""
    best = max(nodes, key=lambda one: (one.connected, bool(one.roles), len(one.holds)), default=None)
    return best.name if best is not None else ""
