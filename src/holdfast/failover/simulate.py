"""Who holds a group in a given situation: keepalived's election, without the daemon."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.spec.vrrp import VrrpGroup

from .priorities import rank


@dataclass(frozen=True)
class Situation:
    """What is wrong right now.

    `dead` nodes do not advertise; `held` are (group, node) whose hold file gives the group up; `lost` are (node, index)
    of trackers, or (node, what) with what a tracker watches (`nginx`, `eth0`, a script's name).
    """

    dead: frozenset[str] = frozenset()
    held: frozenset[tuple[str, str]] = frozenset()
    lost: frozenset[tuple[str, str]] = frozenset()


def effective_priority(group_name: str, group: VrrpGroup, node: str, situation: Situation) -> int | None:
    """The node's priority as it advertises it, or None where it may not hold the group at all (FAULT)."""
    if node in situation.dead or (group_name, node) in situation.held:
        return None
    ranking = rank(group)
    priority = ranking.priorities[node] + sum(ranking.gain)
    for tracker, loss, gain in zip(group.keeps_while, ranking.loss, ranking.gain, strict=True):
        target = tracker.http
        watched = f"{target.address}:{target.port}{target.path}" if target else getattr(tracker, tracker.kind)
        if (node, watched) not in situation.lost:
            continue
        if loss is None:
            return None
        priority += loss - gain
    return max(1, min(254, priority))


def holder(group_name: str, group: VrrpGroup, situation: Situation, current: str | None) -> str | None:
    """Who holds the group once everything has settled; None if nobody may.

    Without preemption a holder that may hold on does so; otherwise the highest effective priority wins.
    """
    ranked = [
        (priority, -place, node)
        for place, node in enumerate(group.members)
        if (priority := effective_priority(group_name, group, node, situation)) is not None
    ]
    if not ranked:
        return None
    if not group.preempts and current in {node for _, _, node in ranked}:
        return current
    return max(ranked)[2]
