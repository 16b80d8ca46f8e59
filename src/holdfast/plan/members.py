"""The members of each group in a state, as the failover model has them; groups go by one name on all nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from holdfast.bundle import Bundle, VrrpExpectation
from holdfast.failover.model import Cluster, Instance, Node, Place
from holdfast.keepalived.to_failover import cluster_of
from holdfast.keepalived.tree import Configuration


@dataclass(frozen=True)
class Member:
    """A node's part in a group: its instance, called `name` there. `peers` is None where nobody names the others."""

    instance: Instance
    peers: frozenset[str] | None

    @property
    def patience_s(self) -> float:
        """How long it surely waits for the next advert: the last one came an interval before the silence began."""
        instance = self.instance
        return max(0.0, instance.down_s(instance.priority, instance.advert_s) - instance.advert_s)

    @property
    def unicast_source(self) -> str:
        """Where its adverts come from, if they are sent to each member alone."""
        return self.instance.source if self.instance.peers else ""


@dataclass(frozen=True)
class State:
    """All that a plan knows of VRRP in one state. `called`: node → its own name of a group → the common one."""

    bundles: Mapping[str, Bundle]
    trees: Mapping[str, Configuration | None]
    called: Mapping[str, Mapping[str, str]]
    groups: Mapping[str, Mapping[str, Member]]  # common name → node → its part

    def of(self, node: str) -> frozenset[str]:
        """The groups that a node is in."""
        return frozenset(group for group, parts in self.groups.items() if node in parts)

    def group(self, place: Place) -> str:
        """The common name of the group of an instance."""
        return self.called.get(place[0], {}).get(place[1], place[1])


def state(
    bundles: Mapping[str, Bundle],
    trees: Mapping[str, Configuration | None],
    called: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> State:
    """Every group of a state with its members."""
    found: dict[str, dict[str, Member]] = {}
    cluster = cluster_with(bundles, trees)
    for node in cluster.nodes.values():
        expected = bundles[node.name].expected.vrrp
        peers = {group.group: frozenset(group.peers) for group in expected}
        for instance in node.instances:
            name = called.get(node.name, {}).get(instance.name, instance.name)
            found.setdefault(name, {})[node.name] = Member(instance, peers.get(instance.name))
    return State(bundles, trees, called, found)


def cluster_with(bundles: Mapping[str, Bundle], trees: Mapping[str, Configuration | None]) -> Cluster:
    """The cluster whose nodes have these: what keepalived.conf says, else what a bundle expects of its groups."""
    read = {node: tree for node in bundles if (tree := trees.get(node)) is not None}
    nodes = dict(cluster_of(read).nodes)
    nodes.update({node: _expected(node, bundle) for node, bundle in bundles.items() if node not in read})
    return Cluster({node: nodes[node] for node in sorted(nodes)})


def _expected(node: str, bundle: Bundle) -> Node:
    instances = tuple(_instance(group) for group in bundle.expected.vrrp)
    return Node(node, links={made.interface: made.interface for made in instances}, instances=instances)


def _instance(group: VrrpExpectation) -> Instance:
    return Instance(
        name=group.group,
        vrid=group.vrid,
        interface=group.interface,
        priority=group.priority,
        addresses=tuple(_bare(held.address) for held in (group.anchor, *group.addresses)),
        advertised=frozenset({_bare(group.anchor.address)}),
        advert_s=group.advert_interval_ms / 1000,
        preempt=group.preempts,
        family=6 if ":" in group.anchor.address else 4,
    )


def _bare(address: str) -> str:
    return address.partition("/")[0]


def patience_s(parts: Iterable[Member]) -> float | None:
    """How far apart members may change their adverts, at most, before one of them believes that it is alone."""
    return min((part.patience_s for part in parts), default=None)
