"""What one node gets: files, the services that read them, and what must be true once they run.

A bundle is data that crosses a trust boundary (controller to agent), so it is validated on both sides and names
services and policy entries, never commands.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
)

# Holdfast's own places on a node. Compiler and agent agree on them here; the agent's allow-lists are built from them.
CONFIG_DIR = "/etc/holdfast"  # one folder a service below it; nothing of the distribution's is touched
STATE_DIR = "/var/lib/holdfast"  # survives a reboot: hold files, journal, last known good
RUN_DIR = "/run/holdfast"  # does not: pid files, sockets, what the supervisor says of its services
LOG_DIR = "/var/log/holdfast"  # one folder a service
PROBE_DIR = "/usr/lib/holdfast"  # the agent's own probe and hook runner, called by keepalived
LARGEST_BUNDLE = 16_000_000  # characters, of all files together
HOLD_DIR = f"{STATE_DIR}/hold"  # one file per VRRP group: 0, or -254 to give the group up
SERVICE_STATE_DIR = f"{RUN_DIR}/service-state"  # one file per service: 0 while it runs, -1 when its process died
TRACK_DIR = f"{STATE_DIR}/track"  # files of `keeps_while: - file: NAME`, fed by the operator's own programs
NGINX_SERVERS_DIR = f"{CONFIG_DIR}/nginx/servers"  # UPSTREAM.conf: the servers of a pool that the prober asks
PROBER_FILE = f"{CONFIG_DIR}/prober/pools.json"  # what it asks them: ProbedPools
WEIGHT_DIR = f"{STATE_DIR}/weight"  # VIRTUAL_SERVER/SERVER: what is added to a real server's weight, by overrides
NETWORK_FILE = f"{CONFIG_DIR}/network/network.json"  # NodeNetwork: what a real server carries
HAPROXY_STATE = f"{STATE_DIR}/haproxy/servers"  # what overrides make of its servers, read at each start
TLS_DIR = f"{CONFIG_DIR}/tls"  # NAME.crt and NAME.key, put there by the operator, never by a bundle

OWNERSHIP_LINE = "Managed by Holdfast"  # each file's first line contains it, behind the format's comment sign

SafeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._/-]{1,250}$")]


class Service(StrEnum):
    """A program that a bundle configures. How it is checked, started and judged lives in agent/services."""

    SYSCTL = "sysctl"
    NETWORK = "network"  # addresses on lo, tunnels, the default route of real servers: Holdfast's own, over `ip`
    NFTABLES = "nftables"
    NGINX = "nginx"
    HAPROXY = "haproxy"
    PROBER = "prober"  # the agent's own: asks the servers of pools that nginx serves
    KEEPALIVED = "keepalived"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BundleFile(_Frozen):
    """One file: an absolute path below CONFIG_DIR/SERVICE/, its text, mode and owner.

    `state` marks a list of servers whose `down` marks the agent sets at run time: `content` is what it starts with, and
    all that digests and comparisons of bundles know.
    """

    path: AbsolutePath
    content: Annotated[str, Field(max_length=LARGEST_BUNDLE)]
    mode: int = 0o644
    owner: SafeName = "root"
    group: SafeName = "root"
    state: bool = False


_Milliseconds = Annotated[int, Field(ge=1, le=10**16)]
_Times = Annotated[int, Field(ge=1, le=1000)]
_Port = Annotated[int, Field(ge=1, le=65535)]


class ProbedServer(_Frozen):
    """A server of a pool, as nginx's list of servers names it: its address (in its shortest form) and port."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$")]
    address: IPv4Address | IPv6Address
    port: _Port

    @property
    def endpoint(self) -> str:
        """`address:port`, IPv6 in brackets: how nginx names it."""
        return f"[{self.address}]:{self.port}" if self.address.version == 6 else f"{self.address}:{self.port}"


class Probe(_Frozen):
    """What a server is asked: a GET of `http` (any status of `expect`, or 200 to 399), or, without it, a connection.

    `port` stands in for the server's own; `host` is the Host header, the server's address if None.
    """

    http: Annotated[str, StringConstraints(pattern=r"^/[!-~]{0,500}$")] | None = None
    host: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,1000}$")] | None = None
    expect: Annotated[tuple[Annotated[int, Field(ge=100, le=599)], ...], Field(max_length=500)] = ()
    port: _Port | None = None
    every_ms: _Milliseconds
    timeout_ms: _Milliseconds
    fall: _Times
    rise: _Times


class ProbedPool(_Frozen):
    """A pool that the prober asks, and the nginx upstreams that it serves (their lists are in NGINX_SERVERS_DIR)."""

    pool: SafeName
    upstreams: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,150}$")], ...],
        Field(min_length=1, max_length=1000),
    ]
    servers: Annotated[tuple[ProbedServer, ...], Field(min_length=1, max_length=2000)]
    min_servers: _Times
    check: Probe


_MailAddress = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,190}$")]


class ServerMail(_Frozen):
    """Where the prober mails that servers went `down` or came `up`; `cluster` and `node` say who found it."""

    cluster: SafeName
    node: SafeName
    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:-]{1,255}$")]
    port: _Port
    sender: _MailAddress
    recipients: Annotated[tuple[_MailAddress, ...], Field(min_length=1, max_length=50)]
    down: bool
    up: bool


class ProbedPools(_Frozen):
    """PROBER_FILE. JSON has no comments, so the first key says whose the file is."""

    ownership: str = Field(alias="_", max_length=500)
    mail: ServerMail | None = None
    pools: Annotated[tuple[ProbedPool, ...], Field(max_length=10_000)]


class ListenerExpectation(_Frozen):
    """A TCP socket that must be open for listening once `service` runs. `address` is in its shortest form."""

    service: Service
    address: str
    port: Annotated[int, Field(ge=1, le=65535)]


class HeldAddress(_Frozen):
    """An address (with prefix, `10.0.0.3/24`) that the holder of a group carries on `interface`."""

    address: str
    interface: str


class VrrpExpectation(_Frozen):
    """A VRRP group as this node sees it.

    `priority` is the configured base priority on this node; `peers` are the other members, in order of preference;
    `preempts` tells whether a better node takes the group back by itself.
    """

    group: SafeName
    vrid: Annotated[int, Field(ge=1, le=255)]
    interface: str
    priority: int
    anchor: HeldAddress
    addresses: tuple[HeldAddress, ...]
    peers: tuple[SafeName, ...]
    hold_file: AbsolutePath
    advert_interval_ms: int
    hold_back_at_most_ms: int = 10_000
    preempts: bool = True


class ImportedGroupExpectation(_Frozen):
    """A VRRP instance that keeps the shape of its origin: no anchor, no hold file; all that its holder carries."""

    group: SafeName
    vrid: Annotated[int, Field(ge=1, le=255)]
    interface: str
    priority: int
    addresses: Annotated[tuple[HeldAddress, ...], Field(min_length=1)]
    advert_interval_ms: int


class NetworkAddress(_Frozen):
    """A virtual address that a real server takes: a host prefix (`10.0.0.3/32`) on `device`."""

    address: Annotated[str, Field(max_length=64)]
    device: SafeName


class NetworkTunnel(_Frozen):
    """A device that unwraps what directors send: `kind` is ipip, ip6tnl, gre, ip6gre or gue (with a UDP port)."""

    device: SafeName
    kind: Annotated[str, StringConstraints(pattern=r"^(ipip|ip6tnl|gre|ip6gre|gue|gue6)$")]
    port: _Port | None = None


class NetworkGateway(_Frozen):
    """The default route of a family, by way of `address` on `device`."""

    address: IPv4Address | IPv6Address
    device: SafeName


class NodeNetwork(_Frozen):
    """NETWORK_FILE. JSON has no comments, so the first key says whose the file is."""

    ownership: str = Field(alias="_", max_length=500)
    tunnels: Annotated[tuple[NetworkTunnel, ...], Field(max_length=20)] = ()
    addresses: Annotated[tuple[NetworkAddress, ...], Field(max_length=2000)] = ()
    gateways: Annotated[tuple[NetworkGateway, ...], Field(max_length=2)] = ()


class RealServerExpectation(_Frozen):
    """A real server in the kernel's table. `weight` is the base, `weight_file` the override that is added to it."""

    name: SafeName
    address: IPv4Address | IPv6Address
    port: Annotated[int, Field(ge=0, le=65535)]
    weight: Annotated[int, Field(ge=0, le=65535)]
    upper: Annotated[int, Field(ge=0)] = 0
    lower: Annotated[int, Field(ge=0)] = 0
    weight_file: AbsolutePath


class VirtualServerExpectation(_Frozen):
    """A virtual server in the kernel's table: an address and a port, or a mark."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,150}$")]
    source: SafeName  # the entry of the spec
    group: SafeName
    address: IPv4Address | IPv6Address | None = None
    port: _Port | None = None
    mark: Annotated[int, Field(ge=1, le=0xFFFFFFFF)] | None = None
    family: Annotated[int, Field(ge=4, le=6)]
    protocol: Annotated[str, StringConstraints(pattern=r"^(tcp|udp|sctp)$")]
    forward: Annotated[str, StringConstraints(pattern=r"^(nat|dr|tun)$")]
    tunnel: Annotated[str, StringConstraints(pattern=r"^(ipip|gre|gue)$")] = "ipip"
    tunnel_port: _Port | None = None
    scheduler: SafeName
    flags: tuple[SafeName, ...] = ()
    persistence_s: Annotated[int, Field(ge=1)] | None = None
    persistence_prefix: Annotated[int, Field(ge=1, le=128)] | None = None
    one_packet: bool = False
    servers: tuple[RealServerExpectation, ...]
    sorry: tuple[IPv4Address | IPv6Address, Annotated[int, Field(ge=0, le=65535)]] | None = None  # 0: the client's own


class Expectations(_Frozen):
    """What must be true of the node once the bundle is applied."""

    listeners: tuple[ListenerExpectation, ...] = ()
    vrrp: tuple[VrrpExpectation, ...] = ()
    virtual_servers: tuple[VirtualServerExpectation, ...] = ()
    imported: tuple[ImportedGroupExpectation, ...] = ()

    @model_serializer(mode="wrap")
    def _without_what_few_have(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The digest of a bundle without imported groups is what it was before there were any."""
        found: dict[str, Any] = handler(self)
        if not self.imported:
            found.pop("imported", None)
        return found


class PolicyNames(_Frozen):
    """Names that the bundle uses out of the node's own policy."""

    scripts: tuple[SafeName, ...] = ()
    hooks: tuple[SafeName, ...] = ()


class Bundle(_Frozen):
    """Everything for one node. Equal bundles have equal digests, and a digest covers every field."""

    cluster: SafeName
    node: SafeName
    services: tuple[Service, ...]  # in the order in which they are brought up
    files: tuple[BundleFile, ...]  # sorted by path
    state_files: tuple[AbsolutePath, ...] = ()  # created with "0" where absent, never overwritten
    expected: Expectations = Expectations()
    policy_names: PolicyNames = PolicyNames()
    kernel_modules: tuple[SafeName, ...] = ()  # what the kernel must have, or be able to load, before anything changes

    def to_json(self) -> str:
        """The one serialised form: stable, so that it can be hashed and compared."""
        return self.model_dump_json(indent=1)

    @classmethod
    def from_json(cls, text: str) -> Bundle:
        """Raise pydantic.ValidationError on anything that is not a bundle."""
        return cls.model_validate_json(text)

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the serialised bundle."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @property
    def has_lists(self) -> bool:
        """Whether servers of its pools can be overridden: nginx has them as lists, HAProxy reads their states."""
        proxy = self.file(f"{CONFIG_DIR}/haproxy/haproxy.cfg")
        return any(one.state for one in self.files) or (proxy is not None and HAPROXY_STATE in proxy.content)

    def file(self, path: str) -> BundleFile | None:
        """The file at `path`, or None."""
        return next((f for f in self.files if f.path == path), None)
