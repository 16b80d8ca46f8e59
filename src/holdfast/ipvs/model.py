"""What the kernel's IPVS table says, in the kernel's own words: services, destinations, counters, sync daemons.

A service is what the rest of Holdfast calls a virtual server, a destination what it calls a real server. These are
named tuples because a poll may make ten thousand of them: a frozen dataclass takes ten times as long to make.
"""

from __future__ import annotations

import socket
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple


class Family(StrEnum):
    """Of addresses."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"


class Transport(StrEnum):
    """What a service with an address and a port takes; the kernel knows no others."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"


class ForwardingMethod(StrEnum):
    """How a packet gets to its destination. The kernel shows `local` and `bypass`, nobody sets them.

    `unknown` is what this version has no word for, here as below.
    """

    NAT = "nat"
    LOCAL = "local"
    TUN = "tun"
    DR = "dr"
    BYPASS = "bypass"
    UNKNOWN = "unknown"


class TunnelKind(StrEnum):
    """What a packet is wrapped in."""

    IPIP = "ipip"
    GUE = "gue"
    GRE = "gre"
    UNKNOWN = "unknown"


class Checksum(StrEnum):
    """Whether the wrapping carries a checksum, and who computes it."""

    NONE = "none"
    PLAIN = "plain"
    REMOTE = "remote"


class ServiceFlag(StrEnum):
    """SCHED_1 to SCHED_3 mean what the scheduler makes of them: see `SCHEDULER_FLAGS`."""

    PERSISTENT = "persistent"
    ONE_PACKET = "one-packet"
    SCHED_1 = "flag-1"
    SCHED_2 = "flag-2"
    SCHED_3 = "flag-3"


# By the names that ipvsadm and keepalived give them; source: their manuals, linux/net/netfilter/ipvs/ip_vs_{sh,mh}.c.
SCHEDULER_FLAGS = {
    "sh-fallback": ServiceFlag.SCHED_1,
    "sh-port": ServiceFlag.SCHED_2,
    "mh-fallback": ServiceFlag.SCHED_1,
    "mh-port": ServiceFlag.SCHED_2,
    "flag-1": ServiceFlag.SCHED_1,
    "flag-2": ServiceFlag.SCHED_2,
    "flag-3": ServiceFlag.SCHED_3,
}


# By the kernel's numbers; source: IP_VS_CONN_F_FWD_MASK, IP_VS_CONN_F_TUNNEL_TYPE_…, TUNNEL_ENCAP_FLAG_….
METHODS = (
    ForwardingMethod.NAT,
    ForwardingMethod.LOCAL,
    ForwardingMethod.TUN,
    ForwardingMethod.DR,
    ForwardingMethod.BYPASS,
)
_METHOD_MASK = 7
TUNNELS = (TunnelKind.IPIP, TunnelKind.GUE, TunnelKind.GRE)
CHECKSUMS = (Checksum.NONE, Checksum.PLAIN, Checksum.REMOTE)


class Counters(NamedTuple):
    """Since the entry was made, or its counters were set to zero; 64 bits each. `connections` are those scheduled."""

    connections: int
    in_packets: int
    out_packets: int
    in_bytes: int
    out_bytes: int


class KernelRates(NamedTuple):
    """Per second, as the kernel itself estimates: a moving average over about 8 s, renewed every 2 s."""

    connections: int
    in_packets: int
    out_packets: int
    in_bytes: int
    out_bytes: int


NOTHING_COUNTED = Counters(0, 0, 0, 0, 0)
NO_KERNEL_RATES = KernelRates(0, 0, 0, 0, 0)


class Tunnel(NamedTuple):
    """`port` is GUE's UDP port, 0 for the others."""

    kind: TunnelKind
    port: int
    checksum: Checksum


class DestinationKey(NamedTuple):
    """What tells the destinations of one service apart. IPv6 addresses are written as RFC 5952 says."""

    address: str
    port: int

    def __str__(self) -> str:
        return endpoint(self.address, self.port)


class _AsTold(NamedTuple):
    """A destination's attributes in the order and the form in which the kernel tells them."""

    raw_address: bytes
    raw_port: int
    raw_forwarding: int
    weight: int
    raw_tunnel_kind: int
    raw_tunnel_port: int
    raw_tunnel_flags: int
    upper_threshold: int
    lower_threshold: int
    active: int
    inactive: int
    persistent: int
    raw_family: int
    connections: int
    in_packets: int
    out_packets: int
    in_bytes: int
    out_bytes: int
    connections_per_s: int
    in_packets_per_s: int
    out_packets_per_s: int
    in_bytes_per_s: int
    out_bytes_per_s: int


class Destination(_AsTold):
    """A server behind a service; the kernel's numbers become words when somebody looks.

    Thresholds of 0 are none. `active` and `inactive` count connections as the kernel does: established ones, and all
    others that it remembers; `persistent` counts the templates that bind clients to this server.
    """

    __slots__ = ()

    @classmethod
    def of(
        cls,
        key: DestinationKey,
        forwarding: ForwardingMethod,
        weight: int,
        *,
        tunnel: Tunnel | None = None,
        thresholds: tuple[int, int] = (0, 0),
        active: int = 0,
        inactive: int = 0,
        persistent: int = 0,
        counters: Counters = NOTHING_COUNTED,
        kernel_rates: KernelRates = NO_KERNEL_RATES,
    ) -> Destination:
        """One that no kernel told: `thresholds` are (upper, lower). ValueError if the address is none."""
        family = socket.AF_INET6 if ":" in key.address else socket.AF_INET
        wrapped = tunnel or Tunnel(TunnelKind.IPIP, 0, Checksum.NONE)
        return cls(
            socket.inet_pton(family, canonical(key.address)).ljust(16, b"\0"),
            socket.htons(key.port),
            METHODS.index(forwarding),
            weight,
            TUNNELS.index(wrapped.kind),
            socket.htons(wrapped.port),
            CHECKSUMS.index(wrapped.checksum),
            *thresholds,
            active,
            inactive,
            persistent,
            int(family),
            *counters,
            *kernel_rates,
        )

    @property
    def address(self) -> str:
        """As RFC 5952 writes it."""
        return address_text(self.raw_family, self.raw_address)

    @property
    def port(self) -> int:
        """0 where a service of all ports, or of a mark, hands on to the port that the client asked for."""
        return socket.ntohs(self.raw_port)

    @property
    def key(self) -> DestinationKey:
        """What tells it apart from others of the same service."""
        return DestinationKey(self.address, self.port)

    @property
    def family(self) -> Family:
        """Of its address; with tunnels it may differ from that of the service."""
        return Family.IPV6 if self.raw_family == socket.AF_INET6 else Family.IPV4

    @property
    def forwarding(self) -> ForwardingMethod:
        """How packets get there."""
        number = self.raw_forwarding & _METHOD_MASK
        return METHODS[number] if number < len(METHODS) else ForwardingMethod.UNKNOWN

    @property
    def tunnel(self) -> Tunnel | None:
        """What packets are wrapped in; None unless they are."""
        if self.forwarding is not ForwardingMethod.TUN:
            return None
        number = self.raw_tunnel_kind
        kind = TUNNELS[number] if number < len(TUNNELS) else TunnelKind.UNKNOWN
        flags = self.raw_tunnel_flags
        checksum = Checksum.PLAIN if flags & 1 else Checksum.REMOTE if flags & 2 else Checksum.NONE
        return Tunnel(kind, socket.ntohs(self.raw_tunnel_port), checksum)

    @property
    def counters(self) -> Counters:
        """Since it was made, or its counters were set to zero."""
        return Counters(*self[13:18])

    @property
    def kernel_rates(self) -> KernelRates:
        """Per second, as the kernel estimates."""
        return KernelRates(*self[18:23])


class ServiceKey(NamedTuple):
    """What tells services apart: transport, address and port, or a firewall mark (`mark` > 0) and a family."""

    family: Family
    transport: Transport | None
    address: str
    port: int
    mark: int

    def __str__(self) -> str:
        if self.mark:
            return f"mark {self.mark}" + (" (IPv6)" if self.family is Family.IPV6 else "")
        return f"{self.transport} {endpoint(self.address, self.port)}"


class Service(NamedTuple):
    """An entry of the table, with what stands behind it.

    Of a firewall mark: `mark` > 0, `transport` None, `address` empty, `port` 0. `timeout_s` and `prefix` are those of
    persistence, and mean something where `persistent`; `persistence_engine` is empty or `sip`.
    """

    family: Family
    transport: Transport | None
    address: str
    port: int
    mark: int
    scheduler: str
    flags: frozenset[ServiceFlag]
    timeout_s: int
    prefix: int
    persistence_engine: str
    counters: Counters
    kernel_rates: KernelRates
    destinations: tuple[Destination, ...]

    @property
    def key(self) -> ServiceKey:
        """What tells it apart from others."""
        return ServiceKey(self.family, self.transport, self.address, self.port, self.mark)

    @property
    def persistent(self) -> bool:
        """Whether a client stays with its server."""
        return ServiceFlag.PERSISTENT in self.flags


class Table(NamedTuple):
    """The table at one moment; `monotonic_s` is CLOCK_MONOTONIC of the machine that it is of, just before reading."""

    monotonic_s: float
    services: tuple[Service, ...]


class SyncRole(StrEnum):
    """What a sync daemon does: a master tells of its connections, a backup listens."""

    MASTER = "master"
    BACKUP = "backup"


class SyncDaemon(NamedTuple):
    """A running sync daemon. `longest` is the size in bytes of its datagrams, `group` their multicast address."""

    role: SyncRole
    interface: str
    sync_id: int
    longest: int
    group: str
    port: int
    ttl: int


class Timeouts(NamedTuple):
    """How long the kernel remembers a connection that is established, that is ending, and of UDP (seconds)."""

    tcp_s: int
    tcp_fin_s: int
    udp_s: int


class KernelInfo(NamedTuple):
    """IPVS's own version (`1.2.1`) and the size of its connection table."""

    version: str
    connection_table_size: int


def endpoint(address: str, port: int) -> str:
    """`10.0.0.1:80`, `[2001:db8::1]:80`."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@lru_cache(1 << 14)
def address_text(family: int, raw: bytes) -> str:
    """An address out of the 16 bytes that the kernel has for either family; `family` is AF_INET or AF_INET6."""
    return socket.inet_ntop(family, raw) if family == socket.AF_INET6 else socket.inet_ntop(socket.AF_INET, raw[:4])


def canonical(address: str) -> str:
    """The one way in which the table writes an address; ValueError if it is none."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, address))
    except OSError:
        raise ValueError(f"{address!r} is not an address") from None
