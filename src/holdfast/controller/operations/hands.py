"""How groups change hands: moved, given up for maintenance, taken back; never from the last who could hold one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress

from holdfast.errors import HoldfastError, PlanRefused, RolloutFailed
from holdfast.protocol import NodeStatus, Verb
from holdfast.protocol.api.nodes import MovedGroup, MoveRequest
from holdfast.rollout.moves import HeldBack
from holdfast.rollout.switchover import Switch, Switchover
from holdfast.sentences import Sentence

from .places import Place, could_hold, held_back, holds, in_maintenance


async def moved(place: Place, group: str, request: MoveRequest) -> Switchover:
    """Let another node hold a group, or let it come back. PlanRefused, RolloutFailed."""
    switch = place.switch(group)
    if request.back:
        return await asyncio.to_thread(switch.back)
    if request.node is None:
        return await asyncio.to_thread(switch.away)
    target, members = request.node, place.members(group)
    if target not in members:
        raise PlanRefused(
            Sentence("%(target)s is no member of '%(group)s'", target=target, group=group),
            Sentence("its members: %(members)s", members=", ".join(sorted(members))),
        )
    if await in_maintenance(place, target):
        raise PlanRefused(
            Sentence("%(target)s is in maintenance", target=target),
            Sentence("end that first: holdfast maintenance %(target)s off", target=target),
        )
    statuses = await place.statuses(members)
    if target not in statuses:
        raise PlanRefused(Sentence("the agent of %(target)s does not answer", target=target), "is the node up?")
    holding = [node for node, status in statuses.items() if holds(status, group)]
    if holding == [target]:
        return Switchover(group, target, target, None)
    return await _to(place, switch, group, target, statuses)


async def _to(place: Place, switch: Switch, group: str, target: str, statuses: Mapping[str, NodeStatus]) -> Switchover:
    """Whoever would be preferred to the target steps back first; where the target was kept away, it may come again."""
    members = place.members(group)
    best = max(members, key=lambda node: members[node].priority)
    if held_back(statuses[target], group):
        if target == best and members[target].preempts:
            place.underway.turn_back()
            return _arrived(await asyncio.to_thread(switch.back), target)
        await place.order(target, Verb.RELEASE, group)
    holders = [node for node, status in statuses.items() if holds(status, group)]
    rivals = [
        node
        for node in statuses
        if node not in (target, *holders) and members[node].priority > members[target].priority
    ]
    for node in rivals:
        await place.order(node, Verb.HOLD, group)
    done: Switchover | None = None
    try:
        done = await asyncio.to_thread(switch.away)
        return _arrived(done, target)
    except HoldfastError:
        for node in rivals:
            with suppress(HoldfastError):  # why it was not moved is what matters
                await place.order(node, Verb.RELEASE, group)
        if done is not None:
            place.underway.accept(done.before, group)  # it went to another one, and is kept away from where it was
        raise


def _arrived(done: Switchover, target: str) -> Switchover:
    if done.after != target:
        raise RolloutFailed(
            Sentence(
                "'%(group)s' went to %(after)s, not to %(target)s", group=done.group, after=done.after, target=target
            ),
            "look at the events of both nodes",
        )
    return done


async def refuse_last(place: Place, node: str) -> None:
    """PlanRefused, before any group is moved, if there is one that nobody else could hold."""
    groups = place.groups_of(node)
    statuses = await place.statuses({member: None for group in groups for member in place.members(group)})
    if groups and node not in statuses:
        raise PlanRefused(
            Sentence("the agent of %(node)s does not answer", node=node),
            "repair it, or stop its keepalived on the node",
        )
    for group in groups:
        others = [statuses[other] for other in place.members(group) if other != node and other in statuses]
        if not any(could_hold(status, group) for status in others):
            raise PlanRefused(
                Sentence("no other node could hold '%(group)s' now, so %(node)s is needed", group=group, node=node),
                Sentence(
                    "bring its peer up, see why keepalived there is in FAULT, end its maintenance, or, "
                    "where the group was moved away from it, give it back (holdfast move %(group)s --back), first",
                    group=group,
                ),
            )


async def given_up(place: Place, node: str, group: str) -> MovedGroup:
    """One group: moved away if the node holds it, and kept away from it in any case."""
    statuses = await place.statuses(place.members(group))
    if node in statuses and holds(statuses[node], group):
        done = await asyncio.to_thread(place.switch(group).away)
        await place.order(node, Verb.HOLD, group)  # where nobody preempts, a move lets it go again
        return MovedGroup(group=group, before=done.before, after=done.after, report=done.report)
    holder = next((other for other, status in statuses.items() if other != node and holds(status, group)), None)
    if holder is None:
        raise PlanRefused(
            Sentence("nobody else holds '%(group)s' now", group=group), "see what is wrong with its other members first"
        )
    await place.order(node, Verb.HOLD, group)
    return MovedGroup(group=group, before=holder, after=holder)


async def taken_back(place: Place, node: str, group: str) -> MovedGroup | None:
    """One group that the node may hold again: what became of it, if it changed hands."""
    others = [other for other in place.members(group) if other != node]
    if any([await in_maintenance(place, other) for other in others]):
        await place.order(node, Verb.RELEASE, group)  # a hand-over would call the others back, too
        return None
    back = await asyncio.to_thread(place.switch(group).back)
    if back.before == back.after:
        return None
    return MovedGroup(group=group, before=back.before, after=back.after, report=back.report)


async def all_given_up(place: Place, node: str) -> list[MovedGroup]:
    """Every group that the node may hold; the first that cannot be given up ends it. Done again, it does no harm."""
    return [await given_up(place, node, group) for group in place.groups_of(node)]


async def all_taken_back(place: Place, node: str) -> list[MovedGroup]:
    """Every group that the node may hold again: those that changed hands."""
    done = [await taken_back(place, node, group) for group in place.groups_of(node)]
    return [one for one in done if one is not None]


async def released(place: Place, pairs: Iterable[HeldBack] | None = None) -> None:
    """Who was held back by what goes on may hold again, or these; what cannot be told now is kept for later."""
    record = place.underway.record
    for one in tuple(pairs) if pairs is not None else record.held if record else ():
        if one.group not in place.groups_of(one.node):  # it has left the group meanwhile
            place.underway.accept(one.node, one.group)
            continue
        with suppress(HoldfastError):  # the agent may be what is broken
            await place.order(one.node, Verb.RELEASE, one.group)
