"""The members of each group in a state, as the failover model has them; groups go by one name on all nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

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

    @cached_property
    def cluster(self) -> Cluster:
        """What keepalived.conf says of each node, or else what its bundle expects of its groups."""
        read = {node: tree for node in self.bundles if (tree := self.trees.get(node)) is not None}
        nodes = dict(cluster_of(read).nodes)
        nodes.update({node: _expected(node, bundle) for node, bundle in self.bundles.items() if node not in read})
        return Cluster({node: nodes[node] for node in sorted(nodes)})

    @cached_property
    def groups(self) -> Mapping[str, Mapping[str, Member]]:
        """The members of each group: common name → node → its part."""
        found: dict[str, dict[str, Member]] = {}
        named = {
            node: {group.group: frozenset(group.peers) for group in bundle.expected.vrrp}
            for node, bundle in self.bundles.items()
        }
        for place in self.cluster.places:
            part = Member(self.cluster.instance(place), named[place[0]].get(place[1]))
            found.setdefault(self.group(place), {})[place[0]] = part
        return found

    def of(self, node: str) -> frozenset[str]:
        """The groups that a node is in."""
        return frozenset(group for group, parts in self.groups.items() if node in parts)

    def group(self, place: Place) -> str:
        """The common name of the group of an instance."""
        return self.called.get(place[0], {}).get(place[1], place[1])

    def changed(self, nodes: Iterable[str], after: State) -> State:
        """The state in which these nodes have what they have in `after`, and all others what they have here."""
        bundles, trees, called = dict(self.bundles), dict(self.trees), dict(self.called)
        for node in nodes:
            bundles.pop(node, None)
            if node in after.bundles:
                bundles[node], trees[node] = after.bundles[node], after.trees[node]
                called[node] = after.called.get(node, {})
        return State(bundles, trees, called)


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
