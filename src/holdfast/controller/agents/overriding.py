"""Overrides as the store keeps them, told to agents: those of servers, while their time lasts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from holdfast.protocol import OverrideKind, Overrides, PoolOverride, ServerOverride
from holdfast.store.models import Override
from holdfast.store.models import OverrideKind as Kept


def overrides_of(kept: Iterable[Override], now: datetime) -> Overrides:
    """All that is overridden of servers. Maintenance is not among it: orders carry that out.

    Each director has all of them, and knows by itself which servers it sends to. The order is always the same, so that
    equal overrides are equal messages.
    """
    alive = [one for one in kept if one.kind is not Kept.MAINTENANCE and (one.until is None or now < one.until)]
    ordered = sorted(alive, key=lambda one: (one.target, one.pool or "", one.virtual_server or "", one.kind))
    return Overrides(
        servers=tuple(_told(one) for one in ordered if one.pool is None),
        pools=tuple(_told_of_pool(one, one.pool) for one in ordered if one.pool is not None),
    )


def _told(one: Override) -> ServerOverride:
    return ServerOverride(
        server=one.target,
        virtual_server=one.virtual_server,
        kind=OverrideKind(one.kind.value),
        weight=one.weight,
        who=one.who[:100],
        why=one.why[:500],
        since=_time(one.since),
        until=_time(one.until) if one.until else None,
    )


def _told_of_pool(one: Override, pool: str) -> PoolOverride:
    return PoolOverride(
        pool=pool,
        server=one.target,
        kind=OverrideKind(one.kind.value),
        weight=one.weight,
        who=one.who[:100],
        why=one.why[:500],
        since=_time(one.since),
        until=_time(one.until) if one.until else None,
    )


def _time(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="seconds")
