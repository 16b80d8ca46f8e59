"""The cluster that something is moved in: what its nodes run, the way to their agents, and how they are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.bundle import Bundle, VrrpExpectation
from holdfast.errors import HoldfastError, NotFound
from holdfast.protocol import NodeStatus, Verb
from holdfast.rollout.orders import Orders, StoreTransport
from holdfast.rollout.records import RolloutStore
from holdfast.rollout.switchover import Switch
from holdfast.sentences import Sentence
from holdfast.store.models import OverrideKind
from holdfast.store.store import override_name

from .compiling import assigned
from .desk import Desk
from .underway import Underway

_WITHIN_S = 15.0


@dataclass(frozen=True)
class Place:
    """Of one move: every order that is given here is kept with it."""

    desk: Desk
    cluster: str
    bundles: Mapping[str, Bundle]
    orders: Orders
    underway: Underway

    def switch(self, group: str) -> Switch:
        """To be used in a thread of its own."""
        return Switch(StoreTransport(self.orders, asyncio.get_running_loop()), self.bundles, group)

    def members(self, group: str) -> dict[str, VrrpExpectation]:
        """The nodes that may hold a group."""
        return {
            node: each for node, bundle in self.bundles.items() for each in bundle.expected.vrrp if each.group == group
        }

    def groups_of(self, node: str) -> tuple[str, ...]:
        """The groups that a node may hold."""
        bundle = self.bundles.get(node)
        return tuple(each.group for each in bundle.expected.vrrp) if bundle else ()

    def imported_on(self, node: str) -> tuple[str, ...]:
        """The groups that a node may hold and that keep the shape of their import."""
        bundle = self.bundles.get(node)
        return tuple(each.group for each in bundle.expected.imported) if bundle else ()

    async def statuses(self, nodes: Mapping[str, object]) -> dict[str, NodeStatus]:
        """Those nodes that answer, as they are now."""

        async def ask(node: str) -> NodeStatus | None:
            try:
                return await self.orders.status(node, within_s=5.0)
            except HoldfastError:
                return None

        found = await asyncio.gather(*(ask(node) for node in nodes))
        return {node: status for node, status in zip(nodes, found, strict=True) if status is not None}

    async def order(self, node: str, verb: Verb, group: str) -> None:
        """Let a node hold a group, or not; RolloutFailed."""
        await self.orders.moved(node, verb, group, within_s=_WITHIN_S, work_s=_WITHIN_S)


async def place_of(desk: Desk, cluster: str, underway: Underway) -> Place:
    """The cluster as it is now, for what is underway in it."""
    orders = Orders(RolloutStore(desk.store, cluster), desk.actor, underway)
    return Place(desk, cluster, await assigned(desk, cluster), orders, underway)


def holds(status: NodeStatus, group: str) -> bool:
    """Whether it carries the group's addresses."""
    return any(each.group == group and each.holds for each in status.groups)


def held_back(status: NodeStatus, group: str) -> bool:
    """Whether it gave the group up on purpose."""
    return any(each.group == group and each.hold != 0 for each in status.groups)


def could_hold(status: NodeStatus, group: str) -> bool:
    """Whether it holds the group, or would."""
    return holds(status, group) or status.could_hold(group)


async def known_node(place: Place, node: str) -> None:
    """NotFound for a node that is not known."""
    if node not in place.bundles and await place.desk.store.cluster(place.cluster).nodes.get(node) is None:
        known = ", ".join(sorted(place.bundles)[:20])
        raise NotFound(
            Sentence("there is no node '%(node)s'", node=node[:80]),
            Sentence("known: %(known)s", known=known) if known else "apply a spec first",
        )


async def in_maintenance(place: Place, node: str) -> bool:
    """Whether somebody has taken it out."""
    kept = place.desk.store.cluster(place.cluster).overrides
    return await kept.version(override_name(OverrideKind.MAINTENANCE, node)) != 0
