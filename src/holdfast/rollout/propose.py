"""A rollout begins as a record; whoever leads carries it out. And what people may say to one that goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from holdfast.errors import Conflict, NotFound, PlanRefused, StateForbids, StoreDamaged, UsageError
from holdfast.protocol import Bundle
from holdfast.sentences import Sentence, cut
from holdfast.store.collection import Step, Versioned
from holdfast.store.models import AuditRecord, Event
from holdfast.store.port import Check
from holdfast.store.store import Store

from .bundles import Bundles
from .decide import NodePhase
from .judge import nothing
from .records import (
    MOST_NODES,
    Assignment,
    NodeState,
    RolloutOptions,
    RolloutPhase,
    RolloutRecord,
    RolloutStore,
    Wish,
    rollout_name,
)

_LONGEST_REASON = 1000


@dataclass(frozen=True)
class Proposed:
    """A rollout that is not written yet: `steps` and `event` go with the revision in one commit, or alone."""

    record: RolloutRecord
    steps: tuple[Step, ...]
    event: Event


async def prepare_rollout(
    store: Store,
    cluster: str,
    *,
    revision: int,
    bundles: Mapping[str, Bundle],
    author: str,
    message: str = "",
    options: RolloutOptions | None = None,
) -> Proposed:
    """The rollout that brings all nodes of a cluster to a revision's `bundles`, by node; they are kept at once.

    Nodes that have none of them any more lose what Holdfast put there. PlanRefused while another rollout of the cluster
    has not ended; UsageError where one that is not to be waited for is none of them.
    """
    kept = RolloutStore(store, cluster)
    head, version = await kept.head()
    await _refuse_while_running(kept)
    states = await _states(kept, Bundles(store, cluster), revision, bundles, (options or RolloutOptions()).without)
    bases = [state.old_revision for state in states.values()]
    number = head.last_rollout + 1
    record = RolloutRecord(
        id=number,
        cluster=cluster,
        revision=revision,
        base=max(set(bases), key=bases.count, default=0),
        author=author,
        message=message,
        created=store.clock.now(),
        options=options or RolloutOptions(),
        nodes=states,
    )
    steps = (
        kept.rollouts.creating(rollout_name(number), record),
        kept.heads.replacing(kept.HEAD, head.model_copy(update={"last_rollout": number, "running": number}), version),
    )
    names = {"id": number, "revision": revision, "n": len(states)}
    if len(states) == 1:
        said = Sentence("rollout %(id)s: revision %(revision)s to 1 node", id=number, revision=revision)
    else:
        said = Sentence("rollout %(id)s: revision %(revision)s to %(n)s nodes", **names)
    return Proposed(record, steps, Event(time=record.created, kind="rollout.proposed", cluster=cluster, message=said))


async def propose_rollout(
    store: Store,
    cluster: str,
    *,
    revision: int,
    bundles: Mapping[str, Bundle],
    author: str,
    message: str = "",
    options: RolloutOptions | None = None,
) -> RolloutRecord:
    """As prepare_rollout, and written: for a revision that is in the store already."""
    proposed = await prepare_rollout(
        store, cluster, revision=revision, bundles=bundles, author=author, message=message, options=options
    )
    try:
        await store.commit(*proposed.steps, events=[proposed.event])
    except Conflict:
        await _refuse_while_running(RolloutStore(store, cluster))
        raise
    return proposed.record


async def none_goes_on(store: Store, cluster: str) -> tuple[Step, ...]:
    """What a commit relies on that needs no rollout of its own, because nodes are as they should be: none goes on.

    PlanRefused if one does: nodes that it has not told yet would be told something else afterwards.
    """
    kept = RolloutStore(store, cluster)
    _, version = await kept.head()
    await _refuse_while_running(kept)
    return (Step(Check(kept.heads.key(kept.HEAD), version)),)


async def _refuse_while_running(kept: RolloutStore) -> None:
    running = await kept.running()
    if running is not None and not running.record.phase.ended:
        one = running.record
        raise PlanRefused(
            Sentence(
                "rollout %(id)s of revision %(revision)s by %(who)s has not ended: it is %(phase)s",
                id=one.id,
                revision=one.revision,
                who=one.author,
                phase=Sentence(one.phase.value),
            ),
            Sentence("go on with it (holdfast rollout continue), or stop it (holdfast rollout stop)")
            if one.phase is RolloutPhase.PAUSED
            else Sentence("wait for its end, or stop it"),
        )


async def _states(
    kept: RolloutStore, content: Bundles, revision: int, bundles: Mapping[str, Bundle], without: tuple[str, ...]
) -> dict[str, NodeState]:
    """The nodes that change, each with what it runs and what it gets; both are in the store afterwards."""
    assigned = {one.name: one.record for one in await kept.assignments.all()}
    enrolled = {one.name for one in await kept.cluster.nodes.all() if one.record.revoked is None}
    if len(bundles) > MOST_NODES:
        raise PlanRefused(
            Sentence("%(n)s nodes are too many for one rollout", n=len(bundles)),
            Sentence("%(most)s is the most", most=MOST_NODES),
        )
    if unknown := sorted(set(without) - bundles.keys() - assigned.keys()):
        known = ", ".join(sorted(bundles.keys() | assigned.keys())[:20])
        raise UsageError(
            Sentence("there is no node %(names)s that need not be waited for", names=", ".join(unknown[:5])),
            Sentence("known: %(known)s", known=known),
        )
    await content.put(revision, bundles)
    states: dict[str, NodeState] = {}
    for node in sorted(bundles.keys() | assigned.keys()):
        empty = nothing(kept.name, node)
        new = bundles.get(node, empty)
        if (present := assigned.get(node)) is not None and present.digest == new.digest:
            continue
        if present is None or new is empty:
            await content.keep(revision, empty)
        states[node] = _state(present, new, empty, away=node not in enrolled or node in without)
    return states


def _state(present: Assignment | None, new: Bundle, empty: Bundle, *, away: bool) -> NodeState:
    return NodeState(
        phase=NodePhase.AWAY if away else NodePhase.WAITING,
        old=present.digest if present else empty.digest,
        old_revision=present.revision if present else 0,
        new=new.digest,
    )


async def find_rollout(store: Store, cluster: str, number: int) -> Versioned[RolloutRecord]:
    """A rollout by its number; NotFound if there is none."""
    return await rollout_in(RolloutStore(store, cluster), number)


async def rollout_in(kept: RolloutStore, number: int) -> Versioned[RolloutRecord]:
    """The same, for whoever asks often."""
    found = await kept.rollout(number)
    if found is None:
        raise NotFound(
            Sentence("there is no rollout %(number)s of %(name)s", number=number, name=kept.name),
            "the last ones are kept; see: holdfast history",
        )
    return found


async def list_rollouts(store: Store, cluster: str, before: int | None = None, limit: int = 50) -> list[RolloutRecord]:
    """At most `limit` rollouts below the number `before`, newest first; without those that are not understood."""
    kept = RolloutStore(store, cluster)
    newest = await kept.last_rollout()
    last = min(before - 1, newest) if before else newest
    found: list[RolloutRecord] = []
    for number in range(last, max(last - limit, 0), -1):
        with suppress(StoreDamaged):  # told with the state of the cluster: the others can be looked at all the same
            one = await kept.rollout(number)
            if one is not None:
                found.append(one.record)
    return found


async def wish(
    store: Store,
    cluster: str,
    number: int,
    wanted: Wish,
    *,
    why: str = "",
    audit: Callable[[RolloutRecord], Sequence[AuditRecord]] = lambda before: (),
    events: Sequence[Event] = (),
) -> RolloutRecord:
    """Say how a rollout goes on: GO_ON ends its pause, STOP and PUT_BACK let it begin nothing new.

    `why` is the reason of one that is stopped, unless something had gone wrong before. `audit`, of the record as it
    was, and `events` tell of it, in the same commit. StateForbids if it has ended, or if it is to go on although
    somebody has stopped it; NotFound if there is none.
    """
    kept = RolloutStore(store, cluster)
    while True:
        found = await rollout_in(kept, number)
        record = found.record
        if record.phase.ended:
            ended = Sentence("rollout %(id)s has ended: %(phase)s", id=number, phase=Sentence(record.phase.value))
            raise StateForbids(ended, Sentence("begin a new one"))
        if wanted is Wish.GO_ON and record.wish is not Wish.GO_ON:
            stopping = Sentence("rollout %(id)s is being stopped", id=number)
            raise StateForbids(stopping, Sentence("wait for its end, then begin a new one"))
        stopped: dict[str, object] = {"wish": wanted, "reason": record.reason or cut(why, _LONGEST_REASON)}
        changed = {"confirmed": True} if wanted is Wish.GO_ON else stopped
        after = record.model_copy(update=changed)
        try:
            step = kept.rollouts.replacing(found.name, after, found.version)
            await store.commit(step, audit=audit(record), events=events)
        except Conflict:
            continue  # it came further meanwhile
        return after
