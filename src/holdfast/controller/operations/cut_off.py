"""A move that was cut off: whoever leads finishes or undoes it, by what its nodes say, and tells what became of it.

A controller that dies, or loses its store, leaves the move's record and some hold files on nodes. `rollout.moves`
judges what is to be done; here it is done, once: what fails then is undone, and only waits for agents to answer.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from holdfast.errors import Conflict, HoldfastError, PlanRefused, StoreDamaged
from holdfast.protocol import Verb
from holdfast.rollout.moves import Ending, HeldBack, Member, MoveKind, MoveRecord, Verdict, verdict
from holdfast.rollout.records import RolloutStore
from holdfast.sentences import Sentence
from holdfast.store.models import OverrideKind
from holdfast.store.store import Store, override_name

from . import hands
from .desk import Desk
from .places import Place, held_back, holds, in_maintenance, place_of
from .underway import alone, lease_of

_BUSY_S = 10.0  # longer than a group holds requests back, an agent is busy with a move
_AGAIN_S = 0.3
_HELD_WITHIN_S = 10.0
_log = logging.getLogger(__name__)


async def settle(desk: Desk, cluster: str) -> bool:
    """Finish or undo what was cut off, if anything was and nobody is at it; whether nothing is left of it."""
    if not await RolloutStore(desk.store, cluster).moves.version(RolloutStore.MOVE):
        return True
    try:
        async with alone(desk, cluster) as underway:
            if await underway.load() is None:
                return True
            place = await place_of(desk, cluster, underway)
            await _settled(place, await _judged(place))
            return underway.record is None
    except PlanRefused:
        return False  # somebody is at it


async def before_another(place: Place, target: str) -> None:
    """Whoever moves something settles first what was cut off. What they want of the same `target` takes its place.

    PlanRefused where a node is half out of service, and that cannot be finished now.
    """
    record = await place.underway.load()
    if record is None:
        return
    judged = await _judged(place)
    if judged.ending is Ending.GO_ON and record.target == target:
        await hands.released(place, [one for one in record.held if one.node != target])
        return
    await _settled(place, judged)
    left = place.underway.record
    if left is not None and not left.decided and record.kind in (MoveKind.MAINTENANCE_ON, MoveKind.MAINTENANCE_OFF):
        raise PlanRefused(
            Sentence("what %(who)s began with %(target)s was cut off in the middle, and %(target)s does not answer now",
                     who=record.who.removeprefix("user:"), target=record.target),
            Sentence("bring its agent up, or end it: holdfast maintenance %(target)s off", target=record.target),
        )  # fmt: skip


async def trouble_of_moves(store: Store, cluster: str) -> str | None:
    """What is to be said of a move that was cut off and is not settled yet; None while all is well, or unknown."""
    try:
        found = await RolloutStore(store, cluster).moves.get(RolloutStore.MOVE)
    except StoreDamaged:
        return None  # that is told with all else that is damaged
    if found is None or await store.holdings.present.version(lease_of(cluster)):
        return None
    record = found.record
    if record.decided:
        nodes = ", ".join(sorted({one.node for one in record.owed}))
        groups = ", ".join(sorted({one.group for one in record.owed}))
        return Sentence(
            "%(nodes)s may hold %(groups)s again, and will be told so as soon as it answers", nodes=nodes, groups=groups
        )
    return Sentence(
        "what %(who)s began with %(target)s was cut off in the middle: the controller that leads finishes or undoes it",
        who=record.who.removeprefix("user:"), target=record.target,
    )  # fmt: skip


async def end_override(place: Place, node: str) -> None:
    """The node is not in maintenance any more."""
    desk = place.desk
    kept = desk.store.cluster(place.cluster).overrides
    name = override_name(OverrideKind.MAINTENANCE, node)
    version = await kept.version(name)
    if not version:
        return
    try:
        found = await kept.get(name)
    except StoreDamaged:  # that it is over is what somebody said
        found = None
    told = desk.told("override.end", node, place.cluster, before=found.record if found else {"damaged": name})
    with suppress(Conflict):  # somebody else has changed it, and says so
        await desk.store.commit(kept.deleting(name, version), audit=[told])


async def _judged(place: Place) -> Verdict:
    """What becomes of the record; waits for an agent that may still be busy with an order of before."""
    record = place.underway.record
    assert record is not None, "asked about one"
    if record.decided or record.epoch != place.desk.store.identity.epoch:
        return Verdict(Ending.UNDONE, record.owed)
    await _forget_orders(place)
    clock = asyncio.get_running_loop().time
    end = clock() + (0.0 if record.quiet else _longest_s(place, record))
    while True:  # ends: at the end at the latest
        judged, calm = [await _look(place, record, under_way=busy) for busy in (True, False)]
        if judged.ending is not Ending.LOOK_AGAIN or calm.ending is Ending.LOOK_AGAIN or clock() >= end:
            return calm if clock() >= end else judged
        await asyncio.sleep(_AGAIN_S)


async def _look(place: Place, record: MoveRecord, *, under_way: bool) -> Verdict:
    groups = {one.group for one in record.held}
    of_node = record.kind in (MoveKind.MAINTENANCE_ON, MoveKind.MAINTENANCE_OFF)
    groups |= set(place.groups_of(record.target)) if of_node else {record.target}
    members = {group: place.members(group) for group in sorted(groups)}
    found = await place.statuses({node: None for nodes in members.values() for node in nodes})
    seen = {
        group: {
            node: Member(holds(found[node], group), held_back(found[node], group), nodes[node].preempts)
            for node in nodes if node in found
        }
        for group, nodes in members.items()
    }  # fmt: skip
    out = {node for node in place.bundles if await in_maintenance(place, node)}
    return verdict(record, seen, in_maintenance=out, under_way=under_way)


def _longest_s(place: Place, record: MoveRecord) -> float:
    """How long an agent may be busy with giving one of these groups up."""
    known = [each for one in record.held for each in place.members(one.group).values()]
    return _BUSY_S + max((each.hold_back_at_most_ms / 1000 for each in known), default=0.0)


async def _forget_orders(place: Place) -> None:
    """What was ordered and not delivered yet would come too late: agents do one thing after the other."""
    kept = RolloutStore(place.desk.store, place.cluster)
    for one in (await kept.orders.sound())[0]:
        if one.record.order.verb is not Verb.STATUS:
            with suppress(Conflict):  # it has gone
                await kept.orders.delete(one.name, one.version)


async def _settled(place: Place, judged: Verdict) -> None:
    """Do as was judged, and tell it."""
    record = place.underway.record
    assert record is not None, "it was judged"
    if judged.ending is Ending.LOOK_AGAIN:
        return
    place.underway.take_over()
    if record.epoch != place.desk.store.identity.epoch:
        place.underway.forget()
        how = Sentence("the store was restored since, and nothing is done about it: look who holds what")
        await _told(place, record, _cut_off(record, how), done=False)
        return
    said, done = await (_gone_on if judged.ending is Ending.GO_ON else _put_right)(place, record, judged)
    place.underway.owe()
    _log.warning("%s: %s", place.cluster, said)
    await _told(place, record, said, done=done)


async def _gone_on(place: Place, record: MoveRecord, judged: Verdict) -> tuple[str, bool]:
    """What is left of it is done now; if that fails, it is undone."""
    node = record.target
    try:
        if record.kind is MoveKind.MAINTENANCE_ON:
            await hands.all_given_up(place, node)
            how = Sentence("it was finished, and %(node)s is in maintenance", node=node)
        elif record.kind is MoveKind.MAINTENANCE_OFF:
            await hands.all_taken_back(place, node)
            await end_override(place, node)
            how = Sentence("it was finished, and %(node)s is in service again", node=node)
        else:
            back = await asyncio.to_thread(place.switch(record.target).back)
            how = Sentence("it was finished, and %(node)s holds %(group)s", node=back.after, group=back.group)
    except HoldfastError as error:
        _log.warning("%s: what was cut off cannot be finished, and is undone: %s", place.cluster, error.message)
        left = place.underway.record
        return await _put_right(place, record, Verdict(Ending.UNDONE, left.held if left else ()))
    place.underway.accept()
    return _cut_off(record, how), True


async def _put_right(place: Place, record: MoveRecord, judged: Verdict) -> tuple[str, bool]:
    """Nothing is done any more but this: who should not be held back may hold again."""
    done = judged.ending is Ending.DONE
    for one in record.held:
        if one not in judged.release:
            place.underway.accept(one.node, one.group)
    for one in judged.release:
        if await _is_out(place, record, one):
            place.underway.accept(one.node, one.group)
        else:
            await _let_hold(place, one, judged.release)
    if not done and record.kind is MoveKind.MAINTENANCE_ON and record.began and not record.decided:
        await end_override(place, record.target)
    if record.kind in (MoveKind.MAINTENANCE_ON, MoveKind.MAINTENANCE_OFF):
        how: str = Sentence("it was undone, and %(node)s may hold what it held before", node=record.target)
        return _cut_off(record, how), done
    holder = judged.holder if done else await _holder(place, record.target)
    values = {"node": holder or "", "group": record.target}
    if done and holder:
        how = Sentence("it was finished, and %(node)s holds %(group)s", **values)
    elif holder:
        how = Sentence("it was undone, and %(node)s holds %(group)s", **values)
    else:
        how = Sentence("it was undone, but nobody is seen to hold %(group)s", **values)
    return _cut_off(record, how), done


async def _is_out(place: Place, record: MoveRecord, one: HeldBack) -> bool:
    """Whether somebody wants the node to hold nothing, and it is not this that is undone."""
    ours = record.kind is MoveKind.MAINTENANCE_ON and record.target == one.node
    return not ours and await in_maintenance(place, one.node)


async def _let_hold(place: Place, one: HeldBack, all_of_them: tuple[HeldBack, ...]) -> None:
    """Without a lost answer where somebody else holds the group, and nobody is let go who has to stay away."""
    members = place.members(one.group)
    found = await place.statuses(members)
    away = {node for node, status in found.items() if held_back(status, one.group)}
    ours = {each.node for each in all_of_them if each.group == one.group}
    holder = next((node for node, status in found.items() if holds(status, one.group)), None)
    if one.node in away and away <= ours and holder not in (None, one.node):
        with suppress(HoldfastError):  # then it is let go at once
            await asyncio.to_thread(place.switch(one.group).back)
    record = place.underway.record
    if record is not None and any(each.same(one) for each in (*record.held, *record.owed)):
        await hands.released(place, [one])


async def _holder(place: Place, group: str) -> str | None:
    """Who holds a group, as soon as exactly one does."""
    clock = asyncio.get_running_loop().time
    end = clock() + _HELD_WITHIN_S
    while True:  # ends: at the end
        found = await place.statuses(place.members(group))
        holding = [node for node, status in found.items() if holds(status, group)]
        if len(holding) == 1:
            return holding[0]
        if clock() >= end:
            return None
        await asyncio.sleep(_AGAIN_S)


def _cut_off(record: MoveRecord, how: str) -> str:
    return Sentence(
        "what %(who)s began with %(target)s was cut off in the middle: %(how)s",
        who=record.who.removeprefix("user:"), target=record.target, how=how,
    )  # fmt: skip


async def _told(place: Place, record: MoveRecord, said: str, *, done: bool) -> None:
    """Once: that something is still owed is told with the cluster's state."""
    if record.decided:
        await place.underway.end()
        return
    desk, kind = place.desk, "group.move" if record.kind is MoveKind.BACK else record.kind.value
    after = {"cut_off": True, "began_by": record.who, "finished": done}
    told = desk.told(kind, record.target, place.cluster, after=after, outcome="done" if done else "failed")
    of_node = record.kind in (MoveKind.MAINTENANCE_ON, MoveKind.MAINTENANCE_OFF)
    name = ("vip.moved" if kind == "group.move" else kind) if done else "move.undone"
    event = desk.event(name, place.cluster, said, record.target if of_node else None)
    await place.underway.end(audit=[told], events=[event])
