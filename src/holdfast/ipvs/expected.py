"""What a node's table should be, as far as the one who wrote its configuration can know."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.ipvs.model import (
    SCHEDULER_FLAGS,
    Checksum,
    DestinationKey,
    Family,
    ForwardingMethod,
    ServiceFlag,
    ServiceKey,
    Transport,
    Tunnel,
    TunnelKind,
    canonical,
)


@dataclass(frozen=True)
class ExpectedDestination:
    """A server. `weight` is the one without overrides; thresholds of 0 are none; `tunnel` is for TUN alone.

    Whose checksums a tunnel carries is compared only where `checksum_matters`.
    """

    key: DestinationKey
    forwarding: ForwardingMethod
    weight: int = 1
    tunnel: Tunnel | None = None
    upper_threshold: int = 0
    lower_threshold: int = 0
    checksum_matters: bool = True


@dataclass(frozen=True)
class ExpectedService:
    """A service. `timeout_s` and `prefix` mean something where `flags` has PERSISTENT.

    The sorry server comes in when no other is left. `zero_when_down` says that a server that fails its checks stays in
    the table with weight 0 (keepalived's inhibit_on_failure) instead of leaving it.
    """

    key: ServiceKey
    scheduler: str
    destinations: tuple[ExpectedDestination, ...]
    flags: frozenset[ServiceFlag] = frozenset()
    timeout_s: int = 0
    prefix: int = 0
    persistence_engine: str = ""
    sorry: DestinationKey | None = None
    zero_when_down: bool = False


@dataclass(frozen=True)
class ExpectedTable:
    """All services that this node should have: any other is one too many."""

    services: tuple[ExpectedService, ...]


def service_key(
    *,
    transport: str = "tcp",
    address: str | None = None,
    port: int | None = None,
    mark: int | None = None,
    family: int | None = None,
) -> ServiceKey:
    """The key of an address and a port (0 or None: all ports), or of a mark with its family (4 or 6).

    Raises ValueError if it is neither.
    """
    if mark:
        return ServiceKey(Family.IPV6 if family == 6 else Family.IPV4, None, "", 0, mark)
    if address is None:
        raise ValueError("a service has an address or a mark")
    found = Family.IPV6 if ":" in address else Family.IPV4
    return ServiceKey(found, Transport(transport), canonical(address), port or 0, 0)


def destination_key(address: str, port: int) -> DestinationKey:
    """The key of a destination, its address written as the table writes it; ValueError if it is none."""
    return DestinationKey(canonical(address), port)


def service_flags(
    names: tuple[str, ...], *, persistent: bool = False, one_packet: bool = False
) -> frozenset[ServiceFlag]:
    """Flags by the scheduler's names for them (`sh-port`, `mh-fallback`, `flag-1` …); ValueError for any other."""
    unknown = [name for name in names if name not in SCHEDULER_FLAGS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no scheduler flag")
    flags = {SCHEDULER_FLAGS[name] for name in names}
    flags |= {ServiceFlag.PERSISTENT} if persistent else set()
    return frozenset(flags | ({ServiceFlag.ONE_PACKET} if one_packet else set()))


def tunnel(kind: str, port: int | None = None, checksum: Checksum = Checksum.NONE) -> Tunnel:
    """A tunnel by its words: `ipip`, `gre`, or `gue` with its UDP port; ValueError for any other."""
    return Tunnel(TunnelKind(kind), port or 0, checksum)
