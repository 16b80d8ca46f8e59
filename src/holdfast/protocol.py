"""What controller and agent say to each other: reports, facts and states, versioned and frozen.

A reader refuses a version that it does not know; a field that is added has a default, so that an older peer's
message still loads.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from holdfast.bundle import Bundle, HeldAddress, SafeName, Service, VrrpExpectation
from holdfast.findings import Finding

# A bundle is what a controller sends: who speaks the protocol gets it here.
__all__ = [
    "PROTOCOL_VERSION",
    "AdvertFacts",
    "ApplyReport",
    "Bundle",
    "ClockFacts",
    "Failure",
    "FileFacts",
    "FirewallFacts",
    "GroupFacts",
    "HostFacts",
    "InterfaceFacts",
    "KeepalivedFacts",
    "KeepalivedProcess",
    "ListenerFacts",
    "MoveReport",
    "NodeStatus",
    "Outcome",
    "OverrideKind",
    "OverrideReport",
    "Overrides",
    "PoolFacts",
    "RouteFacts",
    "ServerFacts",
    "ServerOverride",
    "ServiceFacts",
    "StageReport",
    "UnreadFacts",
    "VrrpExpectation",
    "WeighedServer",
]

PROTOCOL_VERSION: Literal[1] = 1


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Outcome(StrEnum):
    """How an attempt to apply a bundle ended."""

    COMMITTED = "committed"  # the node is in the new state, verified
    UNCHANGED = "unchanged"  # it already was; nothing was reloaded
    ROLLED_BACK = "rolled_back"  # it is in the old state again, processes included
    REFUSED = "refused"  # nothing that runs was touched
    RECOVERED = "recovered"  # an earlier, interrupted attempt was finished or put back
    BROKEN = "broken"  # neither: the way back failed too, and the next run tries again


class StageReport(_Message):
    """One step: `seconds` is how long it took; `detail` says what was found."""

    name: str
    ok: bool
    detail: str = ""
    seconds: float = 0.0


class Failure(_Message):
    """Why it ended so: `program_line` quotes the program that refused, word for word, or is empty."""

    message: str
    hint: str = ""
    program_line: str = ""


class ApplyReport(_Message):
    """What became of one bundle on one node.

    `digest` is of the bundle that was wanted, `previous_digest` of the one that ran before (None on a new
    node).
    """

    version: Literal[1] = PROTOCOL_VERSION
    node: str
    outcome: Outcome
    digest: str
    previous_digest: str | None = None
    stages: tuple[StageReport, ...] = ()
    failure: Failure | None = None
    reloaded: tuple[Service, ...] = ()
    started: tuple[Service, ...] = ()
    stopped: tuple[Service, ...] = ()
    adopted: tuple[str, ...] = ()  # where files that were not ours have been moved to
    notes: tuple[str, ...] = ()


class ServiceFacts(_Message):
    """What runs: `state` is the service manager's own word, `restarts` counts since the manager started it."""

    service: Service
    running: bool
    pid: int | None = None
    state: str = ""
    restarts: int = 0


class ListenerFacts(_Message):
    """A TCP socket in LISTEN state; `service` is None where it belongs to none of ours."""

    address: str
    port: int
    service: Service | None = None


class GroupFacts(_Message):
    """A VRRP group as this node sees it; `hold` is the hold file's number (0: may hold, -254: gave it up)."""

    group: SafeName
    vrid: int
    holds: bool
    present: tuple[HeldAddress, ...] = ()
    missing: tuple[HeldAddress, ...] = ()
    hold: int = 0


class ServerFacts(_Message):
    """A server of a pool that the prober asks. `up` is what its answers say, `in_use` what nginx was told.

    They differ while a change waits for its reload, and where a failing server stays because of `min_servers`.
    `since` is when `up` became what it is (RFC 3339), `failures` and `successes` count answers in a row.
    """

    name: str
    endpoint: str
    up: bool
    in_use: bool
    since: str | None = None  # None: as it was found
    last: str = ""  # what became of the last question; empty: none was asked yet
    failures: int = 0
    successes: int = 0


class PoolFacts(_Message):
    """A pool as this node's prober sees it."""

    pool: str
    min_servers: int
    servers: tuple[ServerFacts, ...] = ()


class OverrideKind(StrEnum):
    """What an operator decided about one server for a while."""

    DRAINED = "drained"  # no new connections, those that it has may end
    SUSPENDED = "suspended"  # out of the table at once
    WEIGHT = "weight"  # another weight than the spec's


class ServerOverride(_Message):
    """An override of a real server, in one virtual server (the spec's entry) or, without one, in all.

    `server` is NODE:PORT or ADDRESS:PORT as the spec writes it. `since` and `until` are RFC 3339 times in UTC.
    """

    server: Annotated[str, Field(max_length=300)]
    virtual_server: SafeName | None = None
    kind: OverrideKind
    weight: Annotated[int, Field(ge=0, le=65535)] | None = None
    who: Annotated[str, Field(max_length=100)] = ""
    why: Annotated[str, Field(max_length=500)] = ""
    since: Annotated[str, Field(max_length=40)] = ""
    until: Annotated[str, Field(max_length=40)] | None = None


class Overrides(_Message):
    """All that is overridden on a node: it replaces what the node knew, and survives reloads and rollbacks."""

    version: Literal[1] = PROTOCOL_VERSION
    servers: Annotated[tuple[ServerOverride, ...], Field(max_length=10_000)] = ()


class NodeStatus(_Message):
    """The node as it is, not as it should be."""

    version: Literal[1] = PROTOCOL_VERSION
    node: str | None = None
    cluster: str | None = None
    generation: str | None = None
    digest: str | None = None
    services: tuple[ServiceFacts, ...] = ()
    listeners: tuple[ListenerFacts, ...] = ()
    groups: tuple[GroupFacts, ...] = ()
    pools: tuple[PoolFacts, ...] = ()  # as the prober last saw them; empty where it does not run
    overrides: tuple[ServerOverride, ...] = ()  # in force
    table: tuple[Finding, ...] = ()  # how the kernel's IPVS table differs from what the bundle expects
    drift: tuple[str, ...] = ()  # files of the current generation that somebody changed by hand
    interrupted: bool = False  # an attempt was cut off; any other agent command puts that right


class MoveReport(_Message):
    """What a planned switchover cost: times in seconds, connections counted.

    `cut` connections still had an answer on its way when the limit was reached; `reset` ones were idle and
    are closed
    by the new holder when their client next uses them.
    """

    version: Literal[1] = PROTOCOL_VERSION
    group: SafeName
    moved: bool
    held_back_s: float = 0.0
    requests_held_s: float = 0.0
    cut: int = 0
    reset: int = 0
    detail: str = ""


class WeighedServer(_Message):
    """A real server of a virtual server: what overrides make of it, and what the kernel's table shows.

    `holds`: this node holds the virtual server's addresses, so its count of connections is the one that counts.
    `wanted` and `weight` are None where it is not in the table: suspended, or taken out by its check. `open` counts
    connections that have not ended (None: not counted, as nothing is overridden); `persistent` the clients bound to it.
    `seconds` is how long after the write the table showed it.
    """

    virtual_server: str
    source: SafeName
    server: str
    kind: OverrideKind | None = None
    wanted: int | None = None
    weight: int | None = None
    as_wanted: bool = True
    holds: bool = True
    open: int | None = None
    persistent: int = 0
    seconds: float = 0.0


class OverrideReport(_Message):
    """What overrides do on one director. `sessions_end`: clients bound to a drained server are sent elsewhere."""

    version: Literal[1] = PROTOCOL_VERSION
    node: SafeName
    done: bool
    servers: tuple[WeighedServer, ...] = ()
    expired: tuple[ServerOverride, ...] = ()
    unknown: tuple[str, ...] = ()  # overridden servers that this node does not direct
    reloaded: bool = False
    sessions_end: bool = True
    detail: str = ""


_Name = Annotated[str, Field(max_length=255)]
_Text = Annotated[str, Field(max_length=1000)]
_Path = Annotated[str, Field(max_length=4096)]


class InterfaceFacts(_Message):
    """A network interface with its addresses, each with its prefix length. None: not known.

    `secondary` are those addresses that came after another of their network; `kind` is the kernel's own word (`veth`,
    `bond`), empty for a card; `up` is what the operator wants, `carrier` what the cable says.
    """

    name: _Name
    addresses: Annotated[tuple[_Name, ...], Field(max_length=10_000)] = ()
    secondary: Annotated[tuple[_Name, ...], Field(max_length=10_000)] = ()
    mac: _Name = ""
    mtu: int | None = None
    up: bool | None = None
    carrier: bool | None = None
    multicast: bool | None = None
    kind: _Name = ""


class RouteFacts(_Message):
    """A route of the main table: `destination` is a network or `default`; no `gateway`: it is on the link."""

    family: Literal[4, 6]
    destination: _Name
    gateway: _Name = ""
    interface: _Name = ""
    metric: int = 0


class FileFacts(_Message):
    """A file that a configuration names. `target` is where its links lead; `mode` are its permissions.

    `weak` are those parts of the path (folders, links' targets, the file) that others than root may change.
    """

    path: _Path
    exists: bool
    target: _Path = ""
    kind: Literal["file", "folder", "other", ""] = ""
    owner: _Name = ""
    mode: Annotated[int, Field(ge=0, le=0o7777)] | None = None
    weak: Annotated[tuple[_Path, ...], Field(max_length=100)] = ()


class FirewallFacts(_Message):
    """What becomes of adverts (IP protocol 112) that arrive: by family, and by which rule; None: it cannot be told."""

    program: _Name
    accepts_ipv4: bool | None = None
    accepts_ipv6: bool | None = None
    decided_by: _Text = ""


class KeepalivedProcess(_Message):
    """A running keepalived, its first process: the file that it reads, the unit or slice that it runs in."""

    pid: int
    config: _Path = ""
    unit: _Name = ""


class KeepalivedFacts(_Message):
    """The installed keepalived: `options` are those of its build (VRRP, LVS, BFD …); `after` is its unit's `After=`."""

    version: _Name
    options: Annotated[tuple[_Name, ...], Field(max_length=200)] = ()
    processes: Annotated[tuple[KeepalivedProcess, ...], Field(max_length=100)] = ()
    unit: _Name = ""
    after: Annotated[tuple[_Name, ...], Field(max_length=200)] = ()


class AdvertFacts(_Message):
    """A virtual router of others that was heard on an interface while the facts were gathered."""

    interface: _Name
    source: _Name
    vrid: Annotated[int, Field(ge=1, le=255)]
    family: Literal[4, 6]
    version: int
    priority: int


class ClockFacts(_Message):
    """Whether something keeps the clock right, and how far off (in milliseconds) the kernel thinks that it may be."""

    synchronised: bool
    error_ms: float | None = None


class UnreadFacts(_Message):
    """What could not be told, and why."""

    what: _Text
    why: _Text


class HostFacts(_Message):
    """What a node is and can do. What is None, or not in a dictionary, is not known: nothing follows from it.

    `programs` are versions (None: not installed), `commands` the paths of programs that a configuration may name
    (empty: not installed), `users` are user ids (None: no such user), `sysctls` are by their names with slashes.
    """

    version: Literal[1] = PROTOCOL_VERSION
    hostname: _Name
    kernel: _Name
    service_manager: _Name
    programs: dict[str, str | None] = {}
    interfaces: Annotated[tuple[InterfaceFacts, ...], Field(max_length=10_000)] = ()
    routes: Annotated[tuple[RouteFacts, ...], Field(max_length=10_000)] | None = None
    sysctls: Annotated[dict[_Name, _Text], Field(max_length=20_000)] = {}
    modules: Annotated[tuple[_Name, ...], Field(max_length=10_000)] | None = None  # loaded, or built in
    loadable: Annotated[dict[_Name, bool], Field(max_length=1000)] = {}  # those that were asked for
    keepalived: KeepalivedFacts | None = None
    commands: Annotated[dict[_Path, _Path], Field(max_length=10_000)] = {}
    users: Annotated[dict[_Name, int | None], Field(max_length=1000)] = {}
    files: Annotated[tuple[FileFacts, ...], Field(max_length=10_000)] = ()
    listeners: Annotated[tuple[ListenerFacts, ...], Field(max_length=10_000)] | None = None
    firewall: FirewallFacts | None = None
    adverts: Annotated[tuple[AdvertFacts, ...], Field(max_length=1000)] | None = None  # None: nobody listened
    clock: ClockFacts | None = None
    platform: _Name = ""  # who made the machine, as its firmware says
    confinement: tuple[Literal["selinux", "apparmor"], ...] = ()  # what is enforced
    configuration: _Path = ""  # the keepalived.conf whose names were looked up
    unread: Annotated[tuple[UnreadFacts, ...], Field(max_length=1000)] = ()

    def interface(self, name: str) -> InterfaceFacts | None:
        """The interface of that name, or None."""
        return next((one for one in self.interfaces if one.name == name), None)
