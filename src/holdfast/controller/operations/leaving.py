"""What would move if a node were taken out: told beforehand from what agents last said. Nothing is asked or changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.bundle import Bundle, VrrpExpectation
from holdfast.errors import NotFound
from holdfast.protocol import GroupFacts, NodeStatus
from holdfast.protocol.api.overrides import OverrideView
from holdfast.sentences import Sentence
from holdfast.store.models import OverrideKind
from holdfast.store.store import Store, overridden, override_name

from .compiling import assigned
from .desk import Desk, known_cluster
from .reports import latest
from .told import override_view


@dataclass(frozen=True, slots=True)
class LeavingGroup:
    """A group that the node may hold. `after` is who would hold it then, None: nobody, so that it would be refused."""

    group: str
    addresses: tuple[str, ...]
    holds: bool
    after: str | None


@dataclass(frozen=True, slots=True)
class Leaving:
    """What taking `node` out would do, as far as it is known now."""

    node: str
    groups: tuple[LeavingGroup, ...]
    reachable: bool

    @property
    def refused(self) -> bool:
        """Whether it would be refused: it cannot be told to, or nobody else could hold what it may hold."""
        return bool(self.groups) and (not self.reachable or any(one.after is None for one in self.groups))


async def maintenance_of(store: Store, cluster: str, node: str) -> OverrideView | None:
    """Who took a node out, why and until when; None: nobody has."""
    found = await store.cluster(cluster).overrides.get(override_name(OverrideKind.MAINTENANCE, node))
    return override_view(found.record, store.clock.now()) if found else None


async def would_move(desk: Desk, cluster: str, node: str) -> Leaving:
    """Every group that the node may hold, and who would have it; NotFound."""
    known = await known_cluster(desk.store, cluster)
    bundles = await assigned(desk, cluster)
    if node not in bundles and await known.nodes.get(node) is None:
        listed = ", ".join(sorted(bundles)[:20])
        raise NotFound(
            Sentence("there is no node '%(node)s'", node=node[:80]),
            Sentence("known: %(known)s", known=listed) if listed else "apply a spec first",
        )
    now = desk.now()
    present = {one.name for one in await known.presences.all()}
    heard = await latest(known)
    statuses = {
        name: one.report.status
        for name, one in heard.items()
        if one.report.status is not None and (name in present or one.is_young(now))
    }
    sound, lost = await known.overrides.sound()
    out = {one.record.target for one in sound if one.record.kind is OverrideKind.MAINTENANCE}
    out |= {of.target for one in lost if (of := overridden(one.name)) and of.kind is OverrideKind.MAINTENANCE}
    return foreseen(node, bundles, statuses, out)


def foreseen(node: str, bundles: Mapping[str, Bundle], statuses: Mapping[str, NodeStatus], out: set[str]) -> Leaving:
    """Pure: `statuses` are of the nodes that can be reached, `out` are in maintenance."""
    own = bundles[node].expected.vrrp if node in bundles else ()
    return Leaving(node, tuple(_group(node, each, bundles, statuses, out) for each in own), reachable=node in statuses)


def _group(
    node: str,
    mine: VrrpExpectation,
    bundles: Mapping[str, Bundle],
    statuses: Mapping[str, NodeStatus],
    out: set[str],
) -> LeavingGroup:
    others = {
        name: each.priority
        for name, bundle in bundles.items()
        for each in bundle.expected.vrrp
        if each.group == mine.group and name != node and name not in out and name in statuses
    }
    holder = next((name for name in sorted(others) if _holds(statuses[name], mine.group)), None)
    able = [name for name in others if statuses[name].could_hold(mine.group)]
    best = max(able, key=lambda name: (others[name], name), default=None)
    return LeavingGroup(
        group=mine.group,
        addresses=tuple(each.address for each in mine.addresses),
        holds=node in statuses and _holds(statuses[node], mine.group),
        after=holder or best,
    )


def _facts(status: NodeStatus, group: str) -> GroupFacts | None:
    return next((each for each in status.groups if each.group == group), None)


def _holds(status: NodeStatus, group: str) -> bool:
    facts = _facts(status, group)
    return facts is not None and facts.holds
