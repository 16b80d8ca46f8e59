"""VRRP's half of the model: instances, their addresses and trackers, and sync groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from holdfast.keepalived.keywords import needs
from holdfast.keepalived.tree import Node

from .model_values import Block, Value, address_of, host_of, network_of, whole

DEFAULT_PRIORITY, OWNER = 100, 255
MOST_WEIGHT = 253  # what is beyond, keepalived refuses
TRACKS = ("track_script", "track_file", "track_process", "track_bfd", "track_interface")
NOTIFIES = (
    "notify",
    "notify_master",
    "notify_backup",
    "notify_fault",
    "notify_stop",
    "notify_deleted",
    "notify_master_rx_lower_pri",
)
# Of a process the manual says 1; 2.2.7 takes 0 (measured).
_DEFAULT_WEIGHTS = {"track_file": 1}


class Address:
    """A line of virtual_ipaddress, virtual_ipaddress_excluded or static_ipaddress; `interface` is the instance's.

    `family` is 4, 6, or 0 where it is no address, `network` what its mask says, if it has one. There may be millions.
    """

    __slots__ = ("block", "family", "interface", "network", "node")

    def __init__(self, node: Node, block: str, interface: str) -> None:
        self.node = node
        self.block = block
        self.interface = interface
        found = address_of(node.name)
        self.family = found.version if found is not None else 0
        self.network = network_of(node.name, found)

    @property
    def host(self) -> str:
        """The address alone, an IPv6 one in its usual form."""
        return host_of(self.node.name)

    @property
    def device(self) -> str:
        """The interface that it is set on."""
        return self.option("dev") or self.interface

    def option(self, name: str) -> str:
        """The word behind an option, or nothing."""
        words = self.node.words
        return words[words.index(name) + 1] if name in words[:-1] else ""


@dataclass(frozen=True)
class Definition:
    """A vrrp_script, track_file, vrrp_track_process or bfd_instance; `kind` is the block that names it (track_file)."""

    node: Node
    kind: str

    @property
    def name(self) -> str:
        """As trackers name it."""
        return self.node.arg()

    @cached_property
    def block(self) -> Block:
        """What it says."""
        return Block(self.node)

    @property
    def missing(self) -> str:
        """A keyword that it cannot do without and has not: keepalived leaves it out; empty where nothing is missing."""
        keyword = self.node.keyword
        groups = needs().get(keyword.block, ()) if keyword is not None else ()
        return next((group[0] for group in groups if not any(self.node.has(name) for name in group)), "")

    @property
    def weight(self) -> Value[int]:
        """Its own weight, signed by `reverse`; 0 means that its failure is a FAULT."""
        default = _DEFAULT_WEIGHTS.get(self.kind, 0)
        found = self.block.number("weight", default)
        if found.given and abs(found.value) > MOST_WEIGHT and self.kind != "track_file":
            return Value(default, found.node, 1, False)
        reverse = found.given and found.node.arg(1) == "reverse"
        return Value(-found.value, found.node, found.word, True) if reverse else found

    @property
    def detection(self) -> float | None:
        """Seconds from a script's service dying to its failure being believed, at most; None for what has no timer."""
        if self.kind != "track_script":
            return None
        interval = self.block.decimal("interval", 1.0).value
        return interval * self.block.number("fall", 1).value


@dataclass(frozen=True)
class Tracker:
    """A line of track_script and its like, in an instance or a group; `definition` is None where there is none."""

    node: Node
    kind: str
    definition: Definition | None

    @property
    def name(self) -> str:
        """What is tracked."""
        return self.node.name

    @property
    def weight(self) -> Value[int]:
        """The weight that counts here: this line's, else that of what it names; where it stands."""
        words = self.node.words
        if "weight" in words[1:-1]:
            at = words.index("weight", 1) + 1
            read = whole(words[at])
            if read is not None and abs(read) <= MOST_WEIGHT + 1:
                return Value(-read if "reverse" in words[at:] else read, self.node, at)
        if self.definition is not None:
            return self.definition.weight
        return Value(_DEFAULT_WEIGHTS.get(self.kind, 0), self.node, 0, False)


class _Tracking:
    """What instances and sync groups have in common."""

    def __init__(self, node: Node, definitions: Mapping[tuple[str, str], Definition]) -> None:
        self.node = node
        self.block = Block(node)
        self._definitions = definitions

    @property
    def name(self) -> str:
        """As the configuration calls it."""
        return self.node.arg()

    @cached_property
    def trackers(self) -> tuple[Tracker, ...]:
        """Everything that it tracks."""
        return tuple(
            Tracker(line, kind, self._definitions.get((kind, line.name)))
            for kind in TRACKS
            for line in self.node.listed(kind)
        )

    @cached_property
    def notifies(self) -> tuple[Node, ...]:
        """Its notify scripts."""
        return tuple(self.node.all(*NOTIFIES))


class Instance(_Tracking):
    """A vrrp_instance."""

    def __init__(self, node: Node, global_defs: Block, definitions: Mapping[tuple[str, str], Definition]) -> None:
        super().__init__(node, definitions)
        self._global = global_defs

    @cached_property
    def state(self) -> Value[str]:
        """MASTER or BACKUP."""
        return self.block.text("state", "BACKUP")

    @property
    def is_master(self) -> bool:
        """Whether it starts as MASTER: by its word, or as the owner of its addresses."""
        return self.state.value == "MASTER" or (self.priority.value == OWNER and self.nopreempt is None)

    @cached_property
    def interface(self) -> Value[str]:
        """The interface of its adverts; empty where none is given: default_interface is for static addresses."""
        return self.block.text("interface", "")

    @cached_property
    def vrid(self) -> Value[int]:
        """virtual_router_id; 0 where none is given."""
        return self.block.number("virtual_router_id", 0)

    @cached_property
    def priority(self) -> Value[int]:
        """Base priority; with none given, `state MASTER` makes the instance the owner of its addresses."""
        found = self.block.number("priority", OWNER if self.state.value == "MASTER" else DEFAULT_PRIORITY)
        if found.given and not 1 <= found.value <= OWNER:
            return Value(DEFAULT_PRIORITY, found.node, 1, False)
        return found

    @cached_property
    def version(self) -> Value[int]:
        """2 or 3: its own, else the global one; an IPv6 address makes it 3 where nothing is said."""
        found = self.block.number("version", 0)
        if found.given:
            return found
        found = self._global.number("vrrp_version", 0)
        if found.given:
            return found
        six = any(address.family == 6 for address in self.addresses[:1])
        return Value(3 if six else 2, self.node, 0, False)

    @cached_property
    def advert_int(self) -> Value[float]:
        """Seconds between adverts."""
        return self.block.decimal("advert_int", 1.0)

    @cached_property
    def nopreempt(self) -> Node | None:
        """The keyword that counts of nopreempt and preempt, if it is nopreempt."""
        last = next((child for child in reversed(self.node.children) if child.name in ("nopreempt", "preempt")), None)
        return last if last is not None and last.name == "nopreempt" else None

    @cached_property
    def strict(self) -> Node | None:
        """strict_mode or the global vrrp_strict, where it is on."""
        own = self.block.get("strict_mode")
        return self.block.flag("strict_mode") if own is not None else self._global.flag("vrrp_strict")

    @cached_property
    def accepts(self) -> Node | None:
        """The accept keyword, where it counts."""
        last = next((child for child in reversed(self.node.children) if child.name in ("accept", "no_accept")), None)
        return last if last is not None and last.name == "accept" else None

    @cached_property
    def authentication(self) -> Block | None:
        """The authentication block."""
        found = self.node.all("authentication")
        return Block(found[-1]) if found else None

    @cached_property
    def peers(self) -> tuple[Node, ...]:
        """The lines of unicast_peer."""
        return tuple(self.node.listed("unicast_peer"))

    @cached_property
    def source(self) -> Value[str]:
        """unicast_src_ip or mcast_src_ip, without a mask; empty where none is given."""
        for name in ("unicast_src_ip", "mcast_src_ip"):
            found = self.block.text(name)
            if found.given and address_of(found.value) is not None:
                return Value(host_of(found.value), found.node)
        return Value("", self.node, 0, False)

    @cached_property
    def addresses(self) -> tuple[Address, ...]:
        """What is advertised: the lines of virtual_ipaddress."""
        return self._listed("virtual_ipaddress")

    @cached_property
    def excluded(self) -> tuple[Address, ...]:
        """What is held but not advertised: the lines of virtual_ipaddress_excluded."""
        return self._listed("virtual_ipaddress_excluded")

    @property
    def all_addresses(self) -> tuple[Address, ...]:
        """Everything that it holds as master."""
        return self.addresses + self.excluded

    @property
    def family(self) -> int:
        """4 or 6, by its first advertised address, else by its peers; 4 where nothing says it."""
        for address in self.addresses:
            if address.family:
                return address.family
        return 6 if any(":" in peer.name for peer in self.peers) else 4

    @property
    def uses_vmac(self) -> Node | None:
        """use_vmac or use_ipvlan."""
        return self.block.get("use_vmac", "use_ipvlan")

    def _listed(self, name: str) -> tuple[Address, ...]:
        interface = self.interface.value
        return tuple(Address(line, name, interface) for line in self.node.listed(name))


class SyncGroup(_Tracking):
    """A vrrp_sync_group."""

    @cached_property
    def members(self) -> tuple[Value[str], ...]:
        """The names of its instances; several may stand on a line."""
        block = self.block.get("group")
        lines = block.children if block is not None else []
        return tuple(Value(word, line, at) for line in lines for at, word in enumerate(line.words))

    @property
    def keeps_weights(self) -> bool:
        """sync_group_tracking_weight: weighted trackers of its own count."""
        return self.block.get("sync_group_tracking_weight", "global_tracking") is not None
