"""What the leader does besides rollouts: moves that were cut off, overrides whose time is over, history of etcd."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from holdfast.errors import Conflict, HoldfastError
from holdfast.sentences import Sentence, cut
from holdfast.store.holding import Held
from holdfast.store.models import Event, Override, OverrideKind
from holdfast.store.port import LEFT_ALONE

from .context import Context
from .identity import audited
from .identity.auditing import SYSTEM
from .operations.cut_off import settle
from .operations.desk import Desk
from .rollouts import run_rollouts

EXPIRY_EVERY_S = 5.0
SETTLE_EVERY_S = 2.0
SWEEP_EVERY_S = 3600.0
COMPACT_EVERY_S = 1800.0  # etcd keeps between one and two times as long of its past: watchers resume in it
_log = logging.getLogger(__name__)


async def duties(context: Context, held: Held) -> None:
    """All of them, until cancelled, or until one finds that somebody else leads."""
    async with asyncio.TaskGroup() as group:
        group.create_task(run_rollouts(context, held))
        group.create_task(_every(EXPIRY_EVERY_S, lambda: end_overrides(context, held)))
        group.create_task(_every(SETTLE_EVERY_S, lambda: settle_moves(context)))
        group.create_task(_every(SWEEP_EVERY_S, lambda: _sweep(context)))
        group.create_task(_compaction(context))


async def _every(seconds: float, do: Callable[[], Awaitable[None]]) -> None:
    """A duty that may fail this time: it comes round again."""
    while True:
        try:
            await do()
        except HoldfastError as error:
            _log.warning("a duty of the leader failed, and is tried again: %s", error.message)
        await asyncio.sleep(seconds)


async def end_overrides(context: Context, held: Held) -> None:
    """Remove the overrides whose time is over. Agents end those of servers by themselves; this is for everybody else.

    Maintenance that is over gives a node nothing back: somebody said when it should be done, not that it is.
    """
    store = context.store
    now = store.clock.now()
    for cluster in await store.clusters.names():
        overrides = store.cluster(cluster).overrides
        for found in (await overrides.sound())[0]:  # what is damaged is told with the state of its cluster
            one = found.record
            if one.until is None or now < one.until or one.kind is OverrideKind.MAINTENANCE:
                continue
            event = Event(time=now, kind="override.over", cluster=cluster, message=_said(one))
            told = audited(now, SYSTEM, "override.over", one.target, before=one, cluster=cluster)
            try:
                await store.commit(
                    overrides.deleting(found.name, found.version), audit=[told], events=[event], guard=held
                )
            except Conflict:
                continue  # somebody has changed it at this moment, or leads by now


async def settle_moves(context: Context) -> None:
    """Finish or undo moves whose controller is gone. Each is written under the lease of whoever moves something."""
    desk = Desk(context.store, context.doors.sealer, SYSTEM, process_events=context.settings.process_events)
    for cluster in await context.store.clusters.names():
        try:
            await settle(desk, cluster)
        except HoldfastError as error:  # of one cluster: the others go on
            _log.warning("what was cut off in %s is not settled yet: %s", cluster, error.message)


def _said(one: Override) -> str:
    said = Sentence(
        "%(server)s is not %(kind)s any more: its time, set by %(who)s, is over",
        server=f"{one.pool}/{one.target}" if one.pool else one.target, kind=Sentence(one.kind.value), who=one.who,
    )  # fmt: skip
    return cut(said, 1000)


async def _sweep(context: Context) -> None:
    gone = await context.doors.enrolment.sweep() + await context.doors.logins.sweep()
    if gone:
        _log.info("%s tokens, sessions, certificates and failed logins that count no more were forgotten", gone)


async def _compaction(context: Context) -> None:
    """Only etcd has to be told to forget. What is forgotten is what was before the last round."""
    engine = context.store.engine
    past, told = 1, False  # the first round forgets nothing, and tells whether others can
    while True:
        health = await engine.health()
        if health.kind != "etcd":
            return
        try:
            ours = await engine.compact(past)
        except HoldfastError as error:
            _log.warning("etcd could not be compacted: %s", error.message)
        else:
            if not ours and not told:
                _log.warning(LEFT_ALONE)
            told = not ours
        past = health.revision
        await asyncio.sleep(COMPACT_EVERY_S)
