"""Clusters made known, and what is chosen once for each: read, and written where files had it before."""

from __future__ import annotations

from collections.abc import Collection

from holdfast.compile.lock import Lock, Secrets
from holdfast.errors import Conflict, StateForbids, StoreDamaged, UsageError
from holdfast.protocol.api.clusters import (
    ClusterList,
    ClusterRequest,
    ClusterView,
    LockRequest,
    LockView,
)
from holdfast.sentences import Sentence
from holdfast.spec.load import parse_model
from holdfast.store.models import ClusterRecord
from holdfast.store.store import Store

from .compiling import Choices, choices_of, kept
from .desk import Desk, known_cluster


async def clusters(store: Store, only: Collection[str] | None = None) -> ClusterList:
    """Every cluster that the store knows, or those of `only` that it does."""
    names = [name for name in await store.clusters.names() if only is None or name in only]
    return ClusterList(clusters=tuple([await _view(store, name) for name in names]))


async def cluster(store: Store, name: str) -> ClusterView:
    """One cluster; NotFound."""
    await known_cluster(store, name)
    return await _view(store, name)


async def _view(store: Store, name: str) -> ClusterView:
    """A cluster, whose record may be damaged: all others can be looked at all the same, and what is kept of it, too."""
    newest = await store.cluster(name).revisions.newest_number()
    try:
        found = await store.clusters.get(name)
    except StoreDamaged as error:
        return ClusterView(name=name, created=None, newest=newest, damaged=error.message)
    record = found.record if found else None
    return ClusterView(
        name=name,
        created=record.created if record else None,
        description=record.description if record else "",
        newest=newest,
    )


async def make_cluster(desk: Desk, request: ClusterRequest) -> ClusterView:
    """Make a cluster known; StateForbids if it is."""
    record = ClusterRecord(name=request.name, created=desk.now(), description=request.description)
    told = desk.told("cluster.create", request.name, request.name, after=record)
    try:
        await desk.store.commit(desk.store.clusters.creating(request.name, record), audit=[told])
    except Conflict:
        raise StateForbids(
            Sentence("there is a cluster '%(name)s' already", name=request.name), "take another name"
        ) from None
    return await _view(desk.store, request.name)


async def read_lock(desk: Desk, name: str) -> LockView:
    """What is chosen for a cluster; of secrets, their names."""
    await known_cluster(desk.store, name)
    return _lock_view(name, await choices_of(desk, name), await _lock_text(desk, name))


async def _lock_text(desk: Desk, name: str) -> str:
    found = await desk.store.locks.get(name)
    return found.record.lock if found else ""


def _lock_view(name: str, choices: Choices, text: str) -> LockView:
    named = (*(f"vrrp/{one}" for one in choices.secrets.vrrp), *(f"origin/{one}" for one in choices.secrets.origin))
    return LockView(cluster=name, lock=text, secrets=tuple(sorted(named)), version=choices.version)


async def write_lock(desk: Desk, name: str, request: LockRequest) -> LockView:
    """Replace what is chosen for a cluster by what files say; Conflict if `version` is not the present one."""
    await known_cluster(desk.store, name)
    lock, _ = parse_model(Lock, request.lock, f"{name}.lock")
    present = await choices_of(desk, name)
    secrets = present.secrets
    if request.secrets is not None:
        secrets, _ = parse_model(Secrets, request.secrets.get_secret_value(), f"{name}.secrets")
    if {lock.cluster, secrets.cluster} != {name}:
        raise UsageError(
            Sentence("these are not the lock and secrets of cluster '%(name)s'", name=name),
            "send those of this cluster",
        )
    after = Choices(lock, secrets, request.version)
    record = kept(desk, after)
    before = await desk.store.locks.get(name)
    told = desk.told("lock.write", name, name, before=before.record if before else None, after=record)
    written = await desk.store.commit(desk.store.locks.replacing(name, record, request.version), audit=[told])
    return _lock_view(name, Choices(lock, secrets, written), record.lock)
