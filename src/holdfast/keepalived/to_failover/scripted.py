"""Instances that have no address of their own: in a cloud, what a script moves when they become master."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from holdfast.failover.model import Cluster, Place
from holdfast.keepalived.tree import Configuration
from holdfast.keepalived.tree import Node as Tree

from .taken import whole

_TELLS = ("notify", "notify_master")
_OFF = frozenset({"off", "false", "no"})


def moved_by_scripts(cluster: Cluster, files: Mapping[str, Configuration]) -> tuple[Cluster, tuple[str, ...]]:
    """The cluster, and the groups in it without an address whose masters are told to a script: these hold their name.

    VRRPv3 and strict mode run none without an address, so that there nothing is told.
    """
    bare: dict[str, list[Place]] = {}
    for place in cluster.places:
        bare.setdefault(cluster.group(place), []).append(place)
    telling = {(node, name) for node, read in files.items() for name in _telling(read.root)}
    moved = {
        group
        for group, places in bare.items()
        if not any(cluster.instance(place).addresses for place in places) and telling.intersection(places)
    }
    nodes = {}
    for node in cluster.nodes.values():
        groups = {one.name: cluster.group((node.name, one.name)) for one in node.instances}
        instances = tuple(
            replace(one, addresses=(groups[one.name],))
            if groups[one.name] in moved and (node.name, one.name) in telling
            else one
            for one in node.instances
        )
        nodes[node.name] = replace(node, instances=instances)
    return replace(cluster, nodes=nodes), tuple(group for group in bare if group in moved)


def _telling(root: Tree) -> Iterator[str]:
    """The instances that run, although they have no address, and that tell a script, or whose sync group does."""
    global_defs = [line for block in root.all("global_defs") for line in block.children]
    version = next((whole(line.arg(), 2) for line in reversed(global_defs) if line.name == "vrrp_version"), 2)
    strict = any(line.name == "vrrp_strict" and line.arg() not in _OFF for line in global_defs)
    groups = [group for group in root.all("vrrp_sync_group") if any(group.has(name) for name in _TELLS)]
    members = {word for group in groups for line in group.listed("group") for word in line.words}
    for tree in root.all("vrrp_instance"):
        own = tree.get("strict_mode")
        refused = (own.arg() not in _OFF) if own is not None else strict
        refused = refused or whole(tree.value("version"), version) == 3
        if not refused and (tree.arg() in members or any(tree.has(name) for name in _TELLS)):
            yield tree.arg()
