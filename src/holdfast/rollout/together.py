"""Nodes that change in one moment: may they, are all of them ready for the word, and do they agree afterwards?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from holdfast.errors import HoldfastError, PlanRefused
from holdfast.plan import Plan
from holdfast.sentences import Sentence

from .asking import Asking
from .judge import groups_held
from .orders import Looked
from .records import BatchRecord, RolloutRecord
from .waves import Batch

_LOOK_EVERY_S = 0.5


def refuse_who_does_not_wait(drawn: Iterable[Batch], looked: Mapping[str, Looked | HoldfastError]) -> None:
    """PlanRefused where an agent would apply at once what it should only stage: it is of an older version."""
    for batch in drawn:
        deaf = sorted(node for node in batch.nodes if batch.at_once and is_deaf(looked.get(node)))
        if deaf:
            raise PlanRefused(
                Sentence(
                    "%(nodes)s have to change in one moment, and the agent of %(deaf)s is too old to wait for the "
                    "others; no node was touched",
                    nodes=", ".join(batch.nodes),
                    deaf=", ".join(deaf),
                ),
                Sentence("install this controller's version of Holdfast on %(nodes)s first", nodes=", ".join(deaf)),
            )


def is_deaf(looked: Looked | HoldfastError | None) -> bool:
    """Whether an agent that was asked does not know of the word."""
    return isinstance(looked, Looked) and not looked.heeds_word


def recorded(batch: Batch, plan: Plan) -> BatchRecord:
    """A batch as the record keeps it; of those that go in one moment, the groups that are theirs alone afterwards."""
    record = BatchRecord(nodes=batch.nodes, at_once=batch.at_once, why=batch.why)
    if not batch.at_once:
        return record
    planned = [found for node in batch.nodes if (found := plan.node(node)) is not None]
    before = {each.group for one in planned if one.old for each in one.old.expected.vrrp}
    after = [each for one in planned if one.new for each in one.new.expected.vrrp]
    groups = {each.group for each in after if set(each.peers) <= set(batch.nodes)}
    # Whoever hears nobody any more takes over after three adverts and a part of a fourth.
    settle_s = max((4 * each.advert_interval_ms / 1000 for each in after), default=0.0) + 0.5
    fresh = tuple(sorted(groups - before))
    return record.model_copy(update={"groups": tuple(sorted(groups)), "fresh": fresh, "settle_s": settle_s})


def amiss(record: RolloutRecord, batch: BatchRecord, looked: Mapping[str, Looked | HoldfastError]) -> Sentence | None:
    """Which group of a batch has not one holder, or why that is not known; None if each has. Pure."""
    held_before = {group for node in batch.nodes for group in record.nodes[node].held}
    for node, one in looked.items():
        if isinstance(one, HoldfastError):
            return Sentence("nobody knows what %(node)s holds: %(why)s", node=node, why=one.message)
    statuses = {node: one.status for node, one in looked.items() if isinstance(one, Looked)}
    for group in batch.groups:
        holders = [node for node, status in statuses.items() if group in groups_held(status)]
        if len(holders) > 1:
            names = ", ".join(holders)
            return Sentence("'%(group)s' is held by %(nodes)s at the same time", group=group, nodes=names)
        if not holders and (group in batch.fresh or group in held_before):
            return Sentence("nobody holds '%(group)s'", group=group)
    return None


async def disagreement(record: RolloutRecord, batch: BatchRecord, asking: Asking, patience_s: float) -> Sentence | None:
    """None as soon as each group has had one holder for long enough; else what was wrong when the time was over.

    StoreError without a store.
    """
    clock = asyncio.get_running_loop().time
    end = clock() + patience_s + batch.settle_s
    well_since: float | None = None
    while True:  # ends: at `end` at the latest
        asked = clock()
        wrong = amiss(record, batch, await asking.looks(batch.nodes, max(1.0, end - asked)))
        well_since = None if wrong else asked if well_since is None else well_since
        if well_since is not None and asked - well_since >= batch.settle_s:
            return None
        if clock() >= end:
            return wrong or Sentence("its groups changed hands again and again")
        await asyncio.sleep(_LOOK_EVERY_S)
