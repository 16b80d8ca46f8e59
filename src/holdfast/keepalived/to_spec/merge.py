"""Several nodes' blocks as one `origin`: what they have in common once, what differs below each node's name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from .blocks import Values
from .intent import mark_intent
from .nodes import NAMED, NodeBlocks
from .peers import Group, groups_of, merged_order

_OWN = frozenset({"priority", "state"})  # stands below each node even where all agree: it is what tells them apart


def merge(nodes: Sequence[NodeBlocks]) -> Values:
    """The fields of `origin`."""
    names = [one.node for one in nodes]
    origin: Values = {"nodes": names}
    for kind in ("outside", "global_defs", "SSL"):
        found = {one.node: one.single[kind] for one in nodes if one.single.get(kind)}
        if found:
            origin[kind] = shared(found, names)
    for kind in NAMED:
        merged = _instances(nodes, names) if kind == "vrrp_instance" else _named(kind, nodes, names)
        if merged:
            origin[kind] = merged
    garps = _garp_groups(nodes, names)
    if garps:
        origin["garp_group"] = garps
    virtuals = _virtual_servers(nodes, names)
    if virtuals:
        origin["virtual_server"] = virtuals
    return origin


def shared(found: Mapping[str, Values], names: Sequence[str], own: frozenset[str] = frozenset()) -> Values:
    """What all who have a block agree on, and `nodes` with the rest; no `nodes` where all have it and agree."""
    first = next(iter(found.values()))
    if len(names) == 1:
        return dict(first)
    common = {
        name: value
        for name, value in first.items()
        if name not in own and all(name in other and other[name] == value for other in found.values())
    }
    rest = {node: {name: v for name, v in values.items() if name not in common} for node, values in found.items()}
    if set(found) == set(names) and not any(rest.values()):
        return common
    return {**common, "nodes": rest}


def _named(kind: str, nodes: Sequence[NodeBlocks], names: Sequence[str]) -> dict[str, Values]:
    found = {one.node: one.named.get(kind, {}) for one in nodes}
    order = merged_order(found.values())
    return {
        name: shared({node: blocks[name] for node, blocks in found.items() if name in blocks}, names) for name in order
    }


def _instances(nodes: Sequence[NodeBlocks], names: Sequence[str]) -> dict[str, Values]:
    groups = groups_of({one.node: one.named.get("vrrp_instance", {}) for one in nodes})
    weights = {one.node: _default_weights(one) for one in nodes}
    synced = frozenset(
        member
        for one in nodes
        for block in one.named.get("vrrp_sync_group", {}).values()
        for line in block.get("group", ())
        for member in line.split()
    )
    merged: dict[str, Values] = {}
    for group in _in_order(groups, nodes):
        mark_intent(group, weights, synced)
        name, node = next((name, node) for node, (name, _) in group.members.items())
        key = name if name not in merged else f"{name}-{node}"
        if key in merged:
            key = f"{name}-{len(merged)}"
        found: dict[str, Values] = {}
        for member in group.preferred:
            own, values = group.members[member]
            found[member] = values if own == key else {"name": own, **values}
        merged[key] = shared(found, names, _OWN)
    return merged


def _in_order(groups: Sequence[Group], nodes: Sequence[NodeBlocks]) -> list[Group]:
    """The groups in an order that fits every node's file, as far as there is one."""
    index = {
        (node, name): str(place) for place, group in enumerate(groups) for node, (name, _) in group.members.items()
    }
    orders = [[index[one.node, name] for name in one.named.get("vrrp_instance", {})] for one in nodes]
    return [groups[int(place)] for place in merged_order(orders)]


def _default_weights(one: NodeBlocks) -> dict[str, int]:
    """What scripts and processes weigh by themselves: `track_script NAME` → weight."""
    found: dict[str, int] = {}
    for kind, use, default in (("vrrp_script", "track_script", 0), ("vrrp_track_process", "track_process", 1)):
        for name, values in one.named.get(kind, {}).items():
            words = str(values.get("weight", default)).split()
            if len(words) == 1 and words[0].lstrip("+-").isdigit():
                found[f"{use} {name}"] = int(words[0])
    return found


def _garp_groups(nodes: Sequence[NodeBlocks], names: Sequence[str]) -> list[Values]:
    """As many as the node with the most has, matched by place."""
    most = max((len(one.garp_groups) for one in nodes), default=0)
    return [
        shared({one.node: one.garp_groups[place] for one in nodes if place < len(one.garp_groups)}, names)
        for place in range(most)
    ]


def _virtual_servers(nodes: Sequence[NodeBlocks], names: Sequence[str]) -> list[Values]:
    """Matched by address, port and protocol; one that stands twice, by its turn."""
    found: dict[str, dict[str, Values]] = {}
    orders: list[list[str]] = []
    for one in nodes:
        order: list[str] = []
        turns: Counter[str] = Counter()
        for values in one.virtual_servers:
            key = f"{values['address']} {values.get('protocol', 'TCP')}"
            turns[key] += 1
            key += f" {turns[key]}"
            order.append(key)
            found.setdefault(key, {})[one.node] = values
        orders.append(order)
    return [shared(found[key], names) for key in merged_order(orders)]
