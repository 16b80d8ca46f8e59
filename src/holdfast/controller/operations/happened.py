"""What happened in a cluster, and who changed what there, newest first: of some kinds, or all."""

from __future__ import annotations

from collections.abc import Collection

from holdfast.protocol.api.events import AuditList, AuditView, EventView
from holdfast.store.store import Store

from .desk import known_cluster
from .told import audit_view, event_view

_PAGE = 500
_ON_ITS_WAY = '"phase": "applying"'
MOST_READ = 5000  # records that are looked through for one answer


async def happened(
    store: Store,
    cluster: str,
    kinds: Collection[str] = (),
    node: str | None = None,
    before: int | None = None,
    limit: int = 100,
    most_read: int = MOST_READ,
    steps: bool = True,
) -> tuple[tuple[EventView, ...], int | None]:
    """At most `limit` events below the number `before`, and from where to go on (None: there are no more).

    `kinds` are whole kinds, or their beginnings with a dot at the end (`vrrp.`); none means all. An event is of a node
    if it says so, or if its message names it. Without `steps`, those are left out that say that a node of a rollout is
    on its way.
    """
    await known_cluster(store, cluster)
    found: list[EventView] = []
    for _ in range(max(1, most_read // _PAGE)):
        page = await store.events.newest(before, _PAGE)
        for one in page:
            before = one.number
            event = one.record
            if not steps and event.kind == "rollout.node" and _ON_ITS_WAY in event.data:
                continue
            if event.cluster != cluster or not _is_of(event.kind, kinds) or not _names(event.node, event.message, node):
                continue
            found.append(event_view(one))
            if len(found) == limit:
                return tuple(found), before if before > 1 else None
        if len(page) < _PAGE:
            return tuple(found), None
    return tuple(found), before


def _is_of(kind: str, kinds: Collection[str]) -> bool:
    return not kinds or any(kind == one or (one.endswith(".") and kind.startswith(one)) for one in kinds)


def _names(of: str | None, message: str, node: str | None) -> bool:
    return node is None or of == node or node in message.replace(":", " ").replace(",", " ").split()


async def audited(
    store: Store,
    cluster: str,
    actions: Collection[str] = (),
    who: str = "",
    before: int | None = None,
    limit: int = 100,
    most_read: int = MOST_READ,
) -> AuditList:
    """Who changed what in a cluster, newest first; `actions` as `kinds` above, `who` a part of the actor's name."""
    await known_cluster(store, cluster)
    found: list[AuditView] = []
    for _ in range(max(1, most_read // _PAGE)):
        page = await store.audit.newest(before, _PAGE)
        for one in page:
            before = one.number
            record = one.record
            wanted = _is_of(record.action, actions) and who.lower() in record.actor.lower()
            if record.cluster != cluster or not wanted:
                continue
            found.append(audit_view(one))
            if len(found) == limit:
                return AuditList(records=tuple(found), before=before if before > 1 else None)
        if len(page) < _PAGE:
            return AuditList(records=tuple(found))
    return AuditList(records=tuple(found), before=before)
