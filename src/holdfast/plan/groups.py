"""Who holds each group while a plan is carried out: what moves, and when, follows from all members' priorities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from holdfast.bundle import Bundle
from holdfast.keepalived.tree import Configuration, Node

from .changes import Change, made

_DEFAULT_PRIORITY = 100


@dataclass(frozen=True)
class Member:
    """A node's part in a group."""

    priority: int
    preempts: bool
    peers: frozenset[str] | None  # the other members; None where nobody says who they are
    unicast_source: str = ""  # where its adverts come from, if they are sent to each member alone


Members = Mapping[str, Mapping[str, Member]]  # group → node → its part


def members(
    bundles: Mapping[str, Bundle],
    trees: Mapping[str, Configuration | None],
    renamed: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> dict[str, dict[str, Member]]:
    """Every group with its members; `renamed` has the new names of a node's groups."""
    found: dict[str, dict[str, Member]] = {}
    for node, bundle in bundles.items():
        tree = trees.get(node)
        peers = {expected.group: frozenset(expected.peers) for expected in bundle.expected.vrrp}
        if tree is None:
            for expected in bundle.expected.vrrp:
                part = Member(expected.priority, expected.preempts, peers[expected.group])
                found.setdefault(expected.group, {})[node] = part
            continue
        for instance in tree.root.all("vrrp_instance"):
            source = instance.value("unicast_src_ip") if instance.listed("unicast_peer") else ""
            part = Member(_priority(instance), not instance.has("nopreempt"), peers.get(instance.arg()), source)
            name = renamed.get(node, {}).get(instance.arg(), instance.arg())
            found.setdefault(name, {})[node] = part
    return found


def _priority(instance: Node) -> int:
    value = instance.value("priority", str(_DEFAULT_PRIORITY))
    return int(value) if value.isdecimal() and len(value) < 10 else _DEFAULT_PRIORITY


def holders(groups: Members) -> dict[str, str]:
    """Who holds each group when nothing is wrong: the highest priority."""
    return {group: _best(parts) for group, parts in groups.items() if parts}


def held(groups: Members) -> dict[str, int]:
    """How many groups each node holds when nothing is wrong."""
    count: dict[str, int] = {}
    for holder in holders(groups).values():
        count[holder] = count.get(holder, 0) + 1
    return count


def _best(parts: Mapping[str, Member]) -> str:
    return min(parts, key=lambda node: (-parts[node].priority, node))


def joins_unicast(node: str, old: Members, new: Members) -> bool:
    """Whether a node joins a group whose members know each other by address: they have to know it first.

    Else it hears nobody, believes that it is alone, and holds the addresses, too.
    """
    return any(
        old.get(group) and node not in old[group] and node in parts and parts[node].unicast_source
        for group, parts in new.items()
    )


def comes_or_goes(group: str, address: str, old: Members, new: Members) -> bool:
    """Whether the unicast member with this address is new in the group, or leaves it."""
    one, two = (
        {part.unicast_source: node for node, part in side.get(group, {}).items() if part.unicast_source}
        for side in (old, new)
    )
    node = two.get(address) or one.get(address)
    return node is not None and (node in old.get(group, {})) != (node in new.get(group, {}))


def is_alone(group: str, old: Members, new: Members) -> bool:
    """Whether a group has one member before and after, so that nobody else hears its adverts."""
    parts = [*old.get(group, {}).items(), *new.get(group, {}).items()]
    return len({node for node, _ in parts}) == 1 and all(part.peers == frozenset() for _, part in parts)


def moves(old: Members, new: Members, order: Sequence[Sequence[str]]) -> Iterator[tuple[str, Change]]:
    """(node, change) for each time that a group changes hands, or ends, while the nodes change in this order."""
    for group in sorted(old):
        before, after = old[group], new.get(group, {})
        if before == after:
            continue
        if not _all_known(group, old, new):
            yield from _may_move(group, before, after)
            continue
        yield from _carried_out(group, before, after, order)


def _all_known(group: str, old: Members, new: Members) -> bool:
    """Whether every member is in one of the states; where none is named, two that are there count as all."""
    parts = [(node, part) for side in (old, new) for node, part in side.get(group, {}).items()]
    known = {node for node, _ in parts}
    return all(part.peers <= known if part.peers is not None else len(known) > 1 for _, part in parts)


def _may_move(group: str, before: Mapping[str, Member], after: Mapping[str, Member]) -> Iterator[tuple[str, Change]]:
    for node in sorted(before.keys() | after.keys()):
        was, becomes = before.get(node), after.get(node)
        if was is not None and becomes is None:
            yield node, made("group.may-move", f"group {group}", "this node leaves it", "removed")
        elif was is not None and becomes is not None and was.priority != becomes.priority:
            what = f"the rank of this node changes ({was.priority} → {becomes.priority})"
            yield node, made("group.may-move", f"group {group}", what)
        elif was is None:
            yield node, made("group.may-move", f"group {group}", "this node joins it", "added")


def _carried_out(
    group: str, before: Mapping[str, Member], after: Mapping[str, Member], order: Sequence[Sequence[str]]
) -> Iterator[tuple[str, Change]]:
    now = dict(before)
    holder: str | None = _best(now) if now else None
    for step in order:
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
    return best if now[best].priority > now[holder].priority and now[best].preempts else holder
