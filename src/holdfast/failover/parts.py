"""A cluster in parts that VRRP cannot carry anything between: what fails in one changes nothing in another (pure)."""

from __future__ import annotations

from dataclasses import replace

from .failures import Failure, FailureKind, used_links
from .model import Cluster, Node, Place, Tracker, Watched


def parts_of(cluster: Cluster) -> tuple[Cluster, ...]:
    """The parts: instances that hear each other, share an address or a sync group are in one."""
    leader: dict[Place, Place] = {place: place for place in cluster.places}
    order = {place: at for at, place in enumerate(cluster.places)}

    def find(place: Place) -> Place:
        while leader[place] != place:  # ends: each step leads to an earlier place
            place = leader[place]
        return place

    first: dict[tuple[object, ...], Place] = {}
    for place in cluster.places:
        for key in _ties(cluster, place):
            one, other = sorted((find(place), find(first.setdefault(key, place))), key=lambda found: order[found])
            leader[other] = one
    members: dict[Place, set[Place]] = {}
    for place in cluster.places:
        members.setdefault(find(place), set()).add(place)
    return tuple(_part(cluster, places) for places in members.values())


def _ties(cluster: Cluster, place: Place) -> list[tuple[object, ...]]:
    node, instance = cluster.nodes[place[0]], cluster.instance(place)
    found: list[tuple[object, ...]] = [("address", address) for address in instance.addresses]
    network = "" if instance.peers else node.links.get(instance.interface, "")
    found.append(("vrid", instance.vrid, instance.family, bool(instance.peers), network))
    group = node.group_of.get(place[1])
    if group is not None:
        found.append(("group", node.name, group.name))
    return found


def _part(cluster: Cluster, places: set[Place]) -> Cluster:
    nodes = {}
    for node in cluster.nodes.values():
        instances = tuple(i for i in node.instances if (node.name, i.name) in places)
        if instances:
            nodes[node.name] = _with_own(replace(node, instances=instances))
    addresses = {address for place in places for address in cluster.instance(place).addresses}
    serving = {address: cluster.serving[address] for address in addresses if address in cluster.serving}
    return replace(cluster, nodes=nodes, backends=(), serving=serving)


def _with_own(node: Node) -> Node:
    used = {_key(tracker) for instance in node.instances for tracker in instance.trackers}
    return replace(node, watches=tuple(watch for watch in node.watches if (watch.kind, watch.name) in used))


def _key(tracker: Tracker) -> tuple[Watched, str]:
    return tracker.kind, tracker.name


def touches(part: Cluster, failure: Failure) -> bool:
    """Whether a failure can change anything in a part."""
    if failure.kind is FailureKind.PARTITION:
        on = {node.name for node in part.nodes.values() if failure.what in node.links.values()}
        return bool(on & set(failure.side)) and bool(on - set(failure.side))
    node = part.nodes.get(failure.node)
    if node is None:
        return False
    match failure.kind:
        case FailureKind.NODE | FailureKind.KEEPALIVED:
            return True
        case FailureKind.LINK:
            return failure.what in used_links(node)
        case FailureKind.SERVICE:
            watched = any(watch.service == failure.what for watch in node.watches)
            return watched or any(failure.what in services for services in part.serving.values())
        case FailureKind.WATCH:
            return any(watch.name == failure.what for watch in node.watches)
    return False
