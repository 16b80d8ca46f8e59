"""What takes the place of a record that is not understood, so that a cluster goes on without a restored dump."""

from __future__ import annotations

import json
from dataclasses import dataclass

from holdfast.errors import StoreDamaged
from holdfast.rollout.bundles import KEPT_REVISIONS, Bundles
from holdfast.rollout.records import Assignment, RolloutHead, RolloutStore, rollout_name
from holdfast.store.collection import Collection, Damaged, Step
from holdfast.store.log import Unread
from holdfast.store.models import AuditRecord, ClusterRecord, Record
from holdfast.store.revisions import Draft, heading_of

from .desk import Desk
from .reports import latest, latest_of

_FAR = 1_000_000  # numbers of assignments need only rise: past whatever number a damaged one may have had
HEAD = "rollout-head"
CLUSTER = "cluster"
REVISION = "revision"
_MADE = ("revision.apply", "revision.rollback")
_PAGE, _MOST_PAGES = 500, 20  # of the audit

# What is lost with a record that is only removed.
_LOST = {
    "override": "what was overridden ends, unless it is set again",
    "move": "a move that was cut off is neither finished nor undone: see who holds what (holdfast status), and let "
    "nodes hold again what they gave up (holdfast move GROUP --back, holdfast maintenance NODE off)",
    "report": "what the node said last: it says it again with its next report",
    "registration": "the instance: it registers again if it lives",
    "node": "its certificate counts no more, and it has to join anew (holdfast nodes invite); what runs there goes on",
}


@dataclass(frozen=True)
class Mend:
    """What is written in place of a damaged record, and what becomes of what it was about; no steps: not yet."""

    steps: tuple[Step, ...]
    then: str


async def mend_of(desk: Desk, cluster: str, kind: str, records: Collection[Record], one: Damaged) -> Mend:
    """The way on from one damaged record; nothing is written yet."""
    if kind == HEAD:
        return await _head(desk, cluster, one)
    if kind == REVISION:
        return await _revision(desk, cluster, one)
    if kind in ("assignment", "rollout") and await _head_is_damaged(desk, cluster):
        return Mend((), f"clear the {HEAD} first: what takes its place needs a number of it")
    if kind == "assignment":
        return await _assignment(desk, cluster, one)
    if kind == CLUSTER:
        anew = ClusterRecord(name=cluster, created=desk.now())
        then = "it is written anew, without its description, as if it were made known today; all else stays"
        return Mend((desk.store.clusters.replacing(one.name, anew, one.version),), then)
    gone = records.deleting(one.name, one.version)
    if kind == "rollout":
        return await _rollout(RolloutStore(desk.store, cluster), one, gone)
    return Mend((gone,), _LOST[kind])


async def _revision(desk: Desk, cluster: str, one: Damaged) -> Mend:
    """What lists show of it, made anew from what it holds and from what the audit says of its making."""
    revisions = desk.store.cluster(cluster).revisions
    number = int(one.name) if one.name.isdecimal() else 0
    try:
        content = await revisions.content(number)
    except StoreDamaged:
        content = None
    if content is None:
        return Mend((), "what it holds is not understood either: restore a dump")
    made = await _made(desk, cluster, number)
    said = _object(made.after) if made else {}
    base, message, back_to = said.get("base"), said.get("message"), said.get("rollback_of")
    draft = Draft(
        base=base if isinstance(base, int) and 0 <= base < number else number - 1,
        author=made.actor.removeprefix("user:") if made else "unknown",
        message=message[:10_000] if isinstance(message, str) else "",
        time=made.time if made else desk.now(),
        content=content,
        rollback_of=back_to if isinstance(back_to, int) and back_to > 0 else None,
    )
    then = "it is written anew from what it holds and from the audit"
    if made is None:
        then = "it is written anew from what it holds; who made it, when and what for is not known any more"
    return Mend((revisions.headings.replacing(one.name, heading_of(draft, number), one.version),), then)


async def _made(desk: Desk, cluster: str, number: int) -> AuditRecord | None:
    """What the audit says of a revision's making, as far back as is looked."""
    before: int | None = None
    for _ in range(_MOST_PAGES):
        page = await desk.store.audit.newest_told(before, _PAGE)
        for one in page:
            before = one.number
            if isinstance(one, Unread) or one.record.action not in _MADE or one.record.outcome != "done":
                continue
            if (one.record.cluster, one.record.target) == (cluster, f"revision {number}"):
                return one.record
        if len(page) < _PAGE:
            break
    return None


def _object(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


async def _rollout(kept: RolloutStore, one: Damaged, gone: Step) -> Mend:
    """One that has not ended is let go: else the cluster would wait for it for ever."""
    head, version = await kept.head()
    if head.running is None or rollout_name(head.running) != one.name:
        return Mend((gone,), "what is known of that rollout; it has ended")
    let_go = kept.heads.replacing(kept.HEAD, head.model_copy(update={"running": None}), version)
    return Mend((gone, let_go), "it ends where it is: some nodes may be done and others not; apply again")


async def _head_is_damaged(desk: Desk, cluster: str) -> bool:
    try:
        await RolloutStore(desk.store, cluster).head()
    except StoreDamaged:
        return True
    return False


async def _head(desk: Desk, cluster: str, one: Damaged) -> Mend:
    """Counted anew from what it counts: rollouts, and what nodes were told, and say that they heard."""
    kept = RolloutStore(desk.store, cluster)
    rollouts, unread = await kept.rollouts.sound()
    assignments, lost = await kept.assignments.sound()
    numbers = [each.record.number for each in assignments]
    identity = desk.store.identity
    for heard in (await latest(desk.store.cluster(cluster))).values():
        fence = heard.report.fence
        if fence is not None and (fence.store_id, fence.epoch) == (identity.store_id, identity.epoch):
            numbers.append(fence.number)
    last = await kept.last_rollout()
    going_on = [each.record.id for each in rollouts if not each.record.phase.ended]
    if rollout_name(last) in {each.name for each in unread}:
        going_on.append(last)  # perhaps; it is let go when it is cleared
    number = max(numbers, default=0) + (_FAR if lost else 0)
    head = RolloutHead(last_rollout=last, last_number=number, running=max(going_on, default=None))
    then = f"it is counted anew: the last rollout is {last}"
    if head.running:
        then = f"it is counted anew, and rollout {head.running} goes on if it has not ended"
    return Mend((kept.heads.replacing(one.name, head, one.version),), then)


async def _assignment(desk: Desk, cluster: str, one: Damaged) -> Mend:
    """What the node says it runs. Without that it would go back to nothing at all, should its next rollout fail."""
    kept = RolloutStore(desk.store, cluster)
    try:
        ran = await _ran(desk, cluster, one.name)
    except StoreDamaged:  # what would tell of it is not understood either
        ran = None
    if ran is None:
        then = (
            f"nobody knows what {one.name} runs: the next rollout tells it anew, and could only take it back to nothing"
        )
        return Mend((kept.assignments.deleting(one.name, one.version),), then)
    revision, digest = ran
    head, version = await kept.head()
    number = head.last_number + 1
    told = Assignment(node=one.name, number=number, revision=revision, digest=digest, time=desk.now())
    counted = kept.heads.replacing(kept.HEAD, head.model_copy(update={"last_number": number}), version)
    then = f"{one.name} is to run revision {revision}, which it runs now, until the next rollout"
    return Mend((kept.assignments.replacing(one.name, told, one.version), counted), then)


async def _ran(desk: Desk, cluster: str, node: str) -> tuple[int, str] | None:
    """The newest revision that gives a node what it says it runs, and the digest of that; None: not known."""
    heard = (await latest_of(desk.store.cluster(cluster), [node])).get(node)
    status = heard.report.status if heard else None
    if status is None or status.digest is None:
        return None
    bundles = Bundles(desk.store, cluster)
    newest = await desk.store.cluster(cluster).revisions.newest_number()
    for number in range(newest, max(newest - KEPT_REVISIONS, 0), -1):
        if (await bundles.of_revision(number) or {}).get(node) == status.digest:
            return number, status.digest
    return None
