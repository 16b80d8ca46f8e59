"""VRRP groups moved on purpose, and nodes taken out for maintenance: by orders, never from the last who could hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from holdfast.bundle import Bundle, VrrpExpectation
from holdfast.errors import (
    Conflict,
    HoldfastError,
    NotFound,
    PlanRefused,
    RolloutFailed,
    StoreDamaged,
    StoreError,
    UsageError,
)
from holdfast.protocol import NodeStatus, Verb
from holdfast.protocol.api.nodes import MaintenanceRequest, MaintenanceResult, MovedGroup, MoveRequest
from holdfast.rollout.orders import Orders, StoreTransport
from holdfast.rollout.records import RolloutStore
from holdfast.rollout.switchover import Switch, Switchover, refuse_imported
from holdfast.sentences import Sentence
from holdfast.store.holding import Held
from holdfast.store.models import Override, OverrideKind
from holdfast.store.store import override_name

from .compiling import assigned
from .desk import Desk, known_cluster

_LONGEST_S = 300  # of one move: a controller that dies in the middle keeps others out no longer
_WITHIN_S = 15.0


@dataclass(frozen=True)
class _Place:
    """The cluster that something is moved in: what its nodes run, and the way to their agents."""

    desk: Desk
    cluster: str
    bundles: Mapping[str, Bundle]
    orders: Orders

    def switch(self, group: str) -> Switch:
        """To be used in a thread of its own."""
        return Switch(StoreTransport(self.orders, asyncio.get_running_loop()), self.bundles, group)

    def members(self, group: str) -> dict[str, VrrpExpectation]:
        """The nodes that may hold a group."""
        return {
            node: each for node, bundle in self.bundles.items() for each in bundle.expected.vrrp if each.group == group
        }

    def groups_of(self, node: str) -> tuple[str, ...]:
        """The groups that a node may hold."""
        bundle = self.bundles.get(node)
        return tuple(each.group for each in bundle.expected.vrrp) if bundle else ()

    def imported_on(self, node: str) -> tuple[str, ...]:
        """The groups that a node may hold and that keep the shape of their import."""
        bundle = self.bundles.get(node)
        return tuple(each.group for each in bundle.expected.imported) if bundle else ()

    async def statuses(self, nodes: Mapping[str, object]) -> dict[str, NodeStatus]:
        """Those nodes that answer, as they are now."""

        async def ask(node: str) -> NodeStatus | None:
            try:
                return await self.orders.status(node, within_s=5.0)
            except HoldfastError:
                return None

        found = await asyncio.gather(*(ask(node) for node in nodes))
        return {node: status for node, status in zip(nodes, found, strict=True) if status is not None}

    async def order(self, node: str, verb: Verb, group: str) -> None:
        """Let a node hold a group, or not; RolloutFailed."""
        await self.orders.moved(node, verb, group, within_s=_WITHIN_S, work_s=_WITHIN_S)


async def _place(desk: Desk, cluster: str) -> _Place:
    await known_cluster(desk.store, cluster)
    return _Place(desk, cluster, await assigned(desk, cluster), Orders(RolloutStore(desk.store, cluster), desk.actor))


async def move(desk: Desk, cluster: str, group: str, request: MoveRequest) -> MovedGroup:
    """Let another node hold a group (named, or one of its addresses), without a lost answer, and see it hold it.

    PlanRefused where no other node could, where the group keeps the shape of its import, or while something is being
    moved; RolloutFailed if nobody took over.
    """
    place = await _place(desk, cluster)
    name = _named(place, group)
    async with _alone(desk, cluster):
        try:
            done = await _moved(place, name, request)
        except HoldfastError as error:
            await _audit(place, "group.move", name, after={"asked": request}, error=error)
            raise
        went = Sentence("%(group)s went from %(old)s to %(new)s", group=name, old=str(done.before), new=done.after)
        before, after = {"holder": done.before}, {"asked": request, "holder": done.after}
        await _audit(place, "group.move", name, before=before, after=after, said=went)
    return MovedGroup(group=name, before=done.before, after=done.after, report=done.report)


def _named(place: _Place, text: str) -> str:
    """The group that is meant by its name, or by an address that it floats."""
    known = {each.group: each for bundle in place.bundles.values() for each in bundle.expected.vrrp}
    if text in known:
        return text
    for group, each in known.items():
        if text in {address.address.partition("/")[0] for address in each.addresses}:
            return group
    refuse_imported(place.bundles, [text])
    listed = ", ".join(sorted(known)[:20]) or "the cluster has none"
    raise NotFound(
        Sentence("there is no VRRP group '%(text)s', nor such an address of one", text=text[:80]),
        Sentence("known: %(known)s", known=listed),
    )


async def _moved(place: _Place, group: str, request: MoveRequest) -> Switchover:
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
    if await _in_maintenance(place, target):
        raise PlanRefused(
            Sentence("%(target)s is in maintenance", target=target),
            Sentence("end that first: holdfast maintenance %(target)s off", target=target),
        )
    statuses = await place.statuses(members)
    if target not in statuses:
        raise PlanRefused(Sentence("the agent of %(target)s does not answer", target=target), "is the node up?")
    holding = [node for node, status in statuses.items() if _facts(status, group) and _holds(status, group)]
    if holding == [target]:
        return Switchover(group, target, target, None)
    return await _to(place, switch, group, target, statuses)


async def _to(place: _Place, switch: Switch, group: str, target: str, statuses: Mapping[str, NodeStatus]) -> Switchover:
    """Whoever would be preferred to the target steps back first; where the target was kept away, it may come again."""
    members = place.members(group)
    best = max(members, key=lambda node: members[node].priority)
    if _held_back(statuses[target], group):
        if target == best and members[target].preempts:
            return _arrived(await asyncio.to_thread(switch.back), target)
        await place.order(target, Verb.RELEASE, group)
    holders = [node for node, status in statuses.items() if _holds(status, group)]
    rivals = [
        node
        for node in statuses
        if node not in (target, *holders) and members[node].priority > members[target].priority
    ]
    for node in rivals:
        await place.order(node, Verb.HOLD, group)
    try:
        return _arrived(await asyncio.to_thread(switch.away), target)
    except HoldfastError:
        for node in rivals:
            with suppress(HoldfastError):  # why it was not moved is what matters
                await place.order(node, Verb.RELEASE, group)
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


def _facts(status: NodeStatus, group: str) -> bool:
    return any(each.group == group for each in status.groups)


def _holds(status: NodeStatus, group: str) -> bool:
    return any(each.group == group and each.holds for each in status.groups)


def _held_back(status: NodeStatus, group: str) -> bool:
    return any(each.group == group and each.hold != 0 for each in status.groups)


async def begin_maintenance(desk: Desk, cluster: str, node: str, request: MaintenanceRequest) -> MaintenanceResult:
    """A node gives up every group, without a lost answer, and holds none until maintenance ends.

    PlanRefused, and everything is as before, where it is the last that could hold one of them, or one keeps the shape
    of its import. Asked again, it finishes what was cut off.
    """
    if request.until is not None and request.until <= desk.now():
        raise UsageError(
            Sentence("%(until)s is over already", until=request.until.isoformat()), "name a moment to come"
        )
    place = await _place(desk, cluster)
    await _known_node(place, node)
    async with _alone(desk, cluster) as alone:
        try:
            refuse_imported(place.bundles, place.imported_on(node))
            await _refuse_last(place, node)
        except PlanRefused as error:
            await _audit(place, "maintenance.on", node, after={"asked": request}, error=error)
            raise
        began = await _note(place, node, request)
        done: list[MovedGroup] = []
        try:
            for group in place.groups_of(node):
                await desk.store.holdings.keep(alone)  # of many groups, all together may take longer than one may
                done.append(await _given_up(place, node, group))
        except HoldfastError as error:
            # What is refused was not begun; what failed may be half done.
            touched = [one.group for one in done] + ([] if isinstance(error, PlanRefused) else [group])
            await _undone(place, node, began, touched)
            await _audit(place, "maintenance.on", node, after={"asked": request}, error=error)
            raise
        moved = tuple(one for one in done if one.before == node)
        said = Sentence("%(node)s is in maintenance: it held nothing", node=node)
        if moved:
            now = ", ".join(f"{one.group} → {one.after}" for one in moved)
            said = Sentence("%(node)s is in maintenance; what it held has moved: %(moved)s", node=node, moved=now)
        before, after = _holders(done)
        after["asked"] = request
        await _audit(place, "maintenance.on", node, before=before, after=after, said=said, event_of=node)
    return MaintenanceResult(node=node, on=True, moved=moved)


async def _refuse_last(place: _Place, node: str) -> None:
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
        if not any(_could_hold(status, group) for status in others):
            raise PlanRefused(
                Sentence("no other node could hold '%(group)s' now, so %(node)s is needed", group=group, node=node),
                Sentence(
                    "bring its peer up, see why keepalived there is in FAULT, end its maintenance, or, "
                    "where the group was moved away from it, give it back (holdfast move %(group)s --back), first",
                    group=group,
                ),
            )


def _could_hold(status: NodeStatus, group: str) -> bool:
    """Whether it holds the group, or would."""
    return _holds(status, group) or status.could_hold(group)


async def _given_up(place: _Place, node: str, group: str) -> MovedGroup:
    """One group: moved away if the node holds it, and kept away from it in any case."""
    statuses = await place.statuses(place.members(group))
    if node in statuses and _holds(statuses[node], group):
        done = await asyncio.to_thread(place.switch(group).away)
        await place.order(node, Verb.HOLD, group)  # where nobody preempts, a move lets it go again
        return MovedGroup(group=group, before=done.before, after=done.after, report=done.report)
    holder = next((other for other, status in statuses.items() if other != node and _holds(status, group)), None)
    if holder is None:
        raise PlanRefused(
            Sentence("nobody else holds '%(group)s' now", group=group), "see what is wrong with its other members first"
        )
    await place.order(node, Verb.HOLD, group)
    return MovedGroup(group=group, before=holder, after=holder)


async def end_maintenance(desk: Desk, cluster: str, node: str) -> MaintenanceResult:
    """The node may hold its groups again; what it takes back, it takes without a lost answer."""
    place = await _place(desk, cluster)
    await _known_node(place, node)
    done: list[MovedGroup] = []
    async with _alone(desk, cluster) as alone:
        try:
            for group in place.groups_of(node):
                await desk.store.holdings.keep(alone)
                done += [moved] if (moved := await _taken_back(place, node, group)) else []
        except HoldfastError as error:
            await _audit(place, "maintenance.off", node, error=error)
            raise
        await _undone(place, node, created=True)
        before, after = _holders(done)
        said = Sentence("%(node)s is in service again", node=node)
        await _audit(place, "maintenance.off", node, before=before, after=after, said=said, event_of=node)
    return MaintenanceResult(node=node, on=False, moved=tuple(done))


async def _taken_back(place: _Place, node: str, group: str) -> MovedGroup | None:
    """One group that the node may hold again: what became of it, if it changed hands."""
    others = [other for other in place.members(group) if other != node]
    if any([await _in_maintenance(place, other) for other in others]):
        await place.order(node, Verb.RELEASE, group)  # a hand-over would call the others back, too
        return None
    back = await asyncio.to_thread(place.switch(group).back)
    if back.before == back.after:
        return None
    return MovedGroup(group=group, before=back.before, after=back.after, report=back.report)


async def _known_node(place: _Place, node: str) -> None:
    if node not in place.bundles and await place.desk.store.cluster(place.cluster).nodes.get(node) is None:
        known = ", ".join(sorted(place.bundles)[:20])
        raise NotFound(
            Sentence("there is no node '%(node)s'", node=node[:80]),
            Sentence("known: %(known)s", known=known) if known else "apply a spec first",
        )


async def _in_maintenance(place: _Place, node: str) -> bool:
    kept = place.desk.store.cluster(place.cluster).overrides
    return await kept.version(override_name(OverrideKind.MAINTENANCE, node)) != 0


async def _note(place: _Place, node: str, request: MaintenanceRequest) -> bool:
    """Write that the node is in maintenance, before anything is done; False if it was so already."""
    desk = place.desk
    kept = desk.store.cluster(place.cluster).overrides
    record = Override(
        kind=OverrideKind.MAINTENANCE,
        target=node,
        who=desk.actor.removeprefix("user:"),
        why=request.why,
        since=desk.now(),
        until=request.until,
    )
    told = desk.told("override.set", node, place.cluster, after=record)
    try:
        await desk.store.commit(kept.creating(override_name(OverrideKind.MAINTENANCE, node), record), audit=[told])
    except Conflict:
        return False
    return True


async def _undone(place: _Place, node: str, created: bool, groups: Sequence[str] = ()) -> None:
    """The node is not in maintenance any more, and may hold `groups` again; what was before this call stays."""
    if not created:
        return
    for group in groups:
        with suppress(HoldfastError):  # the agent may be what is broken
            await place.order(node, Verb.RELEASE, group)
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


def _holders(moved: Sequence[MovedGroup]) -> tuple[dict[str, object], dict[str, object]]:
    """Who held these groups before, and who does now."""
    return ({"holders": {one.group: one.before for one in moved}}, {"holders": {one.group: one.after for one in moved}})


async def _audit(
    place: _Place,
    action: str,
    target: str,
    *,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    error: HoldfastError | None = None,
    said: str = "",
    event_of: str | None = None,
) -> None:
    desk = place.desk
    if error is not None:
        after = {**(after or {}), "error": error.message}
    told = desk.told(action, target, place.cluster, before=before, after=after, outcome=_outcome(error))
    kind = {"group.move": "vip.moved"}.get(action, action)
    events = [desk.event(kind, place.cluster, said, event_of)] if error is None else []
    await desk.store.commit(audit=[told], events=events)


def _outcome(error: HoldfastError | None) -> Literal["done", "refused", "failed"]:
    if error is None:
        return "done"
    return "refused" if isinstance(error, PlanRefused) else "failed"


@asynccontextmanager
async def _alone(desk: Desk, cluster: str) -> AsyncIterator[Held]:
    """One move at a time in a cluster: two at once could each rely on the node that the other takes out."""
    holdings = desk.store.holdings
    held = await holdings.acquire(f"moving-{cluster}"[:63], desk.actor, _LONGEST_S)
    if held is None:
        found = await holdings.holder(f"moving-{cluster}"[:63])
        who = Sentence(" by %(who)s", who=found.record.holder) if found else ""
        raise PlanRefused(
            Sentence("something is being moved in %(cluster)s at this moment%(who)s", cluster=cluster, who=who),
            "try again in a moment",
        )
    try:
        yield held
    finally:
        with suppress(StoreError):  # it ends by itself
            await holdings.release(held)
