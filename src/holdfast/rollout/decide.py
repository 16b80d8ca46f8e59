"""What a rollout does next: a pure function of what is known. Interrupt it anywhere and ask again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from holdfast.plan import Hazard, Plan, node_order


class NodePhase(StrEnum):
    """How far one node is."""

    WAITING = "waiting"
    APPLYING = "applying"  # it was told; how far it is, its agent says
    VERIFIED = "verified"  # the new state runs and was checked
    FAILED = "failed"  # its agent put it back by itself, or refused
    REGRESSED = "regressed"  # its agent is content, but the node lost a group that it should have kept
    LOST = "lost"  # nobody knows: it could not be asked
    PUTTING_BACK = "putting back"  # it was told to take the old state again
    PUT_BACK = "put back"  # it had the new state and was taken back to the old one
    AWAY = "away"  # not waited for: it has never joined, or the operator left it out; it finds its state when it comes


@dataclass(frozen=True)
class RolloutState:
    """All that a decision needs: the plan, each node's phase, and how many groups each node holds right now."""

    plan: Plan
    phases: Mapping[str, NodePhase]
    held: Mapping[str, int]
    put_back_on_failure: bool = True

    def with_phase(self, node: str, phase: NodePhase) -> RolloutState:
        """The state after a node has come that far."""
        return replace(self, phases={**self.phases, node: phase})


@dataclass(frozen=True)
class Apply:
    """Bring this node to its new bundle and verify it."""

    node: str


@dataclass(frozen=True)
class PutBack:
    """Take this node, which has the new bundle already, back to its old one."""

    node: str


@dataclass(frozen=True)
class Stop:
    """Nothing is left to do."""

    succeeded: bool


Step = Apply | PutBack | Stop


def begin(plan: Plan, held: Mapping[str, int], *, put_back_on_failure: bool = True) -> RolloutState:
    """The state before the first step."""
    return RolloutState(plan, {node.node: NodePhase.WAITING for node in plan.nodes}, held, put_back_on_failure)


def decide(state: RolloutState) -> Step:
    """The next step: the plan's waves, in each standby nodes first, then those that hold fewest groups.

    On a failure back, the last one first.

    A node of which nothing is known counts as failed: going on would risk the other half of a pair.
    """
    phases = state.phases
    if set(phases.values()) - {NodePhase.WAITING, NodePhase.VERIFIED}:
        done = [node for node in _order(state) if phases[node] in (NodePhase.VERIFIED, NodePhase.REGRESSED)]
        return PutBack(done[-1]) if done and state.put_back_on_failure else Stop(succeeded=False)
    waiting = [node for node in _order(state) if phases[node] is NodePhase.WAITING]
    return Apply(waiting[0]) if waiting else Stop(succeeded=True)


def _order(state: RolloutState) -> list[str]:
    return node_order(state.plan.nodes, state.held)


def refused_hazards(plan: Plan, forbidden: frozenset[Hazard]) -> list[str]:
    """The reasons why policy forbids this plan, each with its node; empty if it may go ahead."""
    return [
        f"{node.node}: {note.reason} ({note.hazard})"
        for node in plan.nodes
        for note in node.hazards
        if note.hazard in forbidden
    ]
