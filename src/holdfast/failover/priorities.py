"""From intent to VRRP priorities and weights that provably fail over.

An order of preference becomes priorities TOP, TOP − STEP, …; a tracker that `yield`s lowers them by more than the whole
range, so that a node with a loss ranks below every healthy peer, and two losses below one. RFC 5798 5.2.4: 1 to 254.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.sentences import Sentence

if TYPE_CHECKING:  # the models of specs take 0.3 s to load, and who reckons with keepalived.conf needs none of them
    from holdfast.spec.vrrp import VrrpGroup

TOP = 250  # near the top: a backup's skew time, (256 − priority) / 256 of an advert interval, stays short
STEP = 5
LOWEST, HIGHEST = 1, 254  # 255 is for a router that owns the addresses
MOST = 253  # the largest weight that keepalived takes


@dataclass(frozen=True)
class Ranking:
    """Base priority of each member, and what each tracker's loss adds to it (None: the group is given up)."""

    priorities: Mapping[str, int]
    loss: tuple[int | None, ...]
    gain: tuple[int, ...]  # what each healthy tracker adds (positive weights of the operator's own numbers)


@dataclass(frozen=True)
class WeightMistake:
    """A number of the operator's that does not fail over: tracker `index`, member `node`, and why."""

    index: int
    node: str
    message: Sentence
    hint: Sentence


def rank(group: VrrpGroup) -> Ranking:
    """Priorities and weights of a group; numbers that the operator gave are taken as they are."""
    members = group.members
    if isinstance(group.nodes, dict):
        priorities = dict(group.nodes)
    else:
        step = _step(len(members), sum(t.weight is None and t.on_loss == "yield" for t in group.keeps_while))
        priorities = {member: TOP - step * place for place, member in enumerate(members)}
    spread = max(priorities.values()) - min(priorities.values())
    loss: list[int | None] = []
    gain: list[int] = []
    for tracker in group.keeps_while:
        if tracker.weight is None:
            loss.append(None if tracker.on_loss == "release" else -(spread + 1))
        else:
            loss.append(min(tracker.weight, 0))
        gain.append(max(tracker.weight or 0, 0))
    return Ranking(priorities, tuple(loss), tuple(gain))


def _step(members: int, yields: int) -> int:
    """The widest step that leaves room for every loss at once; 1 where even that does not."""
    spreads = ((step, (members - 1) * step) for step in range(STEP, 0, -1))
    return next((step for step, spread in spreads if TOP - spread - yields * (spread + 1) >= LOWEST), 1)


def unproved_weights(group: VrrpGroup) -> tuple[WeightMistake, ...]:
    """Trackers whose loss would not move the group, or whose numbers leave VRRP's range. Empty means proved."""
    ranking = rank(group)
    healthy = {node: priority + sum(ranking.gain) for node, priority in ranking.priorities.items()}
    best = max(healthy, key=lambda node: healthy[node])
    peer = max(priority for node, priority in healthy.items() if node != best)
    mistakes: list[WeightMistake] = []
    if healthy[best] > HIGHEST:
        hint = Sentence(
            "lower the priorities, so that the sum stays at %(highest)s or below (%(now)s now)",
            highest=HIGHEST,
            now=healthy[best],
        )
        message = Sentence("'%(node)s' in good health would exceed VRRP's highest priority", node=best)
        mistakes.append(WeightMistake(0, best, message, hint))
    for index, (loss, gain) in enumerate(zip(ranking.loss, ranking.gain, strict=True)):
        after = max(LOWEST, healthy[best] + (loss or 0) - gain)
        if loss is None or after < peer:
            continue
        message = Sentence(
            "after the loss '%(node)s' still ranks at %(after)s, not below a healthy peer's %(peer)s: "
            "it never fails over",
            node=best,
            after=after,
            peer=peer,
        )
        mistakes.append(WeightMistake(index, best, message, _enough(healthy[best], peer, gain > 0)))
    # The operator's own numbers promise a failover; what the compiler counts also orders those with several losses.
    counted = any(tracker.weight is None and tracker.on_loss == "yield" for tracker in group.keeps_while)
    return tuple(mistakes + (_too_low(ranking, healthy) if counted else []))


def _enough(best: int, peer: int, positive: bool) -> Sentence:
    """What to write instead, so that the best node falls below its peer."""
    need = best - peer + 1
    if peer == LOWEST:
        return Sentence("give every node a priority above %(lowest)s: none can rank below that", lowest=LOWEST)
    if need > MOST:
        return Sentence("say `on_loss: yield` and let the compiler count")
    return Sentence(
        "write `weight: %(weight)s`, or say `on_loss: yield` and let the compiler count",
        weight=need if positive else -need,
    )


def _too_low(ranking: Ranking, healthy: Mapping[str, int]) -> list[WeightMistake]:
    """keepalived clamps at 1: two nodes that get there are equal, however many losses each of them has."""
    total = sum((loss or 0) - gain for loss, gain in zip(ranking.loss, ranking.gain, strict=True))
    lowest, above = sorted(healthy, key=lambda name: healthy[name])[:2]
    if healthy[lowest] + total >= LOWEST or healthy[above] + total > LOWEST:
        return []
    index = next(i for i, (loss, gain) in enumerate(zip(ranking.loss, ranking.gain, strict=True)) if loss or gain)
    hint = Sentence("bring the priorities nearer together, let some trackers say `on_loss: release`, or use fewer")
    message = Sentence(
        "with all losses '%(node)s' and '%(other)s' would both rank at VRRP's lowest priority, %(lowest)s",
        node=lowest,
        other=above,
        lowest=LOWEST,
    )
    return [WeightMistake(index, lowest, message, hint)]
