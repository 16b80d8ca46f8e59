"""Servers drained, suspended, weighed and resumed: written for all directors at once, and seen in their kernels."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from holdfast.errors import Conflict, NotFound, PlanRefused, StoreUnavailable, UsageError
from holdfast.protocol import MOST_POOL_WEIGHT, OverrideReport
from holdfast.protocol.api.overrides import OverrideList, OverrideRequest, OverrideResult, OverrideWord
from holdfast.sentences import Sentence, joined
from holdfast.spec import LoadedSpec
from holdfast.spec.load import parse_spec
from holdfast.spec.overrides import Override as SpecOverride
from holdfast.spec.overrides import known_servers
from holdfast.spec.pool_users import nodes_of_pool, nodes_with_pools
from holdfast.spec.resolve_lvs import all_directors
from holdfast.spec.resolve_lvs import directors as directors_of
from holdfast.store.collection import Damaged, Step
from holdfast.store.models import Override, OverrideKind
from holdfast.store.store import OF_POOL, ClusterStore, Overridden, Store, overridden, override_name

from .compiling import content_of
from .damaged import feared
from .desk import Desk, known_cluster
from .quorum import too_few
from .reports import Heard, is_fresh, latest_of
from .servers import Meant, left, meant, rows, shown_by, split
from .told import is_over, override_view

_ATTEMPTS = 10
_MOST_SERVERS = 25  # of one wish: each may take three records away, and all is one commit
_POLL_S = 0.25
_OF_SERVERS = (OverrideKind.DRAINED, OverrideKind.SUSPENDED, OverrideKind.WEIGHT)


@dataclass(frozen=True)
class _Wanted:
    """What is to be so of some servers; `kind` None ends what was."""

    meant: Meant
    kind: OverrideKind | None

    def shown_by(self, report: OverrideReport) -> bool:
        """Whether a director's kernel, or a proxy, has it, of each server that it sends to."""
        return shown_by(report, self.meant, self.kind.value if self.kind else None)

    def replaces(self, one: Override | Overridden) -> bool:
        """Whether an override is what this puts something else in the place of."""
        if one.target not in self.meant.servers or one.pool != self.meant.pool:
            return False
        return self.meant.virtual_server in (None, one.virtual_server)


async def overrides(store: Store, cluster: str) -> OverrideList:
    """All that is overridden, and what each director last said of it."""
    known = await known_cluster(store, cluster)
    now = store.clock.now()
    sound, lost = await known.overrides.sound()
    records = sorted((one.record for one in sound), key=lambda one: (one.target, one.kind))
    directors = await _directors(store, known)
    heard = await latest_of(known, directors)
    said = {node: heard[node].report.overrides for node in directors if node in heard}
    reports = {node: report for node, report in said.items() if report is not None}
    present = {one.name for one in (await known.presences.sound())[0]}
    return OverrideList(
        overrides=tuple(override_view(one, now) for one in records),
        directors=reports,
        silent=tuple(node for node in directors if node not in reports),
        old={node: heard[node].time for node in reports if not is_fresh(heard[node], now, node in present)},
        damaged=tuple(one.name for one in lost),
    )


async def set_override(
    desk: Desk, cluster: str, kind: OverrideWord, target: str, request: OverrideRequest
) -> OverrideResult:
    """Drain, suspend or weigh a server (`web01:80`, or `web01`: all its ports), in place of what was said of it.

    PlanRefused if nobody would be left to answer, unless it is forced; UsageError for what there is not.
    """
    if kind in (OverrideWord.ANY, OverrideWord.MAINTENANCE):
        raise UsageError(Sentence("a server cannot be '%(kind)s'", kind=kind), "drained, suspended, or weight")
    if (kind is OverrideWord.WEIGHT) != (request.weight is not None):
        raise UsageError(
            "a weight belongs to an override of the kind 'weight', and to no other", "give it, or leave it"
        )
    if request.until is not None and request.until <= desk.now():
        raise UsageError(
            Sentence("%(until)s is over already", until=request.until.isoformat()), "name a moment to come"
        )
    known = await known_cluster(desk.store, cluster)
    loaded = await _spec(desk.store, known)
    wanted = _Wanted(_meant(loaded, target, request.virtual_server, request.pool), OverrideKind(kind.value))
    _refuse_too_heavy(wanted, request)
    await _refuse_older(known, loaded, wanted)
    new = [_override(desk, server, wanted, request) for server in wanted.meant.servers]
    warnings = await _warnings(desk, known, loaded, wanted, new)
    if warnings and not request.force:
        raise PlanRefused(joined(warnings), "say --force if you mean it")
    began = desk.now()
    await _write(desk, known, wanted, new)
    return await _shown(desk, known, loaded, wanted, began, warnings, request.wait_s)


async def clear_override(
    desk: Desk,
    cluster: str,
    kind: OverrideWord,
    target: str,
    virtual_server: str | None = None,
    pool: str | None = None,
    wait_s: float = 10.0,
) -> OverrideResult:
    """End what was decided about a server; `kind` says which it has to be, `any` takes whatever it is.

    To end what there is not is no mistake. NotFound for a server that is neither in the spec nor overridden.
    """
    known = await known_cluster(desk.store, cluster)
    loaded = await _spec(desk.store, known)
    present = await _of_servers(known)
    target, pool = (target, pool) if pool is not None else split(target)
    stray = {one.target for one in present if one.pool == pool and _names(one, target)}
    try:
        servers = _meant(loaded, target, virtual_server, pool)
    except UsageError as error:
        if not stray:
            raise NotFound(error.message, error.hint) from None
        servers = Meant(tuple(stray), virtual_server, pool)  # the spec has forgotten it, the override has not
    everywhere = [
        one for one in present if one.target in servers.servers and one.virtual_server is None and one.pool is None
    ]
    if virtual_server is not None and everywhere:
        raise UsageError(
            Sentence("'%(target)s' is overridden in all its virtual servers", target=everywhere[0].target),
            "leave --from out",
        )
    wanted = _Wanted(servers, None)
    began = desk.now()
    await _write(desk, known, wanted, [], None if kind is OverrideWord.ANY else OverrideKind(kind.value))
    return await _shown(desk, known, loaded, wanted, began, (), wait_s)


def _names(one: Overridden, target: str) -> bool:
    return target in (one.target, one.target.rpartition(":")[0])


def _meant(loaded: LoadedSpec, target: str, virtual_server: str | None, pool: str | None) -> Meant:
    found = meant(loaded.spec, target, virtual_server, pool)
    if len(found.servers) > _MOST_SERVERS:
        raise UsageError(
            Sentence("'%(target)s' means %(n)s servers", target=target, n=len(found.servers)), "name one with its port"
        )
    return found


def _refuse_too_heavy(wanted: _Wanted, request: OverrideRequest) -> None:
    if wanted.meant.pool is not None and (request.weight or 0) > MOST_POOL_WEIGHT:
        hint = Sentence(
            "%(most)s is the most: HAProxy takes no larger one, and they count in proportion", most=MOST_POOL_WEIGHT
        )
        raise UsageError(Sentence("%(weight)s is too large for a server of a pool", weight=request.weight), hint)


async def _refuse_older(known: ClusterStore, loaded: LoadedSpec, wanted: _Wanted) -> None:
    """PlanRefused where an agent would take no notice: one that never reported is told when it joins."""
    if wanted.meant.pool is None:
        return
    heard = await latest_of(known, _sending(loaded, wanted))
    older = [name for name, one in heard.items() if not (one.report.overrides and one.report.overrides.knows_pools)]
    if older:
        raise PlanRefused(
            Sentence(
                "the agent of %(older)s has not said that it knows overrides of pools", older=", ".join(sorted(older))
            ),
            "install this version of Holdfast there and roll out; an agent that has just started says so in a moment",
        )


def _override(desk: Desk, server: str, wanted: _Wanted, request: OverrideRequest) -> Override:
    assert wanted.kind is not None, "asked for new ones only"
    return Override(
        kind=wanted.kind,
        target=server,
        virtual_server=wanted.meant.virtual_server,
        pool=wanted.meant.pool,
        weight=request.weight,
        who=desk.actor.removeprefix("user:"),
        why=request.why,
        since=desk.now(),
        until=request.until,
    )


async def _spec(store: Store, known: ClusterStore) -> LoadedSpec:
    newest = await known.revisions.newest_number()
    if not newest:
        raise NotFound(
            Sentence("%(name)s has no revision yet", name=known.name),
            Sentence("apply a spec first: holdfast apply cluster.yaml"),
        )
    content = await content_of(store, known.name, newest)
    return await asyncio.to_thread(parse_spec, content.spec, f"revision {newest}")


async def _directors(store: Store, known: ClusterStore) -> tuple[str, ...]:
    if not await known.revisions.newest_number():
        return ()
    spec = (await _spec(store, known)).spec
    found = {*all_directors(spec), *nodes_with_pools(spec)}
    return tuple(node for node in spec.nodes if node in found)


async def _warnings(
    desk: Desk, known: ClusterStore, loaded: LoadedSpec, wanted: _Wanted, new: Iterable[Override]
) -> tuple[str, ...]:
    sound, lost = await known.overrides.sound()
    present = [one.record for one in sound if one.record.kind in _OF_SERVERS]
    now = desk.now()
    after = [one for one in present if not wanted.replaces(one) and not is_over(one, now)]
    heard = await latest_of(known, _sending(loaded, wanted))
    reports = [one.report.overrides for one in heard.values() if one.report.overrides is not None]
    told = [*(_of_spec(one) for one in (*after, *new)), *feared(one for one in lost if not _mended(one, wanted))]
    return too_few(loaded.spec, told, wanted.meant, reports)


def _of_spec(one: Override) -> SpecOverride:
    kind = one.kind.value
    assert kind != "maintenance", "servers alone"
    return SpecOverride(
        server=one.target,
        virtual_server=one.virtual_server,
        pool=one.pool,
        kind=kind,
        weight=one.weight,
        since=one.since,
    )


async def _write(
    desk: Desk, known: ClusterStore, wanted: _Wanted, new: Collection[Override], only: OverrideKind | None = None
) -> None:
    """Whatever was said of the servers goes, what is new comes, in one commit; somebody else's write is no reason."""
    for _ in range(_ATTEMPTS):
        sound, damaged = await known.overrides.sound()
        present = [one for one in sound if one.record.kind in _OF_SERVERS]
        gone = [one for one in present if wanted.replaces(one.record) and only in (None, one.record.kind)]
        lost = {one.name: one.version for one in damaged if _mended(one, wanted, only)}
        steps = _steps(known, {one.name: one.version for one in gone} | lost, new)
        if not steps:
            return
        audit, events = [], []
        for server in wanted.meant.servers:
            before: list[object] = [one.record for one in gone if one.record.target == server]
            before += [{"damaged": name} for name in lost if _target(name) == server]
            after = [one for one in new if one.target == server]
            if not before and not after:
                continue
            action = "override.set" if after else "override.end"
            named = f"{wanted.meant.pool}/{server}" if wanted.meant.pool else server
            audit.append(desk.told(action, named, known.name, before=before or None, after=after or None))
            events.append(desk.event(action, known.name, _sentence(desk, named, wanted, after)))
        try:
            await desk.store.commit(*steps, audit=audit, events=events)
        except Conflict:
            continue
        return
    raise StoreUnavailable("others kept changing the overrides of these servers", "try again in a moment")


def _target(name: str) -> str:
    of = overridden(name)
    return of.target if of else ""


def _mended(one: Damaged, wanted: _Wanted, only: OverrideKind | None = None) -> bool:
    """Whether what is wanted now says anew what a damaged record said: it takes its place."""
    of = overridden(one.name)
    return of is not None and of.kind in _OF_SERVERS and only in (None, of.kind) and wanted.replaces(of)


async def _of_servers(known: ClusterStore) -> list[Overridden]:
    """What is overridden of servers, by the names of the records: those that are not understood included."""
    sound, lost = await known.overrides.sound()
    found = [of for name in (*(one.name for one in sound), *(one.name for one in lost)) if (of := overridden(name))]
    return [of for of in found if of.kind in _OF_SERVERS]


def _steps(known: ClusterStore, gone: Mapping[str, int], new: Iterable[Override]) -> list[Step]:
    versions = dict(gone)
    steps = []
    for one in new:
        name = name_of(one)
        steps.append(known.overrides.replacing(name, one, versions.pop(name, 0)))
    return steps + [known.overrides.deleting(name, version) for name, version in versions.items()]


def name_of(one: Override) -> str:
    """Under which name an override is kept: one of a kind for each server in each virtual server, in all, in a pool."""
    place = f"@{OF_POOL}{one.pool}" if one.pool else f"@{one.virtual_server}" if one.virtual_server else ""
    return override_name(one.kind, f"{one.target}{place}")


def _sentence(desk: Desk, server: str, wanted: _Wanted, after: Collection[Override]) -> str:
    names = {"server": server, "who": desk.actor.removeprefix("user:")}
    weight = next((f" {one.weight}" for one in after if one.weight is not None), "")
    place = wanted.meant.virtual_server
    why = next((f": {one.why}" for one in after if one.why), "")
    if wanted.kind is None and place:
        return Sentence("%(server)s is in service again in %(place)s, says %(who)s", **names, place=place)
    if wanted.kind is None:
        return Sentence("%(server)s is in service again, says %(who)s", **names)
    what = Sentence("%(kind)s%(weight)s", kind=Sentence(wanted.kind.value), weight=weight)
    if place:
        told = {**names, "what": what, "place": place, "why": why}
        return Sentence("%(server)s is %(what)s in %(place)s, says %(who)s%(why)s", **told)
    return Sentence("%(server)s is %(what)s, says %(who)s%(why)s", **names, what=what, why=why)


async def _shown(
    desk: Desk,
    known: ClusterStore,
    loaded: LoadedSpec,
    wanted: _Wanted,
    began: datetime,
    warnings: tuple[str, ...],
    wait_s: float,
) -> OverrideResult:
    """Wait until every director says that its kernel has it, or until it is time to say which have not."""
    directors = _sending(loaded, wanted)
    deadline = asyncio.get_running_loop().time() + wait_s
    while True:  # ends: at the deadline
        heard = await latest_of(known, directors)
        failed = {node: said for node in directors if (said := _missing(heard.get(node), wanted, began))}
        if not failed or asyncio.get_running_loop().time() >= deadline:
            break
        await asyncio.sleep(_POLL_S)
    reports = _reports(heard, directors)
    return OverrideResult(
        ok=not failed,
        servers=wanted.meant.servers,
        virtual_server=wanted.meant.virtual_server,
        pool=wanted.meant.pool,
        directors=reports,
        failed=failed,
        warnings=warnings,
        open=left(reports.values(), wanted.meant),
    )


def _sending(loaded: LoadedSpec, wanted: _Wanted) -> tuple[str, ...]:
    """The directors, or the nodes of proxies, that send to any of the servers."""
    if wanted.meant.pool is not None:
        return nodes_of_pool(loaded.spec, wanted.meant.pool) if wanted.meant.pool in loaded.spec.pools else ()
    known = known_servers(loaded.spec)
    names = {name for server in wanted.meant.servers for name in known.get(server, ())}
    if wanted.meant.virtual_server is not None:
        names &= {wanted.meant.virtual_server}
    found = {node for name in names for node in directors_of(loaded.spec, name)}
    return tuple(node for node in loaded.spec.nodes if node in found)


def _reports(heard: Mapping[str, Heard], directors: Iterable[str]) -> dict[str, OverrideReport]:
    found = {node: heard[node].report.overrides for node in directors if node in heard}
    return {node: report for node, report in found.items() if report is not None}


def _missing(heard: Heard | None, wanted: _Wanted, began: datetime) -> str:
    """Why a director does not count as told, or nothing."""
    if heard is None:
        return Sentence("its agent has never reported: it is told when it joins")
    report = heard.report.overrides
    if report is None or heard.time < began:
        return Sentence(
            "its agent has not said since that it is so (last heard of at %(time)s UTC)", time=f"{heard.time:%H:%M:%S}"
        )
    if not wanted.shown_by(report):
        return report.told or _not_shown(report, wanted)
    return ""


def _not_shown(report: OverrideReport, wanted: _Wanted) -> str:
    pool = wanted.meant.pool
    if pool is not None and pool not in report.pool_names:
        return Sentence(
            "its proxy has no pool %(pool)s yet, or one from before there were overrides of pools: roll out once",
            pool=pool,
        )
    if pool is not None:
        return Sentence("its proxy does not show it")
    shown = any(True for _ in rows(report, wanted.meant))
    return Sentence("its kernel's table does not show it") if shown else Sentence("it does not know these servers")
