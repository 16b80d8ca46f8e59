"""Rollouts: looked at, followed, continued and stopped."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import APIRouter, Depends, Path

from holdfast.protocol.api.rollouts import RolloutList, RolloutView, StopRequest
from holdfast.rollout.records import RolloutStore, rollout_name
from holdfast.store.port import Resync
from holdfast.store.store import Store

from ..callers import Allowed, AtDesk, Ctx
from ..identity import Action, Person
from ..operations import rollouts as operations
from ..operations.told import rollout_view
from .answers import PROBLEMS, Before, ClusterName, Limit
from .streams import EVENTS, Events, events, sent_event, told_as

router = APIRouter(prefix="/api/v1/clusters/{cluster}/rollouts", tags=["rollouts"], responses=PROBLEMS)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Controlling = Annotated[Person, Depends(Allowed(Action.ROLLOUT_CONTROL))]
Number = Annotated[int, Path(ge=1, le=10**11, examples=[1])]


@router.get("", operation_id="list_rollouts")
async def rollouts(
    context: Ctx, who: Reading, cluster: ClusterName, before: Before = None, limit: Limit = 50
) -> RolloutList:
    """Rollouts, newest first."""
    return await operations.rollouts(context.store, cluster, before, limit)


@router.get("/{number}", operation_id="rollout")
async def rollout(context: Ctx, who: Reading, cluster: ClusterName, number: Number) -> RolloutView:
    """How far a rollout is, node by node."""
    return await operations.rollout(context.store, cluster, number)


@router.get(
    "/{number}/events",
    operation_id="follow_rollout",
    response_class=Events,
    responses={
        200: {
            "content": {EVENTS: told_as("rollout", RolloutView)},
            "description": "`rollout`: as it is, whenever that changes.",
        }
    },
)
async def follow(context: Ctx, who: Reading, cluster: ClusterName, number: Number) -> Events:
    """A rollout as it goes on, until it has ended."""
    await operations.rollout(context.store, cluster, number)
    return events(context, who, _followed(context.store, cluster, number))


@router.post("/{number}/continue", operation_id="continue_rollout")
async def go_on(desk: AtDesk, who: Controlling, cluster: ClusterName, number: Number) -> RolloutView:
    """Let a paused rollout go on."""
    return await operations.go_on(desk, cluster, number)


@router.post("/{number}/stop", operation_id="stop_rollout")
async def stop(desk: AtDesk, who: Controlling, cluster: ClusterName, number: Number, asked: StopRequest) -> RolloutView:
    """End a rollout; nodes that were changed go back, or stay."""
    return await operations.stop(desk, cluster, number, asked)


async def _followed(store: Store, cluster: str, number: int) -> AsyncGenerator[bytes, None]:
    kept = RolloutStore(store, cluster).rollouts
    async with store.engine.watch(kept.key(rollout_name(number))) as told:
        async for one in told:
            entries = one.entries if isinstance(one, Resync) else [change.entry for change in one.changes]
            for entry in entries:
                if entry is None:
                    return
                record = kept.versioned(entry).record
                yield sent_event("rollout", rollout_view(record).model_dump_json())
                if record.phase.ended:
                    return
