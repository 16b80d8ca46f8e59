"""Everything that the renderers need to know of one node: no name left to look up, nothing left to choose."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from holdfast.spec.checks import Check
from holdfast.spec.pools import Balance, RetryCondition
from holdfast.spec.sites import Route

from .origin_views import OriginView

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class HeldView:
    """A floating address with its prefix, and the interface that carries it on this node."""

    address: IPv4Interface | IPv6Interface
    interface: str


@dataclass(frozen=True)
class TrackedScript:
    """A `vrrp_script`: what is run (words for the agent's probe), how often, and what its failure weighs.

    `weight` None means that failing gives the group up; a negative number is added to the priority.
    """

    name: str
    command: tuple[str, ...]
    as_root: bool
    every_s: int
    timeout_s: int
    fall: int
    rise: int
    weight: int | None


@dataclass(frozen=True)
class TrackedFile:
    """A `track_file`: value × weight is added to the priority; −254 or less gives the group up."""

    name: str
    path: str
    weight: int


@dataclass(frozen=True)
class TrackedProcess:
    """A `track_process`; `weight` 0 means that the death gives the group up (measured on 2.2.7)."""

    name: str
    process: str
    weight: int


@dataclass(frozen=True)
class TrackedInterface:
    """An interface whose loss gives the group up (`weight` None) or lowers the priority."""

    interface: str
    weight: int | None


@dataclass(frozen=True)
class VrrpView:
    """One VRRP instance as this node runs it."""

    group: str
    vrid: int
    interface: str
    priority: int
    advert_ms: int
    version: int
    family: int  # 4 or 6: the family of the adverts
    anchor: HeldView
    held: tuple[HeldView, ...]
    peers: tuple[str, ...]
    source: Address | None  # the own address that adverts are sent from
    unicast_peers: tuple[Address, ...]
    preempt: bool
    preempt_delay_s: int
    secret: str | None  # version 2 only
    hold_file: str
    hold_back_ms: int
    scripts: tuple[TrackedScript, ...]
    files: tuple[TrackedFile, ...]
    processes: tuple[TrackedProcess, ...]
    interfaces: tuple[TrackedInterface, ...]
    hooks: tuple[tuple[str, str], ...]  # (state, policy name), states: active, standby, fault
    mail: bool


@dataclass(frozen=True)
class ServerView:
    """One server of a pool. `name` is unique in its pool and safe in every format (`web01-80`)."""

    name: str
    address: Address
    port: int
    weight: int
    max_connections: int | None
    backup: bool


@dataclass(frozen=True)
class PoolView:
    """A pool with its servers' addresses. Times in milliseconds."""

    name: str
    servers: tuple[ServerView, ...]
    balance: Balance
    check: Check | None
    retry_on: tuple[RetryCondition, ...]
    tries: int
    min_servers: int
    connect_timeout_ms: int
    response_timeout_ms: int


@dataclass(frozen=True)
class SiteView:
    """A site; without hosts it takes what no other site of the listener names."""

    name: str
    hosts: tuple[str, ...]
    certificate: str | None
    routes: tuple[Route, ...]  # pools named in `route.split` are in the proxy's `pools`


@dataclass(frozen=True)
class ListenerView:
    """One port on one or more addresses (a group's, both families), and the sites behind it."""

    name: str
    addresses: tuple[Address, ...]
    port: int
    tls: bool
    sites: tuple[SiteView, ...]


@dataclass(frozen=True)
class HealthView:
    """Where the proxy itself answers 200 `ok` while it runs."""

    address: Address
    port: int
    path: str


@dataclass(frozen=True)
class ProxyView:
    """One tier of nginx or HAProxy on this node."""

    name: str
    engine: str
    listeners: tuple[ListenerView, ...]
    pools: tuple[PoolView, ...]  # those that its sites use, by name
    forwarded: str  # replace, append or keep
    health: HealthView | None
    client_timeout_ms: int
    idle_timeout_ms: int
    max_body_bytes: int | None


@dataclass(frozen=True)
class MailView:
    """Where mail is sent, and which changes of servers it tells of (moves of addresses: `VrrpView.mail`)."""

    server: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    server_down: bool = False
    server_up: bool = False

    @property
    def of_servers(self) -> bool:
        """Whether any change of a server is told."""
        return self.server_down or self.server_up


@dataclass(frozen=True)
class TunnelView:
    """How packets are wrapped: `ipip`, `gre` or `gue` (then with a UDP port)."""

    kind: str
    port: int | None
    checksum: bool


@dataclass(frozen=True)
class RealServerView:
    """A server of a virtual server, as its directors see it. `name` is unique in its virtual server (`rs01-80`).

    `weight_file` is the track file that drains it and changes its weight without a reload: value × 1 is added.
    """

    name: str
    node: str | None  # None for a bare address
    address: Address
    port: int  # 0 with a mark: the client's own port is kept
    check_port: int  # where it is asked, unless the check names another port
    weight: int
    upper: int | None  # connections above which it gets no new ones
    lower: int | None  # and below which it does again
    weight_file: str


@dataclass(frozen=True)
class SorryView:
    """Who answers when the quorum is lost."""

    address: Address
    port: int
    forward: str | None


@dataclass(frozen=True)
class VirtualServerView:
    """One `virtual_server` of IPVS: one address and port, or one mark. A spec's entry with several becomes several.

    `name` is unique on the node (`shop`, `shop.v6`, `shop.10-0-0-3-443`: no entry's name has a dot); `source` is the
    entry's own.
    """

    name: str
    source: str
    group: str  # the VRRP group whose members are the directors
    address: Address | None
    port: int | None
    mark: int | None
    family: int
    protocol: str
    forward: str
    tunnel: TunnelView
    scheduler: str
    flags: tuple[str, ...]  # as keepalived and ipvsadm name them: sh-port, mh-fallback …
    persistence_s: int | None
    persistence_prefix: int | None  # None: the whole address
    one_packet: bool
    servers: tuple[RealServerView, ...]
    check: Check | None
    sorry: SorryView | None
    quorum: int
    hysteresis: int
    quorum_hooks: tuple[tuple[str, str], ...]  # (gained | lost, policy name)
    starts_down: bool
    weightless: bool
    hooks: tuple[tuple[str, str], ...]  # (up | down, policy name)
    mail: bool


@dataclass(frozen=True)
class MarkView:
    """Packets that nftables marks, so that one virtual server takes them all."""

    mark: int
    address: Address
    protocol: str
    first_port: int
    last_port: int
    virtual_server: str


@dataclass(frozen=True)
class SyncView:
    """The connection synchronisation of a director: where, which number on the wire, and over which family."""

    interface: str
    id: int
    family: int = 4


@dataclass(frozen=True)
class ServedAddress:
    """A virtual address that this node takes as a real server, and how its packets arrive there.

    dr: on `lo`; tun: on the tunnel's device (tunl0, ip6tnl0, a gre or gue device).
    """

    address: Address
    forward: str
    tunnel: TunnelView
    interface: str  # where the directors' packets come in
    virtual_server: str


@dataclass(frozen=True)
class GatewayView:
    """The default route of a real server behind NAT: the floating inner address of its directors."""

    address: Address
    interface: str
    virtual_server: str


@dataclass(frozen=True)
class RealServerRole:
    """What this node has to be as a real server."""

    served: tuple[ServedAddress, ...] = ()
    gateways: tuple[GatewayView, ...] = ()


@dataclass(frozen=True)
class DirectorRole:
    """What this node has to be as a director."""

    virtual_servers: tuple[VirtualServerView, ...] = ()
    marks: tuple[MarkView, ...] = ()
    sync: SyncView | None = None
    end_sessions_of_drained: bool = True
    # Where real servers behind NAT live: on one segment with the clients, they may not be told of a shorter way.
    nat_interfaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class NodeView:
    """One node, resolved.

    `process_events` tells whether the kernel's process events reach keepalived there (in namespaces they don't).
    """

    cluster: str
    node: str
    vrrp: tuple[VrrpView, ...]
    proxies: tuple[ProxyView, ...]
    mail: MailView | None
    process_events: bool
    gateways: frozenset[Address]  # gateways of the networks that the node is on
    director: DirectorRole = DirectorRole()
    real_server: RealServerRole = RealServerRole()
    origin: OriginView | None = None

    @property
    def does_anything(self) -> bool:
        """Whether the node holds addresses, runs a proxy, is a real server, or keeps what was imported."""
        real_server = self.real_server.served or self.real_server.gateways
        return bool(self.vrrp or self.proxies or real_server or self.origin)

    def engines(self, engine: str) -> tuple[ProxyView, ...]:
        """The node's proxies of one engine."""
        return tuple(proxy for proxy in self.proxies if proxy.engine == engine)
