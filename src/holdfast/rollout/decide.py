"""What a rollout does next: a pure function of what is known. Interrupt it anywhere and ask again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from holdfast.plan import Hazard, Plan
from holdfast.sentences import Sentence


class NodePhase(StrEnum):
    """How far one node is."""

    WAITING = "waiting"
    STAGING = "staging"  # it was told, with others; it stages and judges, and waits for the word before it goes further
    READY = "ready"  # it has done so, and waits for the word
    APPLYING = "applying"  # it was told; how far it is, its agent says
    VERIFIED = "verified"  # the new state runs and was checked
    FAILED = "failed"  # its agent put it back by itself, or refused
    REGRESSED = "regressed"  # its agent is content, but the node lost a group that it should have kept
    LOST = "lost"  # nobody knows: it could not be asked
    BROKEN = "broken"  # neither the new state nor the old one for certain; its agent goes on trying
    STAGING_BACK = "staging back"  # as STAGING and READY, on the way back
    READY_BACK = "ready to go back"
    PUTTING_BACK = "putting back"  # it was told to take the old state again
    PUT_BACK = "put back"  # it had the new state and was taken back to the old one
    AWAY = "away"  # not waited for: it has never joined, or the operator left it out; it finds its state when it comes


STAGED = frozenset({NodePhase.STAGING, NodePhase.READY})  # without the word: nothing that runs was touched
GOING_BACK = frozenset({NodePhase.STAGING_BACK, NodePhase.READY_BACK, NodePhase.PUTTING_BACK})
_ON_ITS_WAY = frozenset({NodePhase.APPLYING, NodePhase.PUTTING_BACK, NodePhase.STAGING_BACK})
_HAS_THE_NEW_STATE = frozenset({NodePhase.VERIFIED, NodePhase.REGRESSED})
_GOOD = frozenset({NodePhase.WAITING, NodePhase.APPLYING, NodePhase.VERIFIED, NodePhase.AWAY}) | STAGED


@dataclass(frozen=True)
class RolloutState:
    """All that a decision needs: who goes together, in which order, and each node's phase.

    `pause_after_first` waits behind the first batch, until somebody has looked. `halted`: nobody wants it to go on.
    `together` are the batches (by their place) that change in one moment: each node of one waits, staged and judged,
    until all are. `unchecked` are those whose groups have not been seen with one holder each since.
    """

    batches: tuple[tuple[str, ...], ...]
    phases: Mapping[str, NodePhase]
    put_back_on_failure: bool = True
    pause_after_first: bool = False
    halted: bool = False
    together: frozenset[int] = frozenset()
    unchecked: frozenset[int] = frozenset()

    def with_phase(self, node: str, phase: NodePhase) -> RolloutState:
        """The state after a node has come that far."""
        return replace(self, phases={**self.phases, node: phase})

    def those(self, nodes: tuple[str, ...], *phases: NodePhase) -> tuple[str, ...]:
        """The nodes that are in one of the phases."""
        return tuple(node for node in nodes if self.phases[node] in phases)


@dataclass(frozen=True)
class Apply:
    """Bring these nodes to their new bundles and verify them; `together`: not before they are given the word."""

    nodes: tuple[str, ...]
    together: bool = False


@dataclass(frozen=True)
class PutBack:
    """Take these nodes back to their old bundles, or let them drop what is only staged; `together` as of Apply."""

    nodes: tuple[str, ...]
    together: bool = False


@dataclass(frozen=True)
class Go:
    """Give these nodes the word: all of them are staged and judged, and go on in one moment."""

    nodes: tuple[str, ...]


@dataclass(frozen=True)
class CheckHolders:
    """See whether each group of a batch, by its place, has one holder after its nodes changed in one moment."""

    batch: int


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


Step = Apply | PutBack | Go | CheckHolders | Wait | Pause | Stop


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
            return Pause() if pause and len(waiting) == len(batch) else Apply(waiting, number in state.together)
        if state.those(batch, NodePhase.APPLYING, NodePhase.STAGING):
            return Wait(state.those(batch, NodePhase.APPLYING, *STAGED))
        if ready := state.those(batch, NodePhase.READY):
            return Go(ready)
        if number in state.unchecked:
            return CheckHolders(number)
    return Stop(succeeded=True)


def _unfinished(state: RolloutState) -> bool:
    """Whether there is something to stop: with everything done, only to go back."""
    begun = (NodePhase.WAITING, *STAGED)
    return state.put_back_on_failure or any(state.those(batch, *begun) for batch in state.batches)


def _backwards(state: RolloutState) -> Step:
    """What is staged without the word is dropped, whatever becomes of the rest: it must not stay there.

    Those of one moment that did not all come to their end go back, even where others may stay: members with two
    states would both hold. On the way back one that fails holds nobody up: the others would stay with a state that
    nobody wants.
    """
    everybody = tuple(node for batch in state.batches for node in batch)
    if staged := state.those(everybody, *STAGED):
        return PutBack(staged)
    if state.those(everybody, *_ON_ITS_WAY):
        return Wait(state.those(everybody, *_ON_ITS_WAY, NodePhase.READY_BACK))
    if ready := state.those(everybody, NodePhase.READY_BACK):
        return Go(ready)
    for number, batch in reversed(tuple(enumerate(state.batches))):
        split = number in state.together and len(state.those(batch, NodePhase.VERIFIED)) < len(batch)
        done = state.those(batch, *_HAS_THE_NEW_STATE)
        if done and (split or state.put_back_on_failure):
            return PutBack(done, number in state.together and len(done) > 1)
    return Stop(succeeded=False)


def refused_hazards(plan: Plan, forbidden: frozenset[Hazard]) -> list[Sentence]:
    """The reasons why policy forbids this plan, each with its node; empty if it may go ahead."""
    return [
        Sentence("%(node)s: %(why)s (%(hazard)s)", node=node.node, why=note.reason, hazard=Sentence(note.hazard.value))
        for node in plan.nodes
        for note in node.hazards
        if note.hazard in forbidden
    ]
