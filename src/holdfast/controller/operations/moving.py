"""VRRP groups moved on purpose, and nodes taken out for maintenance: by orders, never from the last who could hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from holdfast.errors import Conflict, HoldfastError, NotFound, PlanRefused, UsageError
from holdfast.protocol.api.nodes import MaintenanceRequest, MaintenanceResult, MovedGroup, MoveRequest
from holdfast.rollout.moves import MoveKind, MoveRecord
from holdfast.rollout.switchover import refuse_imported
from holdfast.sentences import Sentence
from holdfast.store.models import Override, OverrideKind
from holdfast.store.store import override_name

from . import hands
from .cut_off import before_another, end_override
from .desk import Desk
from .places import Place, known_node, place_of
from .underway import alone


async def move(desk: Desk, cluster: str, group: str, request: MoveRequest) -> MovedGroup:
    """Let another node hold a group (named, or one of its addresses), without a lost answer, and see it hold it.

    PlanRefused where no other node could, where the group keeps the shape of its import, or while something is being
    moved; RolloutFailed if nobody took over.
    """
    async with alone(desk, cluster) as underway:
        place = await place_of(desk, cluster, underway)
        name = _named(place, group)
        await before_another(place, name)
        kind = MoveKind.BACK if request.back else MoveKind.MOVE
        await underway.begin(_record(desk, kind, name).model_copy(update={"wanted": request.node}))
        try:
            done = await hands.moved(place, name, request)
        except HoldfastError as error:
            underway.owe(MoveKind.BACK)
            await _audit(place, "group.move", name, after={"asked": request}, error=error)
            raise
        underway.accept()
        went = Sentence("%(group)s went from %(old)s to %(new)s", group=name, old=str(done.before), new=done.after)
        before, after = {"holder": done.before}, {"asked": request, "holder": done.after}
        await _audit(place, "group.move", name, before=before, after=after, said=went)
    return MovedGroup(group=name, before=done.before, after=done.after, report=done.report)


def _record(desk: Desk, kind: MoveKind, target: str) -> MoveRecord:
    return MoveRecord(epoch=desk.store.identity.epoch, kind=kind, target=target, who=desk.actor, since=desk.now())


def _named(place: Place, text: str) -> str:
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


async def begin_maintenance(desk: Desk, cluster: str, node: str, request: MaintenanceRequest) -> MaintenanceResult:
    """A node gives up every group, without a lost answer, and holds none until maintenance ends.

    PlanRefused, and everything is as before, where it is the last that could hold one of them, or one keeps the shape
    of its import. Asked again, it finishes what was cut off.
    """
    if request.until is not None and request.until <= desk.now():
        raise UsageError(
            Sentence("%(until)s is over already", until=request.until.isoformat()), "name a moment to come"
        )
    async with alone(desk, cluster) as underway:
        place = await place_of(desk, cluster, underway)
        await known_node(place, node)
        await before_another(place, node)
        try:
            refuse_imported(place.bundles, place.imported_on(node))
            await hands.refuse_last(place, node)
        except PlanRefused as error:
            await _audit(place, "maintenance.on", node, after={"asked": request}, error=error)
            raise
        began = await _note(place, node, request)
        try:
            done = await hands.all_given_up(place, node)
        except HoldfastError as error:
            await _undone(place, node, began)
            await _audit(place, "maintenance.on", node, after={"asked": request}, error=error)
            raise
        underway.accept()
        moved = tuple(one for one in done if one.before == node)
        said = Sentence("%(node)s is in maintenance: it held nothing", node=node)
        if moved:
            now = ", ".join(f"{one.group} → {one.after}" for one in moved)
            said = Sentence("%(node)s is in maintenance; what it held has moved: %(moved)s", node=node, moved=now)
        before, after = _holders(done)
        after["asked"] = request
        await _audit(place, "maintenance.on", node, before=before, after=after, said=said, event_of=node)
    return MaintenanceResult(node=node, on=True, moved=moved)


async def end_maintenance(desk: Desk, cluster: str, node: str) -> MaintenanceResult:
    """The node may hold its groups again; what it takes back, it takes without a lost answer."""
    async with alone(desk, cluster) as underway:
        place = await place_of(desk, cluster, underway)
        await known_node(place, node)
        await before_another(place, node)
        await underway.begin(_record(desk, MoveKind.MAINTENANCE_OFF, node))
        try:
            done = await hands.all_taken_back(place, node)
        except HoldfastError as error:
            underway.owe()
            await _audit(place, "maintenance.off", node, error=error)
            raise
        underway.accept()
        await end_override(place, node)
        before, after = _holders(done)
        said = Sentence("%(node)s is in service again", node=node)
        await _audit(place, "maintenance.off", node, before=before, after=after, said=said, event_of=node)
    return MaintenanceResult(node=node, on=False, moved=tuple(done))


async def _note(place: Place, node: str, request: MaintenanceRequest) -> bool:
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
    noted = kept.creating(override_name(OverrideKind.MAINTENANCE, node), record)
    move = _record(desk, MoveKind.MAINTENANCE_ON, node)
    try:
        await place.underway.begin(move.model_copy(update={"began": True}), noted, audit=[told])
    except Conflict:
        before = place.underway.record  # one that was cut off may be the one that took it out
        again = before is not None and before.began and (before.kind, before.target) == (move.kind, node)
        await place.underway.begin(move.model_copy(update={"began": again}))
        return again
    return True


async def _undone(place: Place, node: str, began: bool) -> None:
    """What was asked of the node by this call, and was not so before, is taken back; it is in maintenance if it was."""
    await hands.released(place)
    place.underway.owe()  # where the agent is what is broken, it is told when it answers
    if began:
        await end_override(place, node)


def _holders(moved: Sequence[MovedGroup]) -> tuple[dict[str, object], dict[str, object]]:
    """Who held these groups before, and who does now."""
    return ({"holders": {one.group: one.before for one in moved}}, {"holders": {one.group: one.after for one in moved}})


async def _audit(
    place: Place,
    action: str,
    target: str,
    *,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    error: HoldfastError | None = None,
    said: str = "",
    event_of: str | None = None,
) -> None:
    """How it ended, in one commit with the end of its record."""
    desk = place.desk
    if error is not None:
        after = {**(after or {}), "error": error.message}
    told = desk.told(action, target, place.cluster, before=before, after=after, outcome=_outcome(error))
    kind = {"group.move": "vip.moved"}.get(action, action)
    events = [desk.event(kind, place.cluster, said, event_of)] if error is None else []
    await place.underway.end(audit=[told], events=events)


def _outcome(error: HoldfastError | None) -> Literal["done", "refused", "failed"]:
    if error is None:
        return "done"
    return "refused" if isinstance(error, PlanRefused) else "failed"
