"""keepalived's configuration in the words of its own domain: instances, groups, trackers, servers, each with its place.

A `Model` is a typed view of one reading of a configuration (`holdfast.keepalived.parse`, for one host of its `@host`
conditions). It holds no copies: each value is read off the tree when it is asked for, and says where it stands:

    model.instances[0].priority.value      # 150
    model.instances[0].priority.node       # the node of the tree: .location(word), .span(word)
    model.instances[0].priority.given      # False where keepalived's default counts

What keepalived would leave out (a value out of range, say) is not judged here: the language does that. Numbers that
cannot be read count as the default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property, wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

from holdfast.failover.model import Node as VrrpNode
from holdfast.keepalived.complaints import AT_END
from holdfast.keepalived.to_failover import cluster_of
from holdfast.keepalived.tree import Configuration, Node

from .model_lvs import RealServer, VirtualServer, VirtualServerGroup
from .model_values import Block, Value
from .model_vrrp import Address, Definition, Instance, SyncGroup

__all__ = [
    "Address",
    "Block",
    "Definition",
    "Instance",
    "Model",
    "RealServer",
    "SyncGroup",
    "Value",
    "VirtualServer",
    "VirtualServerGroup",
    "once",
    "once_each",
]

T = TypeVar("T")


class Model:
    """One configuration as one host reads it; `node` is the host's name where one was given, `file` the main file's."""

    def __init__(self, configuration: Configuration, file: str = "", node: str = "", config_id: str = "") -> None:
        self.configuration = configuration
        self.file = file
        self.node = node
        self.config_id = config_id

    @property
    def root(self) -> Node:
        """The tree."""
        return self.configuration.root

    @cached_property
    def global_defs(self) -> Block:
        """All blocks of global_defs as one: what stands later counts."""
        blocks = self.root.all("global_defs")
        if len(blocks) == 1:
            return Block(blocks[0])
        merged = Node(("global_defs",), self.root.source, 1)
        merged.children = [child for block in blocks for child in block.children]
        return Block(merged)

    @cached_property
    def vrrp(self) -> VrrpNode:
        """This node to `failover`: with all that keepalived corrects by itself."""
        return cluster_of({self.node: self.configuration}).nodes[self.node]

    @cached_property
    def instances(self) -> tuple[Instance, ...]:
        """Each vrrp_instance that counts."""
        return tuple(Instance(node, self.global_defs, self.definitions) for node in self.root.all("vrrp_instance"))

    @cached_property
    def definitions(self) -> dict[tuple[str, str], Definition]:
        """(kind, name) → what track_script, track_file, track_process or track_bfd of that name mean."""
        kinds = {
            "vrrp_script": "track_script",
            "track_file": "track_file",
            "vrrp_track_file": "track_file",
            "vrrp_track_process": "track_process",
            "bfd_instance": "track_bfd",
        }
        found: dict[tuple[str, str], Definition] = {}
        for node in self.root.all(*kinds):
            definition = Definition(node, kinds[node.name])
            found.setdefault((definition.kind, definition.name), definition)
        return found

    @cached_property
    def scripts(self) -> tuple[Definition, ...]:
        """Each vrrp_script."""
        return tuple(one for one in self.definitions.values() if one.kind == "track_script")

    @cached_property
    def processes(self) -> tuple[Definition, ...]:
        """Each vrrp_track_process."""
        return tuple(one for one in self.definitions.values() if one.kind == "track_process")

    @cached_property
    def track_files(self) -> tuple[Definition, ...]:
        """Each track_file."""
        return tuple(one for one in self.definitions.values() if one.kind == "track_file")

    @cached_property
    def sync_groups(self) -> tuple[SyncGroup, ...]:
        """Each vrrp_sync_group."""
        return tuple(SyncGroup(node, self.definitions) for node in self.root.all("vrrp_sync_group"))

    @cached_property
    def virtual_servers(self) -> tuple[VirtualServer, ...]:
        """Each virtual_server."""
        return tuple(VirtualServer(node) for node in self.root.all("virtual_server"))

    @cached_property
    def virtual_server_groups(self) -> dict[str, VirtualServerGroup]:
        """Name → virtual_server_group."""
        found = (VirtualServerGroup(node) for node in self.root.all("virtual_server_group"))
        return {one.name: one for one in reversed(list(found))}

    @cached_property
    def static_addresses(self) -> tuple[Address, ...]:
        """The lines of static_ipaddress."""
        return tuple(Address(node, "static_ipaddress", "") for node in self.root.listed("static_ipaddress"))

    def group_of(self, instance: Instance) -> SyncGroup | None:
        """The sync group that an instance belongs to: the first one that names it."""
        return self._groups.get(instance.name)

    @cached_property
    def _groups(self) -> dict[str, SyncGroup]:
        found: dict[str, SyncGroup] = {}
        for group in self.sync_groups:
            for member in group.members:
                found.setdefault(member.value, group)
        return found

    @cached_property
    def held(self) -> dict[str, Address]:
        """Address (without its mask) → the first line of an instance that holds it."""
        found: dict[str, Address] = {}
        for instance in self.instances:
            for address in instance.all_addresses:
                if address.family:
                    found.setdefault(address.host, address)
        return found

    @cached_property
    def closed_at(self) -> dict[tuple[str, int], Node]:
        """File and line of a brace that something is said of → the block that it closes, the innermost of several."""
        said = {
            (one.location.file, one.location.line)
            for one in self.configuration.findings
            if one.location is not None and one.code in AT_END
        }
        nodes = self.root.walk() if said else ()
        return {place: node for node in nodes if (place := (node.source.name, node.end)) in said}

    def real_servers(self) -> tuple[tuple[VirtualServer, RealServer], ...]:
        """Each real server with its virtual server."""
        return self._real_servers

    @cached_property
    def _real_servers(self) -> tuple[tuple[VirtualServer, RealServer], ...]:
        return tuple((virtual, real) for virtual in self.virtual_servers for real in virtual.real_servers)


def once(walk: Callable[[Model], Iterable[T]]) -> Callable[[Model], tuple[T, ...]]:
    """What many rules walk over is gathered once a model: a large configuration has thousands of them."""
    known: WeakKeyDictionary[Model, tuple[T, ...]] = WeakKeyDictionary()

    @wraps(walk)
    def gathered(model: Model) -> tuple[T, ...]:
        found = known.get(model)
        if found is None:
            found = known[model] = tuple(walk(model))
        return found

    return gathered


def once_each(reckon: Callable[[Model, Instance], T]) -> Callable[[Model, Instance], T]:
    """What many rules ask of an instance, and of each of its trackers, is reckoned once: it may have thousands."""
    known: WeakKeyDictionary[Model, dict[str, T]] = WeakKeyDictionary()

    @wraps(reckon)
    def reckoned(model: Model, one: Instance) -> T:
        mine = known.setdefault(model, {})
        if one.name not in mine:
            mine[one.name] = reckon(model, one)
        return mine[one.name]

    return reckoned
