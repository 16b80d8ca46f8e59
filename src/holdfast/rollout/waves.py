"""From a plan to batches: who is told in one moment, as far as the plan, policy and the operator's limits allow."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from holdfast.errors import PlanRefused
from holdfast.plan import Hazard, Plan, Wave
from holdfast.sentences import Sentence

from .decide import refused_hazards

MOST_TOGETHER = 30  # the word is one commit
_MOST_REASONS = 5


@dataclass(frozen=True)
class Batch:
    """Nodes that are told together. `at_once`: they have to change in one moment, and `why` is the plan's reason."""

    nodes: tuple[str, ...]
    at_once: bool = False
    why: str = ""


def batches(
    plan: Plan,
    held: Mapping[str, int],
    *,
    at_a_time: int = 1,
    first_alone: bool = False,
    away: Collection[str] = (),
) -> tuple[Batch, ...]:
    """The plan's waves where nodes hold so many groups each now, in pieces of at most `at_a_time` nodes.

    What has to go in one moment is never cut, and is refused if somebody would be missing: PlanRefused. With
    `first_alone` the first batch is one node, if it may be.
    """
    found: list[Batch] = []
    for wave in plan.waves_with(held):
        if wave.at_once is not None:
            _nobody_missing(wave, away, plan)
        nodes = [node for node in wave.nodes if node not in away]
        if not nodes:
            continue
        if wave.at_once is not None:
            _not_too_many(wave.at_once.groups, nodes)
            found.append(Batch(tuple(nodes), len(nodes) > 1, wave.why))
            continue
        if first_alone and not found:
            found.append(Batch((nodes.pop(0),), why=wave.why))
        for start in range(0, len(nodes), at_a_time):
            found.append(Batch(tuple(nodes[start : start + at_a_time]), why=wave.why))
    return tuple(found)


def _not_too_many(groups: Sequence[str], nodes: Sequence[str]) -> None:
    if len(nodes) > MOST_TOGETHER:
        raise PlanRefused(
            Sentence(
                "%(n)s nodes would have to change in one moment, because of %(groups)s; %(most)s is the most",
                n=len(nodes),
                groups=", ".join(groups),
                most=MOST_TOGETHER,
            ),
            Sentence("make the change group by group"),
        )


def _nobody_missing(wave: Wave, away: Collection[str], plan: Plan) -> None:
    assert wave.at_once is not None, "asked for waves of one moment only"
    # Who has nothing of Holdfast yet, sends no adverts either, and can come later.
    left_out = [node for node in wave.nodes if node in away and (found := plan.node(node)) and found.old is not None]
    missing = sorted({*wave.at_once.missing, *left_out})
    if missing:
        groups = ", ".join(wave.at_once.groups)
        raise PlanRefused(
            Sentence(
                "all members of %(groups)s have to change in one moment, but %(nodes)s would not: "
                "there would be two holders",
                groups=groups,
                nodes=", ".join(missing),
            ),
            Sentence("bring these nodes back first, or take them out of the group in a change of its own"),
        )


def refuse_forbidden(plan: Plan, forbidden: frozenset[Hazard]) -> None:
    """PlanRefused where policy forbids one of the plan's hazards, before anything is touched."""
    if reasons := refused_hazards(plan, forbidden):
        raise PlanRefused(
            Sentence("the plan has hazards that are not allowed: %(reasons)s", reasons=_joined(reasons)),
            Sentence(
                "change less at once, or make the change in steps (a new group beside the old one, then remove the old)"
            ),
        )


def _joined(reasons: Sequence[Sentence]) -> Sentence:
    """The first few: who reads them finds the others in the plan."""
    told = reasons[0]
    for one in reasons[1:_MOST_REASONS]:
        told = Sentence("%(first)s; %(next)s", first=told, next=one)
    if len(reasons) > _MOST_REASONS:
        told = Sentence("%(first)s; and %(n)s more", first=told, n=len(reasons) - _MOST_REASONS)
    return told
