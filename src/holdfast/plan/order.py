"""Who comes before whom: a real server is ready before directors send to it, and stays until they no longer do."""

from __future__ import annotations

from enum import IntEnum

from holdfast.bundle import Bundle

from .hazards_lvs import network_of


class Wave(IntEnum):
    """Nodes of an earlier wave are changed, and verified, before those of a later one."""

    BEHIND_FIRST = 0  # it gains something that those in front will rely on
    IN_FRONT = 1  # it holds virtual addresses
    BEHIND_LAST = 2  # it loses something that those in front relied on


def wave(old: Bundle | None, new: Bundle | None) -> Wave:
    """The wave of a node that goes from `old` to `new`.

    One that gains and loses comes first: what is missing fails everybody, what is gone those who were still there.
    """
    if any(bundle is not None and bundle.expected.vrrp for bundle in (old, new)):
        return Wave.IN_FRONT
    before, after = _offered(old), _offered(new)
    return Wave.BEHIND_LAST if before - after and not after - before else Wave.BEHIND_FIRST


def _offered(bundle: Bundle | None) -> set[tuple[object, ...]]:
    """What others may rely on: addresses, tunnels, the way back, listeners."""
    network = network_of(bundle)
    return {
        *(("address", a.address, a.device) for a in network.addresses),
        *(("tunnel", t.device, t.kind, t.port) for t in network.tunnels),
        *(("gateway", g.address, g.device) for g in network.gateways),
        *(("listener", each.address, each.port) for each in (bundle.expected.listeners if bundle else ())),
    }
