"""The leader's rollouts: each cluster's one that has not ended is carried out, whoever began it."""

from __future__ import annotations

import asyncio
import logging

from holdfast.errors import HoldfastError, LeaseLost, StoreDamaged, StoreError
from holdfast.rollout.lead import run_rollout
from holdfast.rollout.records import RolloutStore
from holdfast.sentences import Sentence, cut
from holdfast.store.holding import Held
from holdfast.store.models import Event

from .context import Context
from .identity.auditing import SYSTEM
from .operations.compiling import restored
from .operations.desk import Desk

_AGAIN_AFTER_S = 2.0
_log = logging.getLogger(__name__)


async def run_rollouts(context: Context, held: Held) -> None:
    """Until cancelled: a task for each cluster, which waits for a rollout and runs it. LeaseLost ends them all."""
    async with asyncio.TaskGroup() as group:
        known: set[str] = set()
        while True:
            try:
                async with context.store.clusters.watch() as updates:
                    async for update in updates:
                        there = [name for name, found in update.items if found is not None]
                        for name in (*there, *update.broken):  # a record that is damaged is that of a cluster, too
                            if name not in known:
                                known.add(name)
                                group.create_task(_of_cluster(context, name, held))
            except HoldfastError as error:
                _log.warning("the list of clusters is followed anew: %s", error.message)
            await asyncio.sleep(_AGAIN_AFTER_S)


async def _of_cluster(context: Context, cluster: str, held: Held) -> None:
    kept, told = RolloutStore(context.store, cluster), set[str]()
    while True:
        try:
            async with kept.heads.watch() as updates:
                async for update in updates:
                    if update.broken:
                        await kept.head()  # says what is damaged
                    for _, found in update.items:
                        if found is not None and found.record.running is not None:
                            await _run(context, cluster, found.record.running, held)
        except LeaseLost:
            raise
        except StoreDamaged as error:
            await _tell(context, cluster, told, error)
        except HoldfastError as error:
            _log.warning("the rollouts of %s are followed anew: %s", cluster, error.message)
        await asyncio.sleep(_AGAIN_AFTER_S)


async def _tell(context: Context, cluster: str, told: set[str], error: StoreDamaged) -> None:
    """What is damaged stops this cluster's rollouts alone; an operator reads of it once, not every two seconds."""
    if error.message in told:
        return
    said = Sentence("rollouts of %(cluster)s are at a halt: %(why)s", cluster=cluster, why=error.message)
    _log.error("%s (%s)", said, error.hint)
    event = Event(time=context.store.clock.now(), kind="rollout.halted", cluster=cluster, message=cut(said, 1000))
    try:
        await context.store.commit(events=[event])
    except StoreError as failed:
        _log.warning("that could not be told: %s", failed.message)
    else:
        told.add(error.message)


async def _run(context: Context, cluster: str, number: int, held: Held) -> None:
    """One rollout to its end. The head may say that it runs when it has ended just now: that does no harm."""
    _log.info("rollout %s of %s is carried out", number, cluster)
    desk = Desk(context.store, context.doors.sealer, SYSTEM, process_events=context.settings.process_events)
    try:
        back = await restored(desk, cluster)  # what nodes run now is what a rollout compares with, and may go back to
    except StoreDamaged as error:  # the rollout meets the same, and ends with this as its reason
        back = 0
        _log.error("bundles of %s cannot be looked after: %s (%s)", cluster, error.message, error.hint)
    if back:
        _log.warning("%s bundles of %s were not in the store any more, and were compiled again", back, cluster)
    await run_rollout(context.store, cluster, number, held)
    _log.info("rollout %s of %s has ended", number, cluster)
