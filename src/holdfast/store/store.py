"""The store as the rest of the program sees it: what there is of each kind, and commits over several of them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel

from holdfast.errors import Conflict, StoreDamaged, StoreError
from holdfast.sentences import Sentence

from .clock import Clock, SystemClock
from .collection import Collection, Step, key_of
from .holding import Held, Holdings
from .log import Appending, Log, with_appends
from .models import (
    AuditRecord,
    ClusterLock,
    ClusterRecord,
    Event,
    NodeRecord,
    NodeReport,
    Override,
    OverrideKind,
    Presence,
    Registration,
    Revision,
    StoreIdentity,
    Token,
    User,
)
from .port import Engine
from .revisions import Draft, Revisions

T = TypeVar("T", bound=BaseModel)

IDENTITY = "identity"
KEPT_EVENTS = 10_000
KEPT_AUDIT = 100_000
KEPT_REPORTS = 50  # of each node
CLOCKS_DIFFER = timedelta(minutes=1)  # between controllers of one store; what is further ahead is of a wrong clock


class Store:
    """Everything that is kept, on whichever engine. Make one with `Store.open`."""

    def __init__(self, engine: Engine, clock: Clock, identity: StoreIdentity) -> None:
        self.engine = engine
        self.clock = clock
        self.identity = identity
        self.users = Collection(engine, "user/", User)
        self.tokens = Collection(engine, "token/", Token)
        self.audit = Log(engine, "audit/", AuditRecord, KEPT_AUDIT)
        self.events = Log(engine, "event/", Event, KEPT_EVENTS)
        self.holdings = Holdings(engine, clock)
        self.clusters = Collection(engine, "known-cluster/", ClusterRecord)
        self.locks = Collection(engine, "lock/", ClusterLock)  # by cluster

    @classmethod
    async def open(cls, engine: Engine, clock: Clock | None = None) -> Store:
        """The store on `engine`; an empty one gets its identity now. StoreDamaged if a restoration was cut off."""
        clock = clock or SystemClock()
        identity, _ = await read_identity(engine)
        if identity is None:
            identity = StoreIdentity(store_id=secrets.token_hex(16), epoch=1, created=clock.now())
            try:
                await _identities(engine).create(IDENTITY, identity)
            except Conflict:  # another process was first
                identity = (await read_identity(engine))[0] or identity
        if identity.loading:
            raise StoreDamaged(
                "a dump was being loaded into this store, and that did not end",
                Sentence("load it again: holdfast store load FILE --replace %(store)s", store=identity.store_id[:8]),
            )
        return cls(engine, clock, identity)

    def cluster(self, name: str) -> ClusterStore:
        """What is kept of one cluster."""
        return ClusterStore(self, name)

    def collection(self, kind: str, model: type[T]) -> Collection[T]:
        """Records of a kind that only its owner knows; they are dumped and restored like all others."""
        return Collection(self.engine, f"other/{key_of(kind)}/", model)

    async def commit(
        self,
        *steps: Step,
        audit: Sequence[AuditRecord] = (),
        events: Sequence[Event] = (),
        guard: Held | None = None,
    ) -> int:
        """All steps with their audit records and events at once, or nothing; returns the version of what was written.

        Conflict if a step's record has changed meanwhile, or if `guard` is not held any more.
        """
        whole = [*steps, Step(guard.guard)] if guard else list(steps)
        logs: list[Appending[Any]] = []
        if audit:
            logs.append(Appending(self.audit, audit))
        if events:
            logs.append(Appending(self.events, events))
        return (await with_appends(self.engine, whole, logs))[1]


class ClusterStore:
    """What is kept of one cluster."""

    def __init__(self, store: Store, name: str) -> None:
        prefix = f"cluster/{key_of(name)}/"
        self.name = name
        self.store = store
        self.engine = store.engine
        self.revisions = Revisions(store.engine, prefix)
        self.overrides = Collection(store.engine, f"{prefix}override/", Override)  # by override_name
        self.registrations = Collection(store.engine, f"{prefix}registration/", Registration)  # by instance_name
        self.nodes = Collection(store.engine, f"{prefix}node/", NodeRecord)
        self.reports = Collection(store.engine, f"{prefix}report/", NodeReport)  # the latest of each node
        self.presences = Collection(store.engine, f"{prefix}presence/", Presence)  # under leases
        self._prefix = prefix

    def collection(self, kind: str, model: type[T]) -> Collection[T]:
        """Records of this cluster of a kind that only its owner knows; dumped and restored like all others."""
        return Collection(self.engine, f"{self._prefix}other/{key_of(kind)}/", model)

    async def add_revision(
        self,
        draft: Draft,
        *steps: Step,
        audit: Sequence[AuditRecord] = (),
        events: Sequence[Event] = (),
        guard: Held | None = None,
    ) -> Revision:
        """A draft as the newest revision, with whatever else belongs to it, at once or not at all.

        Conflict if `base` is not the newest: its `present` is the newest then. Conflict, too, as of Store.commit.
        """
        revision, written = await self.revisions.adding(draft)
        try:
            await self.store.commit(*written, *steps, audit=audit, events=events, guard=guard)
        except Conflict as conflict:
            raise await self.revisions.explained(conflict, draft.base) from None
        return revision

    def report_history(self, node: str) -> Log[NodeReport]:
        """The last KEPT_REPORTS reports of a node."""
        return Log(self.engine, f"{self._prefix}report-history/{key_of(node)}/", NodeReport, KEPT_REPORTS)

    async def report(self, report: NodeReport, past: NodeReport | None = None) -> bool:
        """Keep a report as the node's latest and in its history; False if a later one is there already.

        One that is much later is of a clock that was put back since: it gives way.

        `past`: what its history gets instead, where the report is too large to be kept many times.
        """
        while True:
            latest = await self.reports.get(report.node)
            if latest and timedelta() < latest.record.time - report.time <= CLOCKS_DIFFER:
                return False
            step = self.reports.replacing(report.node, report, latest.version if latest else 0)
            try:
                await with_appends(self.engine, [step], [Appending(self.report_history(report.node), [past or report])])
            except Conflict:
                continue  # another report of this node came in; only a later one can, so this ends
            return True

    async def register(self, registration: Registration) -> int:
        """Register an instance, in place of what it registered before; returns the lease to keep.

        Conflict if the same instance is being registered elsewhere at this moment.
        """
        name = instance_name(registration.service, registration.instance)
        before = await self.registrations.get(name)
        lease = await self.engine.grant(registration.ttl)
        try:
            await self.registrations.replace(name, registration, before.version if before else 0, lease)
        except StoreError:
            with suppress(StoreError):  # it ends by itself; why nothing was registered is what matters
                await self.engine.revoke(lease)
            raise
        return lease


async def read_identity(engine: Engine) -> tuple[StoreIdentity | None, int]:
    """Which store this is, without making it one, and the version of that; None and 0 if it was never used."""
    found = await _identities(engine).get(IDENTITY)
    return (found.record, found.version) if found else (None, 0)


def _identities(engine: Engine) -> Collection[StoreIdentity]:
    return Collection(engine, "", StoreIdentity)


def override_name(kind: OverrideKind, target: str) -> str:
    """Under which name an override is kept: one of a kind for each target."""
    return f"{kind}/{target}"


OF_POOL = "pool:"  # before a pool in the name of an override, where a virtual server stands else


@dataclass(frozen=True, slots=True)
class Overridden:
    """What an override is about, by its name alone: all that is known of one whose record is not understood."""

    kind: OverrideKind
    target: str
    virtual_server: str | None
    pool: str | None = None


def overridden(name: str) -> Overridden | None:
    """What the override of that name is about; None: not even its name is one."""
    kind, slash, target = name.partition("/")
    server, at, place = target.partition("@")
    if kind not in set(OverrideKind) or not (slash and server) or bool(at) != bool(place):
        return None
    if place.startswith(OF_POOL):
        return Overridden(OverrideKind(kind), server, None, place.removeprefix(OF_POOL))
    return Overridden(OverrideKind(kind), server, place or None)


def instance_name(service: str, instance: str) -> str:
    """Under which name a registration is kept: those of a service lie together."""
    return f"{service}/{instance}"
