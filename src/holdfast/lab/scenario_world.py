"""What is broken at some point of a scenario, and who must hold what then: pure, over the failover package."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from holdfast.failover import Situation, effective_priority
from holdfast.lab.scenario import Action, Break, Breakage, Change, Heal, Move, Overrule
from holdfast.protocol import OverrideKind
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.resolve import carrying_interface
from holdfast.spec.vrrp import VrrpGroup

_SILENT = {Breakage.CRASH, Breakage.FREEZE, Breakage.HANG_KEEPALIVED}
_SERVICE = {Breakage.KILL_SERVICE, Breakage.STOP_SERVICE}


@dataclass(frozen=True)
class World:
    """The spec and the faults in force, and what is so by order.

    `held`: (group, node) pairs that gave a group up on request; `overruled`: real servers that are drained or out.
    """

    spec: ClusterSpec
    faults: tuple[Break, ...] = ()
    held: frozenset[tuple[str, str]] = frozenset()
    overruled: tuple[tuple[str, OverrideKind], ...] = ()

    def after(self, action: Action) -> World:
        """The world once `action` has been carried out."""
        match action:
            case Break():
                return replace(self, faults=(*self.faults, action))
            case Heal(node=node):
                return replace(self, faults=tuple(f for f in self.faults if not heals(node, f)))
            case Move(group=group, back=True):
                return replace(self, held=frozenset(pair for pair in self.held if pair[0] != group))
            case Move(group=group, to=to):
                better = _better_than(self.spec.vrrp[group], to)
                own = frozenset((group, node) for node in better)
                return replace(self, held=frozenset(p for p in self.held if p[0] != group) | own)
            case Overrule(server=server, kind=kind):
                others = tuple(pair for pair in self.overruled if pair[0] != server)
                return replace(self, overruled=others if kind is None else (*others, (server, kind)))
            case Change(refused=False):
                return replace(self, spec=action.loaded.spec)
        return self

    @property
    def out_of_service(self) -> frozenset[str]:
        """The real servers that no new connection may reach."""
        return frozenset(server for server, _ in self.overruled)


def heals(node: str | None, fault: Break) -> bool:
    """Whether healing `node` (None: everything) ends `fault`."""
    return node is None or node == fault.node or (fault.what is Breakage.PARTITION and node == fault.detail)


def _better_than(group: VrrpGroup, to: str | None) -> tuple[str, ...]:
    """The members that must step back so that `to` (None: the second one) holds the group."""
    members = group.members
    return members[: members.index(to if to is not None else members[1])]


@dataclass(frozen=True)
class Expected:
    """Who must hold an address, and who may carry it besides (a node whose keepalived does not run to give it up)."""

    holders: frozenset[str]
    tolerated: frozenset[str] = frozenset()

    def met_by(self, holders: Iterable[str]) -> bool:
        """Whether these holders are as expected."""
        found = frozenset(holders)
        return self.holders <= found <= self.holders | self.tolerated


def expected_holders(world: World, before: Mapping[str, Iterable[str]]) -> dict[str, Expected]:
    """Who must hold each address of the spec once everything has settled; `before` is who held it when it began."""
    situation = _situation(world)
    found: dict[str, Expected] = {}
    for name, group in world.spec.vrrp.items():
        current = {node for address in group.addresses.values() for node in before.get(str(address.ip), ())}
        expected = _expected(name, group, world, situation, current)
        found.update({str(address.ip): expected for address in group.addresses.values()})
    return found


def _situation(world: World) -> Situation:
    lost: set[tuple[str, str]] = set()
    held = set(world.held)
    for fault in world.faults:
        if fault.what in _SERVICE:
            lost |= _lost_with(world.spec, fault)
        elif fault.what is Breakage.FAIL_SCRIPT:
            lost.add((fault.node, fault.detail))
        elif fault.what is Breakage.CABLE:
            lost.add((fault.node, fault.detail))
            # Each interface that carries an address of a group is tracked by it.
            held |= {(name, fault.node) for name, g in world.spec.vrrp.items() if _uses(world.spec, g, fault)}
    dead = {f.node for f in world.faults if f.what in _SILENT}
    dead |= {f.node for f in world.faults if f.what in _SERVICE and f.detail == "keepalived"}
    return Situation(frozenset(dead), frozenset(held), frozenset(lost))


def _lost_with(spec: ClusterSpec, fault: Break) -> set[tuple[str, str]]:
    """What trackers of `fault.node` lose when its service is dead, or (stopped) does not answer."""
    lost = {(fault.node, fault.detail)} if fault.what is Breakage.KILL_SERVICE else set()
    for proxy in spec.proxies.values():
        if proxy.engine == fault.detail and fault.node in proxy.nodes and proxy.health:
            lost.add((fault.node, f"{proxy.health.address}:{proxy.health.port}{proxy.health.path}"))
    return lost


def _uses(spec: ClusterSpec, group: VrrpGroup, fault: Break) -> bool:
    if fault.node not in group.members:
        return False
    carrying = {carrying_interface(spec, fault.node, address) for address in group.addresses.values()}
    return fault.detail in carrying | {group.interface}


def _expected(name: str, group: VrrpGroup, world: World, situation: Situation, current: set[str]) -> Expected:
    """Every node that hears no better holder holds: one, or one on each side of a partition."""
    ranked = {
        node: (-priority, place)
        for place, node in enumerate(group.members)
        if (priority := effective_priority(name, group, node, situation)) is not None
    }
    order = sorted(ranked, key=lambda node: ranked[node])
    if not group.preempts:
        order.sort(key=lambda node: node not in current)
    holders: list[str] = []
    for node in order:
        if all(_cut(world, node, other) for other in holders):
            holders.append(node)
    stuck = {f.node for f in world.faults if f.what is Breakage.HANG_KEEPALIVED}
    stuck |= {f.node for f in world.faults if f.what in _SERVICE and f.detail == "keepalived"}
    return Expected(frozenset(holders), frozenset(stuck & current))


def _cut(world: World, one: str, other: str) -> bool:
    return any(f.what is Breakage.PARTITION and {f.node, f.detail} == {one, other} for f in world.faults)
