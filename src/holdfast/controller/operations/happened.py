"""What happened in a cluster, and who changed what, newest first: of some kinds, people, things and times, or all."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from holdfast.errors import NotFound
from holdfast.protocol.api.damaged import DamagedPlace
from holdfast.protocol.api.events import AuditList, AuditView, EventView
from holdfast.sentences import Sentence
from holdfast.store.log import Numbered, Unread
from holdfast.store.models import AuditRecord, Event
from holdfast.store.store import Store

from .desk import known_cluster
from .told import audit_view, damaged_place, event_view

_PAGE = 500
_ON_ITS_WAY = '"phase": "applying"'
MOST_READ = 5000  # records that are looked through for one answer


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; what is left out does not matter.

    `kinds` are whole kinds, or their beginnings with a dot at the end (`vrrp.`). `who` and `thing` are parts of names,
    with or without capitals. `since` belongs to it, `until` does not.
    """

    kinds: tuple[str, ...] = ()
    who: str = ""
    thing: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def has_time(self, time: datetime) -> bool:
        """Whether something of this time is wanted."""
        return (self.since is None or time >= self.since) and (self.until is None or time < self.until)

    def all_past(self, times: Iterable[datetime]) -> bool:
        """Whether nothing older need be looked at. One record does not tell: clocks jump, and those of hosts differ."""
        found = list(times)
        return self.since is not None and bool(found) and max(found) < self.since

    def has_kind(self, kind: str) -> bool:
        """Whether this kind is wanted."""
        return not self.kinds or any(kind == one or (one.endswith(".") and kind.startswith(one)) for one in self.kinds)


ALL = Wanted()


@dataclass(frozen=True, slots=True)
class Happened:
    """Events, newest first; from where to go on (None: there are no more); and what was not understood in between."""

    events: tuple[EventView, ...]
    before: int | None = None
    damaged: tuple[DamagedPlace, ...] = ()


async def happened(
    store: Store,
    cluster: str,
    kinds: Collection[str] = (),
    node: str | None = None,
    before: int | None = None,
    limit: int = 100,
    most_read: int = MOST_READ,
    steps: bool = True,
    wanted: Wanted = ALL,
) -> Happened:
    """At most `limit` events below the number `before`.

    An event is of a node if it says so, or if its message names it. Without `steps`, those are left out that say that a
    node of a rollout is on its way. `kinds` are as those of `wanted`, whose people and outcomes events do not have.
    """
    await known_cluster(store, cluster)
    topic = Wanted(kinds=tuple(kinds))
    found: list[EventView] = []
    damaged: list[DamagedPlace] = []
    for _ in range(max(1, most_read // _PAGE)):
        page = await store.events.newest_told(before, _PAGE)
        for one in page:
            before = one.number
            if isinstance(one, Unread):
                damaged.append(damaged_place(one))
                continue
            event = one.record
            if not steps and event.kind == "rollout.node" and _ON_ITS_WAY in event.data:
                continue
            if event.cluster != cluster or not topic.has_kind(event.kind) or not is_event(event, wanted, node):
                continue
            found.append(event_view(one))
            if len(found) == limit:
                return Happened(tuple(found), before if before > 1 else None, tuple(damaged))
        if len(page) < _PAGE or wanted.all_past(_times(page)):
            return Happened(tuple(found), None, tuple(damaged))
    return Happened(tuple(found), before, tuple(damaged))


def _times(page: Iterable[Numbered[Event] | Unread] | Iterable[Numbered[AuditRecord] | Unread]) -> list[datetime]:
    return [one.record.time for one in page if isinstance(one, Numbered)]


def is_event(event: Event, wanted: Wanted, node: str | None = None) -> bool:
    """Whether an event is looked for."""
    named = f"{event.kind} {event.node or ''} {event.message}".lower()
    return (
        wanted.has_kind(event.kind)
        and wanted.has_time(event.time)
        and wanted.thing.lower() in named
        and _names(event.node, event.message, node)
    )


def _names(of: str | None, message: str, node: str | None) -> bool:
    return node is None or of == node or node in message.replace(":", " ").replace(",", " ").split()


async def audited(
    store: Store,
    cluster: str | None,
    wanted: Wanted = ALL,
    before: int | None = None,
    limit: int = 100,
    most_read: int = MOST_READ,
) -> AuditList:
    """Who changed what, newest first, in a cluster or (None) everywhere."""
    if cluster is not None:
        await known_cluster(store, cluster)
    found: list[AuditView] = []
    damaged: list[DamagedPlace] = []
    for _ in range(max(1, most_read // _PAGE)):
        page = await store.audit.newest_told(before, _PAGE)
        for one in page:
            before = one.number
            if isinstance(one, Unread):
                damaged.append(damaged_place(one))
                continue
            if cluster not in (None, one.record.cluster) or not _is_record(one.record, wanted):
                continue
            found.append(audit_view(one))
            if len(found) == limit:
                return AuditList(records=tuple(found), before=before if before > 1 else None, damaged=tuple(damaged))
        if len(page) < _PAGE or wanted.all_past(_times(page)):
            return AuditList(records=tuple(found), damaged=tuple(damaged))
    return AuditList(records=tuple(found), before=before, damaged=tuple(damaged))


def _is_record(record: AuditRecord, wanted: Wanted) -> bool:
    return (
        wanted.has_kind(record.action)
        and wanted.has_time(record.time)
        and wanted.who.lower() in record.actor.lower()
        and wanted.thing.lower() in f"{record.action} {record.target}".lower()
        and wanted.outcome in ("", record.outcome)
    )


async def audit_record(store: Store, cluster: str | None, number: int) -> AuditView:
    """One record, of a cluster or (None) of any; NotFound."""
    found = await store.audit.get(number)
    if found is None or cluster not in (None, found.cluster):
        raise NotFound(
            Sentence("there is no audit record %(number)s here", number=number),
            "look at the list; the oldest are not kept for ever",
        )
    return AuditView(number=number, **found.model_dump())
