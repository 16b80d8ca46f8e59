"""Rollouts looked at, continued and stopped."""

from __future__ import annotations

from holdfast.protocol.api.rollouts import RolloutList, RolloutView, StopRequest
from holdfast.rollout.propose import find_rollout, list_rollouts, wish
from holdfast.rollout.records import KEPT_ROLLOUTS, RolloutRecord, Wish
from holdfast.sentences import Sentence
from holdfast.store.models import AuditRecord
from holdfast.store.store import Store

from .desk import Desk, known_cluster
from .told import rollout_view

LARGEST_PAGE = 200
_PAGE = 50


async def rollouts(store: Store, cluster: str, before: int | None = None, limit: int = 50) -> RolloutList:
    """At most `limit` rollouts below the number `before`, newest first."""
    await known_cluster(store, cluster)
    limit = max(1, min(limit, LARGEST_PAGE))
    found = await list_rollouts(store, cluster, before, limit)
    more = len(found) == limit and found[-1].id > 1
    return RolloutList(rollouts=tuple(rollout_view(one) for one in found), before=found[-1].id if more else None)


async def of_revisions(store: Store, cluster: str, lowest: int) -> tuple[RolloutView, ...]:
    """The rollouts of all revisions from `lowest` on, newest first, as far as they are kept."""
    found: list[RolloutView] = []
    before: int | None = None
    for _ in range(KEPT_ROLLOUTS // _PAGE + 1):
        page = await rollouts(store, cluster, before, _PAGE)
        found += page.rollouts
        before = page.before
        if before is None or page.rollouts[-1].revision < lowest:
            break
    return tuple(one for one in found if one.revision >= lowest)


async def rollout(store: Store, cluster: str, number: int) -> RolloutView:
    """One rollout; NotFound."""
    await known_cluster(store, cluster)
    return rollout_view((await find_rollout(store, cluster, number)).record)


async def go_on(desk: Desk, cluster: str, number: int) -> RolloutView:
    """Let a paused rollout go on; StateForbids if it has ended or is being stopped."""
    return await _wished(desk, cluster, number, Wish.GO_ON, "")


async def stop(desk: Desk, cluster: str, number: int, request: StopRequest) -> RolloutView:
    """End a rollout: it begins nothing new, and takes back what is done if `put_back`; StateForbids if it has ended."""
    return await _wished(desk, cluster, number, Wish.PUT_BACK if request.put_back else Wish.STOP, request.why)


async def _wished(desk: Desk, cluster: str, number: int, wanted: Wish, why: str) -> RolloutView:
    await known_cluster(desk.store, cluster)
    action = "rollout.continue" if wanted is Wish.GO_ON else "rollout.stop"

    def told(before: RolloutRecord) -> tuple[AuditRecord, ...]:
        was = {"phase": before.phase, "wish": before.wish, "confirmed": before.confirmed}
        return (desk.told(action, f"rollout {number}", cluster, before=was, after={"wish": wanted, "why": why}),)

    reason = f" ({why})" if why else ""
    who = desk.actor.removeprefix("user:")
    word = Sentence(wanted.value)
    said = Sentence("rollout %(id)s: %(who)s says %(word)s%(why)s", id=number, who=who, word=word, why=reason)
    event = desk.event(action, cluster, said)
    stopped = Sentence("stopped by %(who)s%(why)s", who=who, why=reason)
    after = await wish(desk.store, cluster, number, wanted, why=stopped, audit=told, events=[event])
    return rollout_view(after)
