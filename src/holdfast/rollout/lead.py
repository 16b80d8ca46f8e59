"""Carries a rollout out over the store: the thin loop around `decide` that any leader can take up where another fell.

All that was decided is in the rollout's record, which is written together with what nodes are told, in one commit that
fails when the lead was lost. So at any moment there is exactly one thing that comes next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from holdfast.errors import (
    BundleNotWhole,
    Conflict,
    HoldfastError,
    LeaseLost,
    PlanRefused,
    StoreDamaged,
    StoreError,
    StoreUnsure,
)
from holdfast.plan import Plan, make_plan
from holdfast.protocol import Bundle
from holdfast.sentences import Sentence, cut
from holdfast.store.collection import Step, Versioned
from holdfast.store.holding import Held
from holdfast.store.store import Store

from . import carry
from .asking import Asking
from .bundles import Bundles
from .carry import Changed
from .decide import Apply, CheckHolders, Go, NodePhase, Pause, PutBack, Stop, Wait, decide
from .hearing import MOST_TOLD, Hearing, Patience
from .judge import groups_held, nothing
from .news import News
from .older import refuse_who_knows_no_lists
from .orders import Looked, Orders
from .propose import rollout_in
from .records import KEPT_ROLLOUTS, RolloutPhase, RolloutRecord, RolloutStore, Wish
from .together import disagreement, is_deaf, refuse_who_does_not_wait
from .waves import batches, refuse_forbidden

_GATHER_S = 0.1
_AGAIN_S = 0.05
_ASK_AGAIN_S = 0.5


async def run_rollout(
    store: Store, cluster: str, rollout: int, held: Held, patience: Patience | None = None
) -> RolloutRecord:
    """Carry a rollout out to its end, from wherever it is; returns its record.

    LeaseLost as soon as `held` is not ours any more, StoreUnavailable without a store: whoever leads then calls it
    again. NotFound if there is no such rollout. Where something that it needs is damaged in the store, it ends, and
    says what; StoreDamaged only if not even that can be written.
    """
    kept = RolloutStore(store, cluster)
    async with News(kept, rollout) as news:
        leading = _Leading(kept, held, news, patience or Patience())
        while True:
            news.read()
            found = await rollout_in(kept, rollout)
            if found.record.phase.ended:
                await leading.tidy_up(found.record)
                return found.record
            try:
                await leading.go_on(found)
            except Conflict as conflict:
                if conflict.key == held.guard.key:
                    raise LeaseLost(
                        Sentence(
                            "rollout %(rollout)s of %(cluster)s is led by somebody else by now",
                            rollout=rollout,
                            cluster=cluster,
                        ),
                        "it goes on there",
                    ) from None
                await asyncio.sleep(_AGAIN_S)  # somebody changed the record; what is there now counts
            except StoreUnsure:
                await asyncio.sleep(_AGAIN_S)  # what is there now tells whether it happened
            except StoreDamaged as error:  # it stays so: waiting would only keep the cluster's next rollout from it
                await leading.give_up(found, error)


class _Leading:
    """One process's part in a rollout: it keeps nothing that a successor would need."""

    def __init__(self, kept: RolloutStore, held: Held, news: News, patience: Patience) -> None:
        self._kept, self._held, self._news, self._patience = kept, held, news, patience
        self._store = kept.store
        self._orders = Orders(kept, f"controller {held.holding.holder}")
        self._bundles = Bundles(kept.store, kept.name)
        self._asking = Asking(self._orders, self._patience.ask_s)
        self._hearing = Hearing(kept, news, self._asking, self._patience)

    async def go_on(self, found: Versioned[RolloutRecord]) -> None:
        """Do the next thing, or wait until there is one. What is written makes the next call do the one after it."""
        record = found.record
        if record.phase is RolloutPhase.PROPOSED:
            await self._write(found, await self._begun(record))
            return
        match decide(carry.state_of(record)):
            case Apply(nodes=nodes, together=together):
                await self._write(found, await self._told(record, nodes[:MOST_TOLD], together))
            case PutBack(nodes=nodes, together=together):
                back = carry.told_to_go_back(record, nodes[:MOST_TOLD], self._now(), together=together)
                await self._write(found, back)
            case Go(nodes=nodes):
                await self._give_the_word(found, nodes)
            case CheckHolders(batch=batch):
                wrong = await disagreement(record, record.batches[batch], self._asking, self._patience.holders_s)
                await self._write(found, carry.checked(record, batch, wrong, self._now()))
            case Wait(nodes=nodes):
                await self._wait(found, nodes)
            case Pause():
                if not record.paused:
                    await self._write(found, carry.paused(record, self._now()))
                await self._news.wait()
            case Stop(succeeded=succeeded):
                if succeeded:
                    await self._bring_along(record)
                await self._write(found, carry.finished(record, succeeded, self._now()))

    async def give_up(self, found: Versioned[RolloutRecord], error: StoreDamaged) -> None:
        """End it where it is: nobody else is told anything. As of `_write`."""
        record = found.record
        why = record.model_copy(
            update={"reason": record.reason or cut(error.message, 1000), "hint": cut(error.hint, 1000)}
        )
        await self._write(found, carry.finished(why, False, self._now()))

    async def tidy_up(self, record: RolloutRecord) -> None:
        """Let go of what is old. That this fails is no reason to call a rollout failed; the next one does it."""
        with suppress(StoreError):
            await self._bundles.drop_old(record.revision)
            old = await self._kept.rollout(record.id - KEPT_ROLLOUTS) if record.id > KEPT_ROLLOUTS else None
            if old is not None:
                await self._kept.rollouts.delete(old.name, old.version)

    # ---- the beginning ------------------------------------------------------------------------------------------

    async def _begun(self, record: RolloutRecord) -> Changed:
        """Nothing is touched yet, so anything that stands in the way refuses the whole rollout."""
        away = [node for node, state in record.nodes.items() if state.phase is NodePhase.AWAY]
        try:
            if record.wish is not Wish.GO_ON:
                raise PlanRefused(Sentence("it was stopped before it began"))
            plan = await self._plan(record)
            refuse_forbidden(plan, frozenset(record.options.forbidden))
            looked = await self._asking.looks([node for node in record.nodes if node not in away])
            for node, one in looked.items():
                if isinstance(one, HoldfastError):
                    hint = Sentence("%(hint)s; or do not wait for it: --without %(node)s", hint=one.hint, node=node)
                    raise PlanRefused(Sentence("%(why)s; no node was touched", why=one.message), hint)
                if one.paused:
                    raise PlanRefused(
                        Sentence(
                            "%(node)s: its agent is paused, because somebody works there by hand; no node was touched",
                            node=node,
                        ),
                        Sentence(
                            "on %(node)s: holdfast agent resume; or do not wait for it: --without %(node)s", node=node
                        ),
                    )
            held = {node: len(groups_held(one.status)) for node, one in looked.items() if isinstance(one, Looked)}
            drawn = batches(
                plan,
                held,
                at_a_time=record.options.at_a_time,
                first_alone=record.options.pause_after_first,
                away=away,
            )
            refuse_who_does_not_wait(drawn, looked)
            refuse_who_knows_no_lists(plan, looked)
        except (PlanRefused, StoreDamaged) as error:
            return carry.refused(record, error.message, error.hint, self._now())
        return carry.begun(record, plan, drawn, self._now())

    async def _plan(self, record: RolloutRecord) -> Plan:
        """The plan anew, from what the nodes run and shall run: nodes that do not change are members of groups, too."""
        assigned = {one.name: one.record.digest for one in await self._kept.assignments.all()}
        old = {**assigned, **{node: state.old for node, state in record.nodes.items()}}
        new = {**assigned, **{node: state.new for node, state in record.nodes.items()}}
        content = {digest: await self._content(digest) for digest in {*old.values(), *new.values()}}
        return await asyncio.to_thread(make_plan, _there(old, content), _there(new, content))

    async def _content(self, digest: str) -> Bundle:
        try:
            bundle = await self._bundles.get(digest)
        except BundleNotWhole:  # there for ever, it would refuse every rollout of this cluster
            await self._bundles.drop_damaged(digest)
            raise
        if bundle is None:
            raise StoreDamaged(
                Sentence("the bundle %(digest)s that a node has or shall have is not in the store", digest=digest[:12]),
                "restore a dump of it",
            )
        return bundle

    # ---- node by node -------------------------------------------------------------------------------------------

    async def _told(self, record: RolloutRecord, nodes: tuple[str, ...], together: bool) -> Changed:
        """Who does not answer is told nothing, and nobody else is told anything then."""
        looked = await self._asking.looks(nodes)
        lost = Changed(record)
        for node, one in looked.items():
            if isinstance(one, HoldfastError):
                lost = carry.both(lost, self._hearing.lost(lost.record, node, one.message, one.hint))
            elif together and is_deaf(one):
                said = Sentence(
                    "%(node)s: its agent was replaced by one that is too old to wait for the others", node=node
                )
                hint = Sentence("install this controller's version of Holdfast there")
                lost = carry.both(lost, self._hearing.lost(lost.record, node, said, hint))
        if lost.events:
            return lost
        held = {node: groups_held(one.status) for node, one in looked.items() if isinstance(one, Looked)}
        return carry.told(record, nodes, held, self._now(), together=together)

    async def _give_the_word(self, found: Versioned[RolloutRecord], nodes: tuple[str, ...]) -> None:
        """Once each node says again that it is ready: what one said before its agent was restarted does not count."""
        changed = await self._hearing.from_all(found.record, nodes)
        if changed.record is not found.record:
            await self._write(found, changed)
            return
        looked = await self._asking.looks(nodes)
        for node in nodes:
            one = looked[node]
            if isinstance(one, HoldfastError):
                changed = carry.both(changed, self._hearing.lost(changed.record, node, one.message, one.hint))
            elif not self._hearing.is_waiting(found.record.nodes[node], one) and self._hearing.time_is_over(
                node, found.record.nodes[node], "stage", self._patience.stage_s
            ):
                said = Sentence("%(node)s was ready to change with the others, and is not any more", node=node)
                gone = self._hearing.lost(changed.record, node, said, Sentence("what does its agent log?"))
                changed = carry.both(changed, gone)
        if changed.record is not found.record:
            await self._write(found, changed)
        elif all(self._hearing.is_waiting(found.record.nodes[node], looked[node]) for node in nodes):
            await self._write(found, carry.given_the_word(found.record, nodes, self._now()))
        else:
            await self._news.wait(_ASK_AGAIN_S)

    async def _wait(self, found: Versioned[RolloutRecord], nodes: tuple[str, ...]) -> None:
        """Until one of the nodes came further, somebody changed the record, or the time of one is over.

        Where many change at a time, what they say is gathered for a moment, and on their way only the record tells.
        """
        many = len(nodes) > MOST_TOLD
        if many:
            await asyncio.sleep(_GATHER_S)
        changed = await self._hearing.from_all(found.record, nodes, quiet=many)
        if changed.record is not found.record:
            await self._write(found, changed)
            return
        now = asyncio.get_running_loop().time()
        first = self._hearing.first_deadline(found.record, nodes)
        await self._news.wait(max(first - now, _AGAIN_S))

    # ---- writing ------------------------------------------------------------------------------------------------

    async def _write(self, found: Versioned[RolloutRecord], changed: Changed) -> None:
        """The record, what nodes are told and the events: all of it or nothing, and only while we lead."""
        kept, now = self._kept, self._now()
        head, version = await kept.head()
        numbers = {node: head.last_number + at for at, (node, _) in enumerate(changed.tells, 1)}
        record = carry.numbered(changed.record, numbers)
        steps = [kept.rollouts.replacing(found.name, record, found.version)]
        for node, back in changed.tells:
            present = await kept.assignments.get(node)
            told = carry.assignment(record, node, numbers[node], back, now)
            steps.append(kept.assignments.replacing(node, told, present.version if present else 0))
        steps += [await self._word(node, record.nodes[node].number) for node in changed.words]
        if numbers or record.phase.ended:
            running = None if record.phase.ended else head.running
            last = head.last_number + len(numbers)
            steps.append(
                kept.heads.replacing(
                    kept.HEAD, head.model_copy(update={"last_number": last, "running": running}), version
                )
            )
        await self._store.commit(*steps, events=changed.events, guard=self._held)

    async def _word(self, node: str, number: int) -> Step:
        """What a node was told, with the word."""
        present = await self._kept.assignments.get(node)
        if present is None or present.record.number != number:
            raise StoreDamaged(
                Sentence("what %(node)s was told last is not in the store any more", node=node), "restore a dump of it"
            )
        return self._kept.assignments.replacing(node, present.record.model_copy(update={"go": True}), present.version)

    async def _bring_along(self, record: RolloutRecord) -> None:
        """Nodes for which nothing changed, or that are away, are of this revision, too; piece by piece."""
        listed = await self._bundles.of_revision(record.revision) or {}
        present = {one.name: one.record for one in await self._kept.assignments.all()}
        due = carry.brought_along(record, listed, present)
        names = sorted(due)
        for start in range(0, len(names), MOST_TOLD):
            await self._bring(record, {node: due[node] for node in names[start : start + MOST_TOLD]})

    async def _bring(self, record: RolloutRecord, digests: Mapping[str, str]) -> None:
        kept = self._kept
        head, version = await kept.head()
        last = head.last_number + len(digests)
        steps = [kept.heads.replacing(kept.HEAD, head.model_copy(update={"last_number": last}), version)]
        for number, (node, digest) in enumerate(digests.items(), head.last_number + 1):
            present = await kept.assignments.get(node)
            told = carry.of_revision(record, node, number, digest, self._now())
            steps.append(kept.assignments.replacing(node, told, present.version if present else 0))
        await self._store.commit(*steps, guard=self._held)

    def _now(self) -> datetime:
        return self._store.clock.now()


def _there(digests: Mapping[str, str], content: Mapping[str, Bundle]) -> dict[str, Bundle]:
    """Bundles by node; a node on which nothing of Holdfast's runs has none."""
    found = {node: content[digest] for node, digest in digests.items()}
    return {node: bundle for node, bundle in found.items() if bundle != nothing(bundle.cluster, node)}
