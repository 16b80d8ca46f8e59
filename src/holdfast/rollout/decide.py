"""What a rollout does next: a pure function of what is known. Interrupt it anywhere and ask again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from holdfast.plan import Hazard, Plan


class NodePhase(StrEnum):
    """How far one node is."""

    WAITING = "waiting"
    APPLYING = "applying"  # it was told; how far it is, its agent says
    VERIFIED = "verified"  # the new state runs and was checked
    FAILED = "failed"  # its agent put it back by itself, or refused
    REGRESSED = "regressed"  # its agent is content, but the node lost a group that it should have kept
    LOST = "lost"  # nobody knows: it could not be asked
    BROKEN = "broken"  # neither the new state nor the old one for certain; its agent goes on trying
    PUTTING_BACK = "putting back"  # it was told to take the old state again
    PUT_BACK = "put back"  # it had the new state and was taken back to the old one
    AWAY = "away"  # not waited for: it has never joined, or the operator left it out; it finds its state when it comes


_ON_ITS_WAY = frozenset({NodePhase.APPLYING, NodePhase.PUTTING_BACK})
_HAS_THE_NEW_STATE = frozenset({NodePhase.VERIFIED, NodePhase.REGRESSED})
_GOOD = frozenset({NodePhase.WAITING, NodePhase.APPLYING, NodePhase.VERIFIED, NodePhase.AWAY})


@dataclass(frozen=True)
class RolloutState:
    """All that a decision needs: who goes together, in which order, and each node's phase.

    `pause_after_first` waits behind the first batch, until somebody has looked. `halted`: nobody wants it to go on.
    """

    batches: tuple[tuple[str, ...], ...]
    phases: Mapping[str, NodePhase]
    put_back_on_failure: bool = True
    pause_after_first: bool = False
    halted: bool = False

    def with_phase(self, node: str, phase: NodePhase) -> RolloutState:
        """The state after a node has come that far."""
        return replace(self, phases={**self.phases, node: phase})

    def those(self, nodes: tuple[str, ...], *phases: NodePhase) -> tuple[str, ...]:
        """The nodes that are in one of the phases."""
        return tuple(node for node in nodes if self.phases[node] in phases)


@dataclass(frozen=True)
class Apply:
    """Bring these nodes to their new bundles, all in one moment, and verify them."""

    nodes: tuple[str, ...]


@dataclass(frozen=True)
class PutBack:
    """Take these nodes, which have the new bundle already, back to their old ones, all in one moment."""

    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Wait:
    """Until one of these nodes, which were told, comes further, or its time is over."""

    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Pause:
    """Until somebody says how it goes on."""


@dataclass(frozen=True)
class Stop:
    """Nothing is left to do."""

    succeeded: bool


Step = Apply | PutBack | Wait | Pause | Stop


def begin(batches: tuple[tuple[str, ...], ...], *, put_back_on_failure: bool = True) -> RolloutState:
    """The state before the first step."""
    return RolloutState(batches, {node: NodePhase.WAITING for batch in batches for node in batch}, put_back_on_failure)


def decide(state: RolloutState) -> Step:
    """The next step: batch after batch, each verified before the next; on a failure back, the last batch first.

    A node of which nothing is known counts as failed: going on would risk the other half of a pair. What is on its way
    is waited for before anything is put back: nobody may be told two things at once.
    """
    failed = not _GOOD.issuperset(state.phases.values())
    if failed or (state.halted and _unfinished(state)):
        return _backwards(state)
    for number, batch in enumerate(state.batches):
        if waiting := state.those(batch, NodePhase.WAITING):
            pause = state.pause_after_first and number > 0
            return Pause() if pause and len(waiting) == len(batch) else Apply(waiting)
        if applying := state.those(batch, NodePhase.APPLYING):
            return Wait(applying)
    return Stop(succeeded=True)


def _unfinished(state: RolloutState) -> bool:
    """Whether there is something to stop: with everything done, only to go back."""
    return state.put_back_on_failure or any(state.those(batch, NodePhase.WAITING) for batch in state.batches)


def _backwards(state: RolloutState) -> Step:
    everybody = tuple(node for batch in state.batches for node in batch)
    if moving := state.those(everybody, *_ON_ITS_WAY):
        return Wait(moving)
    if state.put_back_on_failure:
        for batch in reversed(state.batches):
            if done := state.those(batch, *_HAS_THE_NEW_STATE):
                return PutBack(done)
    return Stop(succeeded=False)


def refused_hazards(plan: Plan, forbidden: frozenset[Hazard]) -> list[str]:
    """The reasons why policy forbids this plan, each with its node; empty if it may go ahead."""
    return [
        f"{node.node}: {note.reason} ({note.hazard})"
        for node in plan.nodes
        for note in node.hazards
        if note.hazard in forbidden
    ]
