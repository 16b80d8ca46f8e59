"""What is broken at some point of a scenario, and who must hold what then: pure, over the failover package."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from holdfast.failover.from_spec import cluster_from_spec, hold_file
from holdfast.failover.machine import Machine
from holdfast.failover.model import Watched
from holdfast.failover.model import World as Broken
from holdfast.failover.router import State
from holdfast.lab.scenario import Action, Break, Breakage, Change, Heal, Move, Overrule
from holdfast.protocol import OverrideKind
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.vrrp import VrrpGroup

_SILENT = {Breakage.CRASH, Breakage.FREEZE, Breakage.HANG_KEEPALIVED}
_SERVICE = {Breakage.KILL_SERVICE, Breakage.STOP_SERVICE}
_HELD = -254  # what a hold file says to give its group up


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
    cluster = cluster_from_spec(world.spec)
    held = {
        name: {node for address in group.addresses.values() for node in before.get(str(address.ip), ())}
        for name, group in world.spec.vrrp.items()
    }
    active = [(node, name) for name, nodes in held.items() for node in nodes if node in world.spec.vrrp[name].members]
    machine = Machine.held_by(cluster, _broken(world), active)
    machine.settle()
    stuck = {f.node for f in world.faults if f.what is Breakage.HANG_KEEPALIVED}
    stuck |= {f.node for f in world.faults if f.what in _SERVICE and f.detail == "keepalived"}
    found: dict[str, Expected] = {}
    for name, group in world.spec.vrrp.items():
        holders = frozenset(node for node in group.members if machine.state((node, name)) is State.ACTIVE)
        expected = Expected(holders, frozenset(stuck & held[name]))
        found.update({str(address.ip): expected for address in group.addresses.values()})
    return found


def _broken(world: World) -> Broken:
    """The faults in force, in the words of the model."""
    faults = world.faults
    failed: set[tuple[str, Watched, str]] = set()
    for fault in faults:
        if fault.what in _SERVICE:
            failed |= _lost_with(world.spec, fault)
        elif fault.what is Breakage.FAIL_SCRIPT:
            failed.add((fault.node, Watched.SCRIPT, fault.detail))
    dead = {f.node for f in faults if f.what in _SILENT or (f.what in _SERVICE and f.detail == "keepalived")}
    return Broken(
        dead=frozenset(dead),
        links=frozenset((f.node, f.detail) for f in faults if f.what is Breakage.CABLE),
        failed=frozenset(failed),
        values={(node, hold_file(group)): _HELD for group, node in world.held},
        apart=frozenset(frozenset((f.node, f.detail)) for f in faults if f.what is Breakage.PARTITION),
    )


def _lost_with(spec: ClusterSpec, fault: Break) -> set[tuple[str, Watched, str]]:
    """What trackers of `fault.node` lose when its service is dead, or (stopped) does not answer."""
    lost = {(fault.node, Watched.PROCESS, fault.detail)} if fault.what is Breakage.KILL_SERVICE else set()
    for proxy in spec.proxies.values():
        if proxy.engine == fault.detail and fault.node in proxy.nodes and proxy.health:
            target = f"{proxy.health.address}:{proxy.health.port}{proxy.health.path}"
            lost.add((fault.node, Watched.SCRIPT, target))
    return lost
