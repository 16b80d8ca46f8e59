"""Who holds what while a plan is carried out: keepalived's own elections, node after node, in the failover model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from holdfast.failover.machine import Machine
from holdfast.failover.model import Cluster, Instance, Place, World
from holdfast.failover.parts import parts_of
from holdfast.failover.play import likeliest
from holdfast.failover.router import State as Vrrp

from .members import State
from .order import Wave

Holders = Mapping[str, tuple[str, ...]]  # group → the nodes that hold it


@dataclass(frozen=True)
class Moment:
    """Everything at rest once `nodes` have changed: `was` is who held what before, `now` who does."""

    nodes: tuple[str, ...]
    was: Holders
    now: Holders


class _Rest:
    """A cluster at rest: what it is made of, and which instances are ACTIVE."""

    def __init__(self, cluster: Cluster, active: frozenset[Place]) -> None:
        self.cluster, self.active = cluster, active
        self._parts = {frozenset(part.places): part for part in parts_of(cluster)}

    @classmethod
    def began(cls, cluster: Cluster) -> _Rest:
        """All nodes came up together."""
        machines = [likeliest(part).machine for part in parts_of(cluster)]
        return cls(cluster, frozenset().union(*(_active(machine) for machine in machines)))

    def then(self, cluster: Cluster, kept: frozenset[Place]) -> _Rest:
        """The cluster as it is now, in which those of `kept` go on holding until somebody else takes it from them."""
        found: set[Place] = set()
        for part in parts_of(cluster):
            places = frozenset(part.places)
            mine = kept & places
            if self._parts.get(places) == part and self.active & places == mine:
                found |= mine  # nothing changes there
            else:
                machine = Machine.held_by(part, World(), mine)
                machine.settle()
                found |= _active(machine)
        return _Rest(cluster, frozenset(found))


def _active(machine: Machine) -> frozenset[Place]:
    return frozenset(place for place, state in machine.states().items() if state is Vrrp.ACTIVE)


def holders(state: State) -> Holders:
    """Who holds each group when nothing is wrong, and all nodes came up together."""
    return _named(state, _Rest.began(state.cluster).active)


def _named(state: State, active: frozenset[Place]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = dict.fromkeys(state.groups, ())
    for place in sorted(active):
        group = state.group(place)
        found[group] = (*found.get(group, ()), place[0])
    return found


def course(before: State, after: State, order: Sequence[Wave]) -> Iterator[Moment]:
    """One moment after the other, while the nodes change in this order."""
    now, rest = before, _Rest.began(before.cluster)
    held = _named(before, rest.active)
    for wave in order:
        for step in [wave.nodes] if wave.at_once else [(node,) for node in wave.nodes]:
            changed = now.changed(step, after)
            rest = rest.then(changed.cluster, _kept(rest, changed.cluster, step))
            was, held, now = held, _named(changed, rest.active), changed
            yield Moment(step, was, held)


def _kept(rest: _Rest, cluster: Cluster, step: Sequence[str]) -> frozenset[Place]:
    """The instances that go on holding: a reload keeps the state of one that is the same to keepalived."""
    found = {place for place in rest.active if place[0] not in step}
    for node in step:
        holding = {_identity(rest.cluster.instance(place)) for place in rest.active if place[0] == node}
        mine = cluster.nodes[node].instances if node in cluster.nodes else ()
        found |= {(node, made.name) for made in mine if _identity(made) in holding}
    return frozenset(found)


def _identity(instance: Instance) -> tuple[object, ...]:
    """What keepalived knows an instance by (measured): with another one of these, it begins anew."""
    return instance.vrid, instance.family, instance.interface, bool(instance.peers)
