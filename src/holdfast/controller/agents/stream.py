"""One agent's stream: what it should run, what it should do now, and a sign of life in between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field

from holdfast.errors import HoldfastError
from holdfast.protocol import (
    LARGEST_INLINE,
    PING_EVERY_S,
    Desired,
    Fence,
    Order,
    Overrides,
    Ping,
    Together,
)
from holdfast.protocol.realtime import Watch, Watching
from holdfast.rollout.records import OrderRecord

from ..context import Context
from ..identity import NodeAgent
from .feed import Feed, Subscription

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Told:
    """What went over this stream already; `trusted` are the authorities by whose word it was opened."""

    trusted: object
    desired: tuple[int, str, bool, Overrides] | None = None
    orders: set[str] = field(default_factory=set)
    watching: tuple[Watching, ...] = ()


async def lines(context: Context, agent: NodeAgent, *, heeds_watch: bool = False) -> AsyncGenerator[bytes, None]:
    """The messages, a line of JSON each; it ends when the controller does, or when the agent is not welcome any more.

    Who looks at the node is told only to agents that know what that is.

    The last line is a ping, so that an agent can tell an end that was meant from a connection that broke.
    """
    hub, stopping = context.hub, context.stopping
    with hub.subscribed(agent.cluster, agent.node) as (feed, subscription), stopping.waking(subscription.changed):
        told = _Told(context.doors.authorities.trusted)
        yield _ping(context)  # at once: the agent knows that it was let in
        while True:
            await _something(subscription)
            end = _end(context, agent, feed, subscription, told)
            if end:
                _log.info("the stream of %s ended: %s", agent.actor, end)
                break
            if not feed.complete:
                yield _ping(context)
                continue
            news = [line async for line in _news(context, agent, feed, told)]
            if heeds_watch and (watching := feed.watching(agent.node)) != told.watching:
                told.watching = watching
                news.append(Watch(watching=watching).model_dump_json().encode() + b"\n")
            for line in news or [_ping(context)]:
                yield line
        yield _ping(context)


async def _something(subscription: Subscription) -> None:
    """Until something changed, the controller stops, or it is time for a sign of life."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PING_EVERY_S):
            await subscription.changed.wait()
    subscription.changed.clear()


def _end(context: Context, agent: NodeAgent, feed: Feed, subscription: Subscription, told: _Told) -> str:
    """Why this stream has to end; empty: it goes on."""
    if context.stopping.begun:
        return "the controller stops"
    if subscription.replaced:
        return "the node has opened another one"
    if context.store.clock.now() > agent.expires:
        return "its certificate has expired"
    if told.trusted is not context.doors.authorities.trusted:
        return "the certificate authorities have changed: it is let in anew, or not"
    if not feed.complete:
        return ""
    record = feed.nodes.get(agent.node)
    if record is None and feed.unread_node(agent.node):
        return "the record of the node in the store is not understood: it is let in again when it is"
    if record is None or record.revoked is not None:
        return "the node was revoked"
    return "" if record.certificate == agent.serial else "the node has a newer certificate"


async def _news(context: Context, agent: NodeAgent, feed: Feed, told: _Told) -> AsyncGenerator[bytes, None]:
    assignment = feed.assignments.get(agent.node)
    if assignment is not None and not await _held_back(context, agent, feed, assignment.digest):
        overrides = feed.told_overrides(context.store.clock.now())
        now = (assignment.number, assignment.digest, assignment.go, overrides)
        if told.desired != now:
            line = await _desired(context, agent, feed, overrides)
            if line is not None:
                told.desired = now
                yield line
    for name, record in feed.orders.get(agent.node, {}).items():
        order = _still_wanted(context, record)
        if name not in told.orders and order is not None:
            told.orders.add(name)
            yield order.model_dump_json().encode() + b"\n"
    told.orders &= feed.orders.get(agent.node, {}).keys()  # what has gone from the store will not come again


async def _held_back(context: Context, agent: NodeAgent, feed: Feed, digest: str) -> bool:
    """Whether an override is lost that the node would end without knowing: in what it is to run, or in what it runs.

    What cannot be read now counts as if it had the server.
    """
    if not feed.lost:
        return False
    try:
        return await context.hub.losing.concerns(agent.cluster, agent.node, digest, feed.lost)
    except HoldfastError as error:
        _log.warning("what %s sends to cannot be read: %s", agent.actor, error.message)
        return True


async def _desired(context: Context, agent: NodeAgent, feed: Feed, overrides: Overrides) -> bytes | None:
    """The desired state with its bundle, if that is small; None if the store cannot be read now: it is tried again."""
    assignment = feed.assignments[agent.node]
    identity = context.store.identity
    desired = Desired(
        fence=Fence(store_id=identity.store_id, epoch=identity.epoch, number=assignment.number),
        cluster=agent.cluster,
        node=agent.node,
        revision=assignment.revision,
        digest=assignment.digest,
        adopt=assignment.adopt,
        overrides=overrides,
        together=Together(go=assignment.go) if assignment.together else None,
    )
    try:
        bundle = await context.hub.bundles.get(agent.cluster, assignment.digest)
    except HoldfastError as error:
        _log.warning("the bundle of %s cannot be read: %s", agent.actor, error.message)
        return None
    line = desired.model_dump_json(exclude={"bundle"}).encode()
    if bundle is not None and len(bundle) <= LARGEST_INLINE:
        line = line[:-1] + b',"bundle":' + bundle + b"}"  # it is JSON already, and large
    return line + b"\n"


def _still_wanted(context: Context, record: OrderRecord) -> Order | None:
    """The order with the time that is left for it; None if that is over."""
    age = (context.store.clock.now() - record.given).total_seconds()
    left = record.order.within_s - max(0.0, age)
    return record.order.model_copy(update={"within_s": left}) if left > 0 else None


def _ping(context: Context) -> bytes:
    return Ping(time=context.store.clock.now()).model_dump_json().encode() + b"\n"
