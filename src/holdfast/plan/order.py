"""In which order nodes change: a plan shows it, a rollout takes it, and both ask here.

A real server is ready before directors send to it, and stays until they no longer do; of those in front, who holds
least comes first. What all members of a group have to do in one moment is one step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from holdfast.bundle import Bundle, Service

from .facts_kernel import network_of


class Wave(IntEnum):
    """Nodes of an earlier wave are changed, and verified, before those of a later one."""

    BEHIND_FIRST = 0  # it gains something that those in front will rely on
    IN_FRONT = 1  # it holds virtual addresses
    BEHIND_LAST = 2  # it loses something that those in front relied on


@dataclass(frozen=True)
class Step:
    """One node, or all those that have to change in one moment."""

    nodes: tuple[str, ...]
    wave: Wave
    why: str

    @property
    def at_once(self) -> bool:
        """Whether its nodes have to change in one moment."""
        return len(self.nodes) > 1


class Planned(Protocol):
    """What the order needs to know of a node's change."""

    @property
    def node(self) -> str:
        """Its name."""

    @property
    def wave(self) -> Wave:
        """Its wave."""

    @property
    def waits(self) -> bool:
        """Whether those that it will hear from have to know it first."""

    @property
    def old(self) -> Bundle | None:
        """What it has now."""


def wave(old: Bundle | None, new: Bundle | None) -> Wave:
    """The wave of a node that goes from `old` to `new`.

    One that gains and loses comes first: what is missing fails everybody, what is gone those who were still there.
    """
    if any(bundle is not None and _in_front(bundle) for bundle in (old, new)):
        return Wave.IN_FRONT
    before, after = _offered(old), _offered(new)
    return Wave.BEHIND_LAST if before - after and not after - before else Wave.BEHIND_FIRST


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


def node_order(nodes: Iterable[Planned], held: Mapping[str, int]) -> list[str]:
    """The nodes in the order in which they change; `held` says how many groups each holds now."""
    ordered = sorted(nodes, key=lambda node: (node.wave, node.waits, held.get(node.node, 0), node.node))
    return [node.node for node in ordered]


def steps(
    nodes: Iterable[Planned], held: Mapping[str, int], together: Iterable[frozenset[str]] = ()
) -> tuple[Step, ...]:
    """The steps: `together` are sets of nodes that have to change in one moment, when the first of them would."""
    known = {node.node: node for node in nodes}
    merged = _merged(together)
    found: list[Step] = []
    order = node_order(nodes, held)
    done: set[str] = set()
    for node in order:
        if node in done:
            continue
        company = next((each for each in merged if node in each), frozenset({node}))
        members = tuple(each for each in order if each in company)
        done.update(members)
        found.append(Step(members, known[node].wave, _why(known[node], held.get(node, 0), len(members) > 1)))
    return tuple(found)


def _merged(together: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    """Sets that share a node are one."""
    found: list[frozenset[str]] = []
    for each in together:
        touching = [other for other in found if other & each]
        found = [other for other in found if not other & each]
        found.append(frozenset().union(each, *touching))
    return found


def _why(node: Planned, held: int, at_once: bool) -> str:
    if at_once:
        return "all in one moment: members that disagree about their adverts do not hear each other"
    if node.wave is Wave.BEHIND_FIRST:
        return "it is ready before those in front rely on it"
    if node.wave is Wave.BEHIND_LAST:
        return "last, when those in front no longer rely on it"
    if node.waits:
        return "after the members that it will hear from: they have to know it first"
    if node.old is None:
        return "nothing of Holdfast runs there yet"
    return f"it holds {held} group{'s' * (held != 1)}" if held else "standby first: it holds nothing"
