"""A cluster in parts that VRRP cannot carry anything between: what fails in one changes nothing in another (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from .failures import Failure, FailureKind
from .model import Cluster, Instance, Node, Place


def parts_of(cluster: Cluster) -> tuple[Cluster, ...]:
    """The parts: instances that hear each other, share an address or a sync group are in one."""
    leader: dict[Place, Place] = {place: place for place in cluster.places}
    order = {place: at for at, place in enumerate(cluster.places)}

    def find(place: Place) -> Place:
        while leader[place] != place:  # ends: each step leads to an earlier place
            leader[place] = place = leader[leader[place]]  # the next who asks has half the way
        return place

    first: dict[tuple[object, ...], Place] = {}
    for place in cluster.places:
        for key in _ties(cluster, place):
            one, other = sorted((find(place), find(first.setdefault(key, place))), key=lambda found: order[found])
            leader[other] = one
    members: dict[Place, list[Place]] = {}
    for place in cluster.places:
        members.setdefault(find(place), []).append(place)
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


def _part(cluster: Cluster, places: Sequence[Place]) -> Cluster:
    """Takes time for its own places alone, as there may be thousands of parts."""
    mine: dict[str, list[Instance]] = {}
    for place in places:
        mine.setdefault(place[0], []).append(cluster.instance(place))
    nodes = {name: _with_own(cluster.nodes[name], tuple(instances)) for name, instances in mine.items()}
    addresses = dict.fromkeys(address for instances in mine.values() for one in instances for address in one.addresses)
    serving = {address: cluster.serving[address] for address in addresses if address in cluster.serving}
    return replace(cluster, nodes=nodes, backends=(), serving=serving)


def _with_own(node: Node, instances: tuple[Instance, ...]) -> Node:
    """The node with these instances, the watches that they track, and the groups that they are in."""
    used = {(tracker.kind, tracker.name) for instance in instances for tracker in instance.trackers}
    watches = sorted(at for key in used for at in node.places_of_watches.get(key, ()))
    groups = sorted({at for one in instances if (at := node.place_of_group.get(one.name)) is not None})
    return replace(
        node,
        instances=instances,
        watches=tuple(node.watches[at] for at in watches),
        sync_groups=tuple(node.sync_groups[at] for at in groups),
    )


def felt(part: Cluster) -> frozenset[Failure]:
    """Every failure that can change anything in a part, partitions left out."""
    found: set[Failure] = set()
    for node in part.nodes.values():
        name = node.name
        found |= {Failure(FailureKind.NODE, name), Failure(FailureKind.KEEPALIVED, name, "keepalived")}
        found |= {Failure(FailureKind.LINK, name, link) for link in node.used_links}
        found |= {Failure(FailureKind.WATCH, name, watch.name) for watch in node.watches}
        found |= {Failure(FailureKind.SERVICE, name, watch.service) for watch in node.watches}
        served = (service for services in part.serving.values() for service in services)
        found |= {Failure(FailureKind.SERVICE, name, service) for service in served}
    return frozenset(found)


def networks_of(part: Cluster) -> Mapping[str, frozenset[str]]:
    """The networks that its adverts cross, with the part's nodes there: who is cut off elsewhere is heard as before."""
    found: dict[str, set[str]] = {}
    for node in part.nodes.values():
        for instance in node.instances:
            if network := node.links.get(instance.interface):
                found.setdefault(network, set()).add(node.name)
    return {network: frozenset(nodes) for network, nodes in found.items()}
