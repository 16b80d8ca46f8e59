"""Records of a cluster that are not understood: named, with what each holds up, and cleared on an admin's word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from holdfast.errors import Conflict, NotFound, PlanRefused
from holdfast.protocol.api.damaged import ClearRequest, DamagedList, DamagedRecord
from holdfast.rollout.records import RolloutStore
from holdfast.sentences import Sentence
from holdfast.spec.overrides import Override as SpecOverride
from holdfast.store.collection import Collection, Damaged
from holdfast.store.models import OverrideKind
from holdfast.store.store import ClusterStore, Overridden, overridden

from ..agents.losing import is_about
from .desk import Desk, known_cluster
from .mending import CLUSTER, HEAD, REVISION, Mend, mend_of
from .reports import Heard

_SHOWN = 2000  # characters of a record that the audit keeps


async def damaged(desk: Desk, cluster: str) -> DamagedList:
    """Every record of a cluster that is not understood; none: all is well."""
    known = await known_cluster(desk.store, cluster)
    found: list[DamagedRecord] = []
    for kind, records in _collections(known).items():
        for one in await _damaged(known, kind, records):
            found.append(_told(kind, one, await mend_of(desk, cluster, kind, records, one)))
    return DamagedList(records=tuple(found))


async def clear(desk: Desk, cluster: str, asked: ClearRequest) -> DamagedRecord:
    """Remove one, or put in its place what is known; NotFound if there is none of that name.

    Conflict if it is another than was looked at, PlanRefused for what is sound.
    """
    known = await known_cluster(desk.store, cluster)
    records = _collections(known).get(asked.kind)
    if records is None:
        raise NotFound(
            Sentence("there are no records of the kind '%(kind)s'", kind=asked.kind[:40]),
            Sentence("known: %(known)s", known=", ".join(_collections(known))),
        )
    bad = {one.name: one for one in await _damaged(known, asked.kind, records)}
    one = bad.get(asked.name)
    if one is None:
        if await records.version(asked.name) and (asked.kind != CLUSTER or asked.name == known.name):
            raise PlanRefused(
                Sentence("%(kind)s %(name)s is understood", kind=asked.kind, name=asked.name),
                "nothing has to be cleared",
            )
        raise NotFound(
            Sentence("there is no %(kind)s '%(name)s'", kind=asked.kind, name=asked.name[:200]),
            "list them: holdfast damaged list",
        )
    if asked.version is not None and asked.version != one.version:
        raise Conflict(
            "it has changed since it was looked at", "look again", expected=asked.version, present=one.version
        )
    before = {"damaged": one.value[:_SHOWN].decode(errors="replace"), "why": one.why}
    told = desk.told("damaged.clear", f"{asked.kind} {one.name}", cluster, before=before)
    who = desk.actor.removeprefix("user:")
    said = Sentence("the damaged %(kind)s %(name)s was cleared by %(who)s", kind=asked.kind, name=one.name, who=who)
    event = desk.event("damaged.clear", cluster, said)
    mend = await mend_of(desk, cluster, asked.kind, records, one)
    if not mend.steps:
        raise PlanRefused(
            Sentence("%(kind)s %(name)s cannot be cleared yet", kind=asked.kind, name=one.name), mend.then
        )
    await desk.store.commit(*mend.steps, audit=[told], events=[event])
    return _told(asked.kind, one, mend)


async def _damaged(known: ClusterStore, kind: str, records: Collection[Any]) -> Sequence[Damaged]:
    """Of records of clusters, this cluster's own: who may clear here may not do so elsewhere."""
    found = (await records.sound())[1]
    return [one for one in found if kind != CLUSTER or one.name == known.name]


def _collections(known: ClusterStore) -> Mapping[str, Collection[Any]]:
    rollouts = RolloutStore(known.store, known.name)
    return {
        "override": known.overrides,
        "report": known.reports,
        "registration": known.registrations,
        "node": known.nodes,
        "assignment": rollouts.assignments,
        "rollout": rollouts.rollouts,
        HEAD: rollouts.heads,
        "move": rollouts.moves,
        REVISION: known.revisions.headings,
        CLUSTER: known.store.clusters,
    }


def _told(kind: str, one: Damaged, mend: Mend) -> DamagedRecord:
    return DamagedRecord(
        kind=kind, name=one.name, version=one.version, why=one.why[:1000], clearable=bool(mend.steps), then=mend.then
    )


def trouble_of(lost: Iterable[Damaged], heard: Mapping[str, Heard]) -> list[str]:
    """A sentence for each damaged override: whom it concerns, and what to do."""
    return [_sentence(one.name, heard) for one in lost]


def _sentence(name: str, heard: Mapping[str, Heard]) -> str:
    of = overridden(name)
    target = of.target if of else Sentence("its server")
    then = Sentence("see holdfast damaged list, and say anew what is so of %(target)s", target=target)
    if of is not None and of.kind is OverrideKind.MAINTENANCE:
        return Sentence("the record that %(node)s is in maintenance is damaged: %(then)s", node=of.target, then=then)
    nodes = ", ".join(node for node, one in sorted(heard.items()) if one.report.overrides and _has(of, one))
    told = Sentence("directors that have it wait")
    if nodes:
        told = Sentence("%(nodes)s get no new revision and no other override", nodes=nodes)
    return Sentence("the override %(name)s is damaged: %(told)s; %(then)s", name=name, told=told, then=then)


def _has(of: Overridden | None, heard: Heard) -> bool:
    if of is not None and of.pool is not None:
        return heard.report.overrides is not None and of.pool in heard.report.overrides.pool_names
    rows = heard.report.overrides.servers if heard.report.overrides else ()
    return any(is_about(of, row.source, row.server) for row in rows)


def feared(lost: Iterable[Damaged]) -> tuple[SpecOverride, ...]:
    """Damaged overrides of servers as the worst that they may be, for whoever asks who is left to answer."""
    return tuple(
        SpecOverride(server=of.target, virtual_server=of.virtual_server, pool=of.pool, kind="suspended")
        for one in lost
        if (of := overridden(one.name)) is not None and of.kind is not OverrideKind.MAINTENANCE
    )
