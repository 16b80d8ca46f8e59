"""What a cluster is to VRRP: nodes, links, instances, what they track, and what stands together in a sync group.

The model is neutral: a spec and a pair of keepalived.conf files both become one. It holds what keepalived acts on,
after its own corrections (a weight that it ignores is not here). Times are seconds; a `weight` of 0: a loss is a FAULT.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

LINK_WATCH_S = 1.0  # Linux tells of a lost carrier at most once a second (net/core/link_watch.c), of a new one at once
OWNER = 255  # the priority of a router that owns the addresses: nothing changes it (RFC 5798 5.2.4)
LOWEST, HIGHEST = 1, 254


class Watched(StrEnum):
    """What a tracker looks at."""

    SCRIPT = "script"
    FILE = "file"
    PROCESS = "process"
    INTERFACE = "interface"


@dataclass(frozen=True)
class Watch:
    """Something on one node that trackers look at; interfaces need none.

    A script is asked every `interval_s`, and believed after `fall` bad or `rise` good answers; `timeout_s` is how long
    an answer may take. A file holds `well` or, lost, `lost`. `service` is the program whose death fails it, if any.
    """

    kind: Watched
    name: str
    title: str = ""
    interval_s: float = 1.0
    timeout_s: float = 0.0
    rise: int = 1
    fall: int = 1
    well: int = 0
    lost: int = -1
    service: str = ""
    by_hand: bool = False  # a hold file: written on purpose, never by a failure

    @property
    def detection_s(self) -> float:
        """The longest time from a loss to its being believed; files, processes and links are told of at once."""
        return self.interval_s * self.fall + self.timeout_s if self.kind is Watched.SCRIPT else 0.0

    @property
    def recovery_s(self) -> float:
        """The longest time from a repair to its being believed."""
        return self.interval_s * self.rise + self.timeout_s if self.kind is Watched.SCRIPT else 0.0


@dataclass(frozen=True)
class Tracker:
    """One thing that an instance tracks, and what its loss does: `weight` off the priority (or on it), 0 for FAULT."""

    kind: Watched
    name: str
    weight: int = 0
    reverse: bool = False
    ignored: bool = False  # keepalived leaves it out, whatever its author believes


@dataclass(frozen=True)
class Instance:
    """A VRRP instance as one node runs it. `addresses` is all that it holds, `advertised` what its adverts name."""

    name: str
    vrid: int
    interface: str
    priority: int
    addresses: tuple[str, ...]
    advertised: frozenset[str] = frozenset()
    advert_s: float = 1.0
    version: int = 3
    family: int = 4
    preempt: bool = True
    preempt_delay_s: float = 0.0
    source: str = ""  # the address that its adverts come from; decides between equals
    peers: frozenset[str] = frozenset()  # unicast; empty: multicast
    trackers: tuple[Tracker, ...] = ()
    secret: str = ""  # of version 2
    down_adverts: int = 3
    answers_lower: bool = True  # not lower_prio_no_advert
    answers_higher: bool = False  # higher_prio_send_advert
    blocked: str = ""  # what keeps it in FAULT whatever happens
    reads_foreign_addresses: bool = False  # skip_check_adv_addr: a backup believes its master's later adverts

    @property
    def owner(self) -> bool:
        """Whether the node owns the addresses: then neither trackers nor `nopreempt` count."""
        return self.priority == OWNER

    def skew_s(self, priority: int, master_advert_s: float) -> float:
        """RFC 5798 6.1 and RFC 3768 6.1: what sets backups apart by their priority."""
        return (256 - priority) / 256 * (master_advert_s if self.version == 3 else 1.0)

    def down_s(self, priority: int, master_advert_s: float) -> float:
        """How long a master must be silent to be given up."""
        return self.down_adverts * master_advert_s + self.skew_s(priority, master_advert_s)


@dataclass(frozen=True)
class SyncGroup:
    """Instances of one node that change their state together."""

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class Node:
    """One machine. `links` is interface → the network it is on; `capacity` is in any unit that the operator likes."""

    name: str
    links: Mapping[str, str] = field(default_factory=dict)
    instances: tuple[Instance, ...] = ()
    sync_groups: tuple[SyncGroup, ...] = ()
    watches: tuple[Watch, ...] = ()
    services: tuple[str, ...] = ()  # programs besides keepalived that may die
    capacity: float = 1.0
    startup_delay_s: float = 0.0  # vrrp_startup_delay

    @cached_property
    def by_name(self) -> dict[str, Instance]:
        """Its instances by name."""
        return {instance.name: instance for instance in self.instances}

    @cached_property
    def group_of(self) -> dict[str, SyncGroup]:
        """The sync group of each instance that is in one: the first that names it, as keepalived has it."""
        return {member: self.sync_groups[at] for member, at in self.place_of_group.items()}

    @cached_property
    def place_of_group(self) -> dict[str, int]:
        """Where in `sync_groups` that group stands."""
        found: dict[str, int] = {}
        for at, group in enumerate(self.sync_groups):
            for member in group.members:
                if member in self.by_name:
                    found.setdefault(member, at)
        return found

    @cached_property
    def places_of_watches(self) -> dict[tuple[Watched, str], tuple[int, ...]]:
        """Where in `watches` those stand that look at the same."""
        found: dict[tuple[Watched, str], list[int]] = {}
        for at, watch in enumerate(self.watches):
            found.setdefault((watch.kind, watch.name), []).append(at)
        return {key: tuple(places) for key, places in found.items()}

    @cached_property
    def used_links(self) -> tuple[str, ...]:
        """The interfaces whose loss VRRP notices, or suffers from; sorted."""
        named = {instance.interface for instance in self.instances}
        named |= {t.name for i in self.instances for t in i.trackers if t.kind is Watched.INTERFACE}
        return tuple(sorted(named - {""}))

    @cached_property
    def watched(self) -> dict[tuple[Watched, str], Watch]:
        """Its watches by what they look at."""
        return {(watch.kind, watch.name): watch for watch in self.watches}


@dataclass(frozen=True)
class Backends:
    """Servers that carry the load of one virtual server or pool. `sorry` is the host of its sorry server.

    Where those that live weigh less than `least`, the sorry server steps in, and they are taken out; where there is
    none, keepalived leaves them in.
    """

    name: str
    members: Mapping[str, float]  # a server → its weight
    least: float = 0.0
    sorry: str = ""


@dataclass(frozen=True)
class Promises:
    """Within how many seconds another node shall hold an address, by what was lost; None: nothing is promised."""

    node_lost_s: float | None = None
    service_lost_s: float | None = None
    link_lost_s: float | None = None


Place = tuple[str, str]  # (node, instance)


@dataclass(frozen=True)
class Cluster:
    """Everything. `groups` gives a virtual router its name for people: (node, instance) → name."""

    nodes: Mapping[str, Node]
    backends: tuple[Backends, ...] = ()
    groups: Mapping[Place, str] = field(default_factory=dict)
    serving: Mapping[str, frozenset[str]] = field(default_factory=dict)  # address → services that must run where it is
    promises: Promises = field(default_factory=lambda: Promises())

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Every instance of every node, in the order of the nodes."""
        return tuple((node.name, instance.name) for node in self.nodes.values() for instance in node.instances)

    def instance(self, place: Place) -> Instance:
        """The instance at a place."""
        return self.nodes[place[0]].by_name[place[1]]

    def group(self, place: Place) -> str:
        """How people call the virtual router of an instance."""
        return self.groups.get(place, place[1])

    @cached_property
    def _with_server(self) -> dict[str, tuple[int, ...]]:
        found: dict[str, list[int]] = {}
        for at, backends in enumerate(self.backends):
            for name in backends.members:
                found.setdefault(name, []).append(at)
        return {name: tuple(places) for name, places in found.items()}

    def behind(self, servers: Iterable[str]) -> tuple[Backends, ...]:
        """The pools and virtual servers that one of these servers carries, in their order."""
        places = {at for name in servers for at in self._with_server.get(name, ())}
        return tuple(self.backends[at] for at in sorted(places))

    @cached_property
    def holders_of(self) -> dict[str, tuple[Place, ...]]:
        """Address → the places that may hold it."""
        found: dict[str, list[Place]] = {}
        for place in self.places:
            for address in self.instance(place).addresses:
                found.setdefault(address, []).append(place)
        return {address: tuple(places) for address, places in found.items()}


@dataclass(frozen=True)
class Cut:
    """A network that is in two: nodes of `side` hear each other, and so do all others."""

    network: str
    side: frozenset[str]


@dataclass(frozen=True)
class World:
    """What is broken now. `values` overrides what a file holds: (node, file) → number."""

    dead: frozenset[str] = frozenset()  # nodes that do nothing any more
    stopped: frozenset[str] = frozenset()  # nodes whose keepalived was ended in order: it said so to its peers
    links: frozenset[tuple[str, str]] = frozenset()  # (node, interface) without a carrier
    unnoticed: frozenset[tuple[str, str]] = frozenset()  # the same, but keepalived has yet to be told
    failed: frozenset[tuple[str, Watched, str]] = frozenset()
    values: Mapping[tuple[str, str], int] = field(default_factory=dict)
    cuts: frozenset[Cut] = frozenset()
    apart: frozenset[frozenset[str]] = frozenset()  # pairs of nodes that do not hear each other on any network
    services: frozenset[tuple[str, str]] = frozenset()  # (node, service) that do not serve, watched or not

    def runs(self, node: str) -> bool:
        """Whether keepalived runs there."""
        return node not in self.dead and node not in self.stopped

    def carries(self, node: str, interface: str) -> bool:
        """Whether a link has a carrier."""
        return (node, interface) not in self.links and (node, interface) not in self.unnoticed

    def is_cut(self, network: str, one: str, other: str) -> bool:
        """Whether two nodes cannot hear each other over a network that both are on."""
        if frozenset((one, other)) in self.apart:
            return True
        return any(cut.network == network and (one in cut.side) != (other in cut.side) for cut in self.cuts)
