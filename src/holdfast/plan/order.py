"""In which order nodes change: a plan shows it, a rollout takes it, and both ask here.

A real server is ready before directors send to it, and stays until they no longer do; of those in front, who holds
least comes first. What all members of a group have to do in one moment is one wave.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from holdfast.bundle import Bundle, Service
from holdfast.sentences import Sentence

from .facts_kernel import network_of


class Turn(IntEnum):
    """Nodes of an earlier turn are changed, and verified, before those of a later one."""

    BEHIND_FIRST = 0  # it gains something that those in front will rely on
    IN_FRONT = 1  # it holds virtual addresses
    BEHIND_LAST = 2  # it loses something that those in front relied on


@dataclass(frozen=True)
class Together:
    """Groups whose adverts change: all of `nodes` change in one moment, no more than `within_s` seconds apart.

    Members that are that much later take the addresses, too: they no longer understand what the holder says. `missing`
    are members that do not change with them, or that the plan does not have: then there are two holders for good, and
    nothing should carry it out. `within_s` is None where nobody else hears the adverts.
    """

    groups: tuple[str, ...]
    nodes: frozenset[str]
    within_s: float | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wave:
    """Nodes of which none has to wait for another; each is verified before the next wave begins.

    One by one (`at_once` None): the nodes share no VRRP group, so any number of them may change at a time, one alone or
    all; how many is whoever's who carries it out. At once: all of them begin in one moment, and none may be left out.
    """

    nodes: tuple[str, ...]
    turn: Turn
    why: str
    at_once: Together | None = None


class Planned(Protocol):
    """What the order needs to know of a node's change."""

    @property
    def node(self) -> str:
        """Its name."""

    @property
    def turn(self) -> Turn:
        """Its turn."""

    @property
    def waits(self) -> bool:
        """Whether those that it will hear from have to know it first."""

    @property
    def old(self) -> Bundle | None:
        """What it has now."""

    @property
    def groups(self) -> frozenset[str]:
        """The VRRP groups that it is in, before or after."""


def turn(old: Bundle | None, new: Bundle | None) -> Turn:
    """The turn of a node that goes from `old` to `new`.

    One that gains and loses comes first: what is missing fails everybody, what is gone those who were still there.
    """
    if any(bundle is not None and _in_front(bundle) for bundle in (old, new)):
        return Turn.IN_FRONT
    before, after = _offered(old), _offered(new)
    return Turn.BEHIND_LAST if before - after and not after - before else Turn.BEHIND_FIRST


def _in_front(bundle: Bundle) -> bool:
    return bool(bundle.expected.vrrp) or Service.KEEPALIVED in bundle.services


def _offered(bundle: Bundle | None) -> set[tuple[object, ...]]:
    """What others may rely on: addresses, tunnels, the way back, listeners."""
    network = network_of(bundle)
    return {
        *(("address", a.address, a.device) for a in network.addresses),
        *(("tunnel", t.device, t.kind, t.port) for t in network.tunnels),
        *(("gateway", g.address, g.device) for g in network.gateways),
        *(("listener", each.address, each.port) for each in (bundle.expected.listeners if bundle else ())),
    }


_Rank = tuple[Turn, bool, bool]  # its turn, whether it waits, whether it holds anything


def waves(nodes: Iterable[Planned], held: Mapping[str, int], together: Iterable[Together] = ()) -> tuple[Wave, ...]:
    """The nodes in the order in which they change; `held` says how many groups each holds now.

    Standby nodes come before those that hold something, and of two members of a group who holds less. What goes
    together goes as late as the last of its nodes would: what fails on the others is seen before.
    """
    known = {node.node: node for node in nodes}
    order = [node.node for node in sorted(known.values(), key=lambda n: (_rank(n, held), held.get(n.node, 0), n.node))]
    found: list[tuple[_Rank, Wave]] = []
    merged = _merged(together)
    for each in merged:
        rank = max(_rank(known[node], held) for node in each.nodes)
        found.append((rank, _at_once(tuple(node for node in order if node in each.nodes), rank[0], each)))
    done = frozenset[str]().union(*(each.nodes for each in merged))
    for rank in sorted({_rank(node, held) for node in known.values()}):
        mine = [node for node in order if node not in done and _rank(known[node], held) == rank]
        found += [(rank, wave) for wave in _one_by_one(mine, known, held)]
    # Of one rank, those that go one by one come first.
    return tuple(wave for _, wave in sorted(found, key=lambda each: (each[0], each[1].at_once is not None)))


def _rank(node: Planned, held: Mapping[str, int]) -> _Rank:
    return node.turn, node.waits, held.get(node.node, 0) > 0


def _one_by_one(order: Sequence[str], known: Mapping[str, Planned], held: Mapping[str, int]) -> list[Wave]:
    """Each node as early as it may: after those members of its groups that come before it."""
    found: list[list[str]] = []
    for node in order:
        groups = known[node].groups
        shared = [at for at, wave in enumerate(found) if any(groups & known[other].groups for other in wave)]
        at = shared[-1] + 1 if shared else 0
        if at == len(found):
            found.append([])
        found[at].append(node)
    return [Wave(tuple(wave), known[wave[0]].turn, _why([known[node] for node in wave], held)) for wave in found]


def _at_once(nodes: tuple[str, ...], turn: Turn, each: Together) -> Wave:
    why = Sentence(
        "all in one moment: members of %(groups)s that disagree about their adverts do not hear each other",
        groups=", ".join(each.groups),
    )
    return Wave(nodes, turn, why, each)


def _merged(together: Iterable[Together]) -> list[Together]:
    """What shares a node is one."""
    found: list[Together] = []
    for each in together:
        touching = [other for other in found if other.nodes & each.nodes]
        found = [other for other in found if not other.nodes & each.nodes]
        found.append(_joined([*touching, each]))
    return found


def _joined(parts: Sequence[Together]) -> Together:
    nodes = frozenset[str]().union(*(part.nodes for part in parts))
    times = [part.within_s for part in parts if part.within_s is not None]
    return Together(
        groups=tuple(dict.fromkeys(group for part in parts for group in part.groups)),
        nodes=nodes,
        within_s=min(times, default=None),
        missing=tuple(sorted({node for part in parts for node in part.missing} - nodes)),
    )


def _why(wave: Sequence[Planned], held: Mapping[str, int]) -> str:
    node, one = wave[0], len(wave) == 1
    if node.turn is Turn.BEHIND_FIRST:
        if one:
            return Sentence("it is ready before those in front rely on it")
        return Sentence("they are ready before those in front rely on them")
    if node.turn is Turn.BEHIND_LAST:
        if one:
            return Sentence("last, when those in front no longer rely on it")
        return Sentence("last, when those in front no longer rely on them")
    if node.waits:
        return Sentence("after the members that it will hear from: they have to know it first")
    if all(node.old is None for node in wave):
        return Sentence("nothing of Holdfast runs there yet")
    counts = sorted({held.get(each.node, 0) for each in wave})
    if not counts[-1]:
        return Sentence("standby first: it holds nothing") if one else Sentence("standby first: they hold nothing")
    if len(counts) > 1:
        return Sentence("they hold %(least)s to %(most)s groups", least=counts[0], most=counts[-1])
    if counts[0] == 1:
        return Sentence("it holds 1 group") if one else Sentence("each holds 1 group")
    return Sentence("it holds %(n)s groups", n=counts[0]) if one else Sentence("each holds %(n)s groups", n=counts[0])


def node_order(nodes: Iterable[Planned], held: Mapping[str, int]) -> list[str]:
    """The nodes one after the other, as `waves` has them if nothing goes together."""
    return [node for wave in waves(nodes, held) for node in wave.nodes]
