"""From intent to VRRP priorities and weights that provably fail over.

An order of preference becomes priorities TOP, TOP − STEP, …; a tracker that `yield`s lowers them by more than the whole
range, so that a node with a loss ranks below every healthy peer, and two losses below one. RFC 5798 5.2.4: 1 to 254.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.spec.vrrp import VrrpGroup

TOP = 250  # near the top: a backup's skew time, (256 − priority) / 256 of an advert interval, stays short
STEP = 5
LOWEST = 1


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
    message: str
    hint: str


def rank(group: VrrpGroup) -> Ranking:
    """Priorities and weights of a group; numbers that the operator gave are taken as they are."""
    members = group.members
    if isinstance(group.nodes, dict):
        priorities = dict(group.nodes)
    else:
        step = min(STEP, max(1, 100 // len(members)))
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


def unproved_weights(group: VrrpGroup) -> tuple[WeightMistake, ...]:
    """Trackers whose loss would not move the group, or whose numbers leave VRRP's range. Empty means proved."""
    ranking = rank(group)
    healthy = {node: priority + sum(ranking.gain) for node, priority in ranking.priorities.items()}
    mistakes: list[WeightMistake] = []
    for node, priority in healthy.items():
        if priority > 254:
            hint = f"lower the priorities, so that the sum stays at 254 or below ({priority} now)"
            mistakes.append(
                WeightMistake(0, node, f"'{node}' in good health would exceed VRRP's highest priority", hint)
            )
    for index, (loss, gain) in enumerate(zip(ranking.loss, ranking.gain, strict=True)):
        if loss is None:
            continue
        best = max(healthy, key=lambda node: healthy[node])
        peer = max(priority for node, priority in healthy.items() if node != best)
        after = healthy[best] + loss - gain
        if after >= peer:
            need = healthy[best] - peer + 1
            hint = f"make it −{need} or more, or say `on_loss: yield` and let the compiler count"
            message = f"after the loss '{best}' still ranks at {after}, a healthy peer at {peer}: it never fails over"
            mistakes.append(WeightMistake(index, best, message, hint))
    mistakes += _too_low(ranking, healthy)
    return tuple(mistakes)


def _too_low(ranking: Ranking, healthy: Mapping[str, int]) -> list[WeightMistake]:
    """keepalived clamps at 1: below that the order between nodes with losses would be lost."""
    total = sum((loss or 0) - gain for loss, gain in zip(ranking.loss, ranking.gain, strict=True))
    node = min(healthy, key=lambda name: healthy[name])
    if healthy[node] + total >= LOWEST:
        return []
    index = next(i for i, loss in enumerate(ranking.loss) if loss is not None)
    hint = "let some of them say `on_loss: release`, or use fewer"
    message = f"all losses together would take '{node}' to {healthy[node] + total}, below VRRP's lowest priority"
    return [WeightMistake(index, node, message, hint)]
