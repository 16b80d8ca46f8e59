"""Who holds each group while a plan is carried out: what moves, and when, follows from all members' priorities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .changes import Change, made
from .members import Member, State
from .order import Wave

Members = Mapping[str, Member]  # of one group: node → its part


def holders(state: State) -> dict[str, str]:
    """Who holds each group when nothing is wrong: the highest priority."""
    return {group: _best(parts) for group, parts in state.groups.items() if parts}


def held(state: State) -> dict[str, int]:
    """How many groups each node holds when nothing is wrong."""
    count: dict[str, int] = {}
    for holder in holders(state).values():
        count[holder] = count.get(holder, 0) + 1
    return count


def _best(parts: Members) -> str:
    return min(parts, key=lambda node: (-parts[node].instance.priority, node))


def joins_unicast(node: str, old: State, new: State) -> bool:
    """Whether a node joins a group whose members know each other by address: they have to know it first.

    Else it hears nobody, believes that it is alone, and holds the addresses, too.
    """
    return any(
        old.groups.get(group) and node not in old.groups[group] and node in parts and parts[node].unicast_source
        for group, parts in new.groups.items()
    )


def comes_or_goes(group: str, address: str, old: State, new: State) -> bool:
    """Whether the unicast member with this address is new in the group, or leaves it."""
    one, two = (
        {part.unicast_source: node for node, part in side.groups.get(group, {}).items() if part.unicast_source}
        for side in (old, new)
    )
    node = two.get(address) or one.get(address)
    return node is not None and (node in old.groups.get(group, {})) != (node in new.groups.get(group, {}))


def is_alone(group: str, old: State, new: State) -> bool:
    """Whether a group has one member before and after, so that nobody else hears its adverts."""
    parts = [*old.groups.get(group, {}).items(), *new.groups.get(group, {}).items()]
    return len({node for node, _ in parts}) == 1 and all(part.peers == frozenset() for _, part in parts)


def moves(old: State, new: State, order: Sequence[Wave]) -> Iterator[tuple[str, Change]]:
    """(node, change) for each time that a group changes hands, or ends, while the nodes change in this order."""
    for group in sorted(old.groups):
        before, after = old.groups[group], new.groups.get(group, {})
        if before == after:
            continue
        if not _all_known(group, old, new):
            yield from _may_move(group, before, after)
            continue
        yield from _carried_out(group, before, after, order)


def _all_known(group: str, old: State, new: State) -> bool:
    """Whether every member is in one of the states; where none is named, two that are there count as all."""
    parts = [(node, part) for side in (old, new) for node, part in side.groups.get(group, {}).items()]
    known = {node for node, _ in parts}
    return all(part.peers <= known if part.peers is not None else len(known) > 1 for _, part in parts)


def _may_move(group: str, before: Members, after: Members) -> Iterator[tuple[str, Change]]:
    for node in sorted(before.keys() | after.keys()):
        was, becomes = before.get(node), after.get(node)
        if was is not None and becomes is None:
            yield node, made("group.may-move", f"group {group}", "this node leaves it", "removed")
        elif was is not None and becomes is not None and was.instance.priority != becomes.instance.priority:
            what = f"the rank of this node changes ({was.instance.priority} → {becomes.instance.priority})"
            yield node, made("group.may-move", f"group {group}", what)
        elif was is None:
            yield node, made("group.may-move", f"group {group}", "this node joins it", "added")


def _carried_out(
    group: str, before: Members, after: Members, order: Sequence[Wave]
) -> Iterator[tuple[str, Change]]:
    now = dict(before)
    holder: str | None = _best(now) if now else None
    for wave in order:
        step = wave.nodes
        for node in step:
            now.pop(node, None)
            if node in after:
                now[node] = after[node]
        was, holder = holder, _holder(now, holder)
        if was is not None and holder is None:
            yield was if was in step else step[-1], made("group.ends", f"group {group}", "nobody holds its addresses")
        elif was is not None and holder != was:
            trigger = was if was in step else step[-1]
            yield (
                trigger,
                made("group.moves", f"group {group}", f"moves from {was} to {holder} with this node's change"),
            )


def _holder(now: Mapping[str, Member], holder: str | None) -> str | None:
    """Who holds after a step: the present holder unless it left or a better one preempts."""
    if not now:
        return None
    best = _best(now)
    if holder is None or holder not in now:
        return best
    better = now[best].instance.priority > now[holder].instance.priority
    return best if better and now[best].instance.preempt else holder
