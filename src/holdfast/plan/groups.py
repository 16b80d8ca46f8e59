"""Who holds each group while a plan is carried out: what moves, and when, follows from all members' priorities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from .changes import Change, made
from .course import course, holders
from .members import Member, State
from .order import Wave

Members = Mapping[str, Member]  # of one group: node → its part


def held(state: State) -> dict[str, int]:
    """How many groups each node holds when nothing is wrong."""
    return dict(Counter(node for nodes in holders(state).values() for node in nodes))


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
    known: set[str] = set()
    for group in sorted(old.groups):
        if _all_known(group, old, new):
            known.add(group)
        elif old.groups[group] != new.groups.get(group):
            yield from _may_move(group, old.groups[group], new.groups.get(group, {}))
    if old.cluster == new.cluster:
        return
    simultaneous = {group for wave in order if wave.at_once for group in wave.at_once.groups}
    for moment in course(old, new, order):
        for group in sorted(known):
            was, now = moment.was.get(group, ()), moment.now.get(group, ())
            if len(now) > 1 and group in simultaneous:
                continue  # told already: it is why they change in one moment
            if change := _told(group, was, now):
                trigger = next((node for node in was if node in moment.nodes), moment.nodes[-1])
                yield trigger, change


def _told(group: str, was: Sequence[str], now: Sequence[str]) -> Change | None:
    if not was:
        return None
    if not now:
        return made("group.ends", f"group {group}", "nobody holds its addresses")
    if len(now) > len(was):
        return made("group.two", f"group {group}", f"{' and '.join(now)} hold it from this node's change on")
    if not set(was) & set(now):
        return made("group.moves", f"group {group}", f"moves from {was[0]} to {now[0]} with this node's change")
    return None


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
