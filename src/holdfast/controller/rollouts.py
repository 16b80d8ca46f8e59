"""The leader's rollouts: each cluster's one that has not ended is carried out, whoever began it."""

from __future__ import annotations

import asyncio
import logging

from holdfast.errors import HoldfastError, LeaseLost
from holdfast.rollout.lead import run_rollout
from holdfast.rollout.records import RolloutStore
from holdfast.store.holding import Held

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
                        for name, found in update.items:
                            if found is not None and name not in known:
                                known.add(name)
                                group.create_task(_of_cluster(context, name, held))
            except HoldfastError as error:
                _log.warning("the list of clusters is followed anew: %s", error.message)
            await asyncio.sleep(_AGAIN_AFTER_S)


async def _of_cluster(context: Context, cluster: str, held: Held) -> None:
    kept = RolloutStore(context.store, cluster)
    while True:
        try:
            async with kept.heads.watch() as updates:
                async for update in updates:
                    for _, found in update.items:
                        if found is not None and found.record.running is not None:
                            await _run(context, cluster, found.record.running, held)
        except LeaseLost:
            raise
        except HoldfastError as error:
            _log.warning("the rollouts of %s are followed anew: %s", cluster, error.message)
        await asyncio.sleep(_AGAIN_AFTER_S)


async def _run(context: Context, cluster: str, number: int, held: Held) -> None:
    """One rollout to its end. The head may say that it runs when it has ended just now: that does no harm."""
    _log.info("rollout %s of %s is carried out", number, cluster)
    desk = Desk(context.store, context.doors.sealer, SYSTEM, process_events=context.settings.process_events)
    back = await restored(desk, cluster)  # what nodes run now is what a rollout compares with, and may go back to
    if back:
        _log.warning("%s bundles of %s were not in the store any more, and were compiled again", back, cluster)
    await run_rollout(context.store, cluster, number, held)
    _log.info("rollout %s of %s has ended", number, cluster)
