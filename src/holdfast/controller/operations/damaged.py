"""Records of a cluster that are not understood: named, with what each holds up, and cleared on an admin's word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from holdfast.errors import Conflict, NotFound, PlanRefused
from holdfast.protocol.api.damaged import ClearRequest, DamagedList, DamagedRecord
from holdfast.rollout.records import RolloutStore
from holdfast.sentences import Sentence
from holdfast.spec.overrides import Override as SpecOverride
from holdfast.store.collection import Collection, Damaged
from holdfast.store.models import OverrideKind
from holdfast.store.store import ClusterStore, Overridden, Store, overridden

from ..agents.losing import is_about
from .desk import Desk, known_cluster
from .reports import Heard

_SHOWN = 2000  # characters of a record that the audit keeps
# What is lost with a record of each kind that may be cleared.
_CLEARED = {
    "override": "what was overridden ends, unless it is set again",
    "report": "what the node said last: it says it again with its next report",
    "registration": "the instance: it registers again if it lives",
}


async def damaged(store: Store, cluster: str) -> DamagedList:
    """Every record of a cluster that is not understood; none: all is well."""
    known = await known_cluster(store, cluster)
    found: list[DamagedRecord] = []
    for kind, records in _collections(known).items():
        found += [_told(kind, one) for one in (await records.sound())[1]]
    return DamagedList(records=tuple(found))


async def clear(desk: Desk, cluster: str, asked: ClearRequest) -> DamagedRecord:
    """Remove one; NotFound if there is none of that name, Conflict if it is another than was looked at.

    PlanRefused for what is sound, and for kinds that nothing can be done without.
    """
    known = await known_cluster(desk.store, cluster)
    records = _collections(known).get(asked.kind)
    if records is None:
        raise NotFound(
            f"there are no records of the kind '{asked.kind[:40]}'", f"known: {', '.join(_collections(known))}"
        )
    bad = {one.name: one for one in (await records.sound())[1]}
    one = bad.get(asked.name)
    if one is None:
        if await records.version(asked.name):
            raise PlanRefused(f"{asked.kind} {asked.name} is understood", "nothing has to be cleared")
        raise NotFound(f"there is no {asked.kind} '{asked.name[:200]}'", "list them: holdfast damaged list")
    if asked.kind not in _CLEARED:
        raise PlanRefused(f"nothing goes on without {asked.kind} {one.name}", "restore a dump of the store")
    if asked.version is not None and asked.version != one.version:
        raise Conflict(
            "it has changed since it was looked at", "look again", expected=asked.version, present=one.version
        )
    before = {"damaged": one.value[:_SHOWN].decode(errors="replace"), "why": one.why}
    told = desk.told("damaged.clear", f"{asked.kind} {one.name}", cluster, before=before)
    said = f"the damaged {asked.kind} {one.name} was cleared by {desk.actor.removeprefix('user:')}"
    event = desk.event("damaged.clear", cluster, said)
    await desk.store.commit(records.deleting(one.name, one.version), audit=[told], events=[event])
    return _told(asked.kind, one)


def _collections(known: ClusterStore) -> Mapping[str, Collection[Any]]:
    rollouts = RolloutStore(known.store, known.name)
    return {
        "override": known.overrides,
        "report": known.reports,
        "registration": known.registrations,
        "node": known.nodes,
        "assignment": rollouts.assignments,
        "rollout": rollouts.rollouts,
    }


def _told(kind: str, one: Damaged) -> DamagedRecord:
    lost = _CLEARED.get(kind)
    return DamagedRecord(
        kind=kind,
        name=one.name,
        version=one.version,
        why=one.why[:1000],
        clearable=lost is not None,
        then=lost or "it cannot be cleared: restore a dump of the store",
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
