"""A cluster at one glance: who is there, who holds what, what is up, what is behind, what is wrong."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from holdfast.errors import NotFound, StoreDamaged
from holdfast.protocol import DriftKind, NodeStatus, PooledServer, Progress
from holdfast.protocol.api.nodes import NodeConfiguration, NodeDetail, NodeList, NodeSummary
from holdfast.protocol.api.status import AddressView, ClusterStatus, ServerHealth, ServiceHealth
from holdfast.rollout.bundles import Bundles
from holdfast.rollout.judge import nothing
from holdfast.rollout.propose import list_rollouts
from holdfast.rollout.records import Assignment, RolloutPhase, RolloutStore
from holdfast.sentences import Sentence
from holdfast.store.collection import Damaged
from holdfast.store.models import NodeRecord, Override, OverrideKind, Revision
from holdfast.store.store import ClusterStore, Store, override_name

from .cut_off import trouble_of_moves
from .damaged import trouble_of as damaged_overrides
from .desk import known_cluster
from .left import nothing_left
from .reports import SAID_WITHIN, Heard, is_fresh, latest_and_damaged, standing
from .told import file_views, override_view, revision_view, rollout_view
from .written import Written, as_written, written

_ENDED_BADLY = (RolloutPhase.FAILED, RolloutPhase.PUT_BACK, RolloutPhase.REFUSED)


@dataclass(frozen=True)
class _Seen:
    """What the store has of a cluster's nodes at one moment."""

    cluster: str
    epoch: int  # of the store
    now: datetime
    newest: int
    revision: Revision | None  # the newest; None, too, if it is not understood
    records: Mapping[str, NodeRecord]
    assignments: Mapping[str, Assignment]
    heard: Mapping[str, Heard]
    present: frozenset[str]  # nodes whose agents are connected to some controller
    overrides: tuple[Override, ...]
    lost: tuple[Damaged, ...]  # overrides that are not understood
    unread: tuple[tuple[str, str], ...]  # other records that are not, by kind and name

    @property
    def nodes(self) -> list[str]:
        """Every node that is known in any way."""
        lost = {name for kind, name in self.unread if kind in ("node", "assignment", "report")}
        return sorted(self.records.keys() | self.assignments.keys() | lost)

    def is_connected(self, node: str) -> bool:
        """Whether what it last said is still so: it would have said otherwise."""
        heard = self.heard.get(node)
        return heard is not None and is_fresh(heard, self.now, node in self.present)

    def has_left(self, node: str) -> bool:
        """Whether it is to run nothing any more."""
        wanted = self.assignments.get(node)
        return wanted is None or wanted.digest == nothing(self.cluster, node).digest

    def in_maintenance(self, node: str) -> bool:
        """Whether somebody has taken it out."""
        name = override_name(OverrideKind.MAINTENANCE, node)
        kept = any(one.kind is OverrideKind.MAINTENANCE and one.target == node for one in self.overrides)
        return kept or any(one.name == name for one in self.lost)


async def status(store: Store, cluster: str) -> ClusterStatus:
    """All that matters now, from what agents last said."""
    known = await known_cluster(store, cluster)
    seen = await _see(store, known)
    rollouts = await list_rollouts(store, cluster, limit=1)
    content = await known.revisions.content(seen.newest) if seen.newest else None
    summaries = tuple(_summary(seen, node) for node in seen.nodes)
    groups = tuple(_groups(seen))
    trouble = [said async for said in _trouble_of_store(store, seen)]
    trouble += [said] if (said := await trouble_of_moves(store, cluster)) else []
    trouble += [Sentence("%(node)s: %(what)s", node=one.node, what=said) for one in summaries for said in one.trouble]
    trouble += [said for group in groups for said in _trouble_of(group, seen)]
    trouble += damaged_overrides(seen.lost, seen.heard)
    trouble += [_not_understood(kind, name) for kind, name in seen.unread]
    # Of an older revision it is no trouble any more: somebody has taken the change back, or changed it.
    if rollouts and rollouts[0].phase in _ENDED_BADLY and rollouts[0].revision >= seen.newest:
        trouble.append(_ended(rollouts[0].phase, rollouts[0].id, rollouts[0].revision, rollouts[0].reason))
    services = tuple(_services(seen, await written(store, cluster)))
    trouble += nothing_left(services)
    return ClusterStatus(
        cluster=cluster,
        time=seen.now,
        ok=not trouble,
        trouble=tuple(trouble),
        revision=revision_view(seen.revision) if seen.revision else None,
        rollout=rollout_view(rollouts[0]) if rollouts else None,
        nodes=summaries,
        groups=groups,
        services=services,
        overrides=tuple(override_view(one, seen.now) for one in seen.overrides),
        findings=content.findings if content else (),
        newest=seen.newest,
    )


async def nodes(store: Store, cluster: str) -> NodeList:
    """Every node that was enrolled or is to run something."""
    known = await known_cluster(store, cluster)
    seen = await _see(store, known)
    return NodeList(nodes=tuple(_summary(seen, node) for node in seen.nodes))


async def node(store: Store, cluster: str, name: str) -> NodeDetail:
    """One node with its agent's last report and what it is; NotFound."""
    known = await known_cluster(store, cluster)
    seen = await _see(store, known)
    _refuse_unknown(seen, name)
    heard, record = seen.heard.get(name), seen.records.get(name)
    return NodeDetail(
        node=_summary(seen, name),
        report=heard.report if heard else None,
        facts=_facts(record.facts) if record else {},
    )


async def configuration(store: Store, cluster: str, name: str) -> NodeConfiguration:
    """What is live on a node: the files of the bundle that its agent says runs there, and what differs from them."""
    known = await known_cluster(store, cluster)
    seen = await _see(store, known)
    _refuse_unknown(seen, name)
    heard = seen.heard.get(name)
    said = heard.report.status if heard else None
    if heard is None or said is None or said.digest is None:
        raise NotFound(
            Sentence("nobody knows what runs on %(name)s: its agent has not said", name=name),
            Sentence("what it is to run: holdfast show %(number)s --node %(node)s", number=seen.newest, node=name)
            if seen.newest
            else "apply a spec first",
        )
    bundle = await Bundles(store, cluster).get(said.digest)
    if bundle is None:
        raise NotFound(
            Sentence(
                "%(name)s runs the bundle %(digest)s, which is not kept any more", name=name, digest=said.digest[:12]
            ),
            "look at its files on the node",
        )
    return NodeConfiguration(
        cluster=cluster,
        node=name,
        revision=heard.report.revision,
        digest=said.digest,
        as_of=heard.time,
        files=file_views(bundle),
        drift=tuple(one.diff or f"{one.kind.value} {one.what}: {one.detail}" for one in standing(heard.report)),
    )


async def _see(store: Store, known: ClusterStore) -> _Seen:
    sound, lost = await known.overrides.sound()
    kept = RolloutStore(store, known.name)
    records, unread_records = await known.nodes.sound()
    assignments, unread_assignments = await kept.assignments.sound()
    unread = [("node", one.name) for one in unread_records]
    unread += [("assignment", one.name) for one in unread_assignments]
    heard, unread_reports = await latest_and_damaged(known)
    unread += [("report", one.name) for one in unread_reports]
    unread += await kept.damaged()
    try:
        await store.clusters.get(known.name)
    except StoreDamaged:
        unread.append(("cluster", known.name))
    newest = await known.revisions.newest_number()
    revision = await known.revisions.understood(newest)
    if newest and revision is None:
        unread.append(("revision", str(newest)))
    return _Seen(
        cluster=known.name,
        epoch=store.identity.epoch,
        now=store.clock.now(),
        newest=newest,
        revision=revision,
        records={one.name: one.record for one in records},
        assignments={one.name: one.record for one in assignments},
        heard=heard,
        present=frozenset(one.name for one in await known.presences.all()),
        overrides=tuple(one.record for one in sound),
        lost=lost,
        unread=tuple(unread),
    )


async def _trouble_of_store(store: Store, seen: _Seen) -> AsyncIterator[str]:
    """A store that takes no writes keeps no reports, and all nodes seem to be silent. It is asked only then."""
    if seen.heard and not any(one.is_young(seen.now, SAID_WITHIN) for one in seen.heard.values()):
        health = await store.engine.health()
        if not health.writable:
            yield Sentence(
                "the store takes no writes, and so nothing that nodes say is kept: %(why)s", why=health.detail
            )


def _refuse_unknown(seen: _Seen, name: str) -> None:
    if name not in seen.nodes:
        raise NotFound(
            Sentence("there is no node '%(name)s'", name=name[:80]),
            Sentence("known: %(known)s", known=", ".join(seen.nodes[:20]) or "none yet"),
        )


def _summary(seen: _Seen, name: str) -> NodeSummary:
    record, heard, wanted = seen.records.get(name), seen.heard.get(name), seen.assignments.get(name)
    report = heard.report if heard else None
    running = report.revision if report and report.progress is Progress.VERIFIED else 0
    to_run = wanted.revision if wanted else 0
    up_to_date = wanted is not None and report is not None and _runs(report.status, wanted)
    status = report.status if report else None
    summary = NodeSummary(
        node=name,
        enrolled=record.enrolled if record else None,
        revoked=record.revoked if record else None,
        agent_version=report.agent_version if report else "",
        connected=seen.is_connected(name),
        seen=heard.time if heard else None,
        wanted=to_run,
        running=to_run if up_to_date else running,
        behind=0 if up_to_date else max(0, to_run - running) or int(wanted is not None),
        progress=report.progress if report else None,
        paused=report.paused if report else False,
        maintenance=seen.in_maintenance(name),
        drift=len(standing(report)) if report else 0,
        holds=tuple(each.group for each in status.groups if each.holds) if status else (),
    )
    return summary.model_copy(update={"trouble": tuple(_trouble(summary, heard, seen))})


def _runs(status: NodeStatus | None, wanted: Assignment) -> bool:
    return status is not None and status.digest == wanted.digest


def _trouble(node: NodeSummary, heard: Heard | None, seen: _Seen) -> Iterable[str]:
    if node.revoked is not None:
        if not seen.has_left(node.node):  # else it was taken out of service, and is missed by nobody
            yield Sentence("its certificate was revoked")
        return
    if node.enrolled is None and ("node", node.node) not in seen.unread:
        yield Sentence("it has never joined")
        return
    if heard is None:
        if ("report", node.node) not in seen.unread:
            yield Sentence("its agent has never reported")
        return
    if not node.connected:
        age_s = (seen.now - heard.time).total_seconds()
        if age_s < 0:
            yield Sentence("its last report came before this machine's clock was put back")
        else:
            yield Sentence("its agent has been silent for %(age)s", age=_long(age_s))
    as_it_was = node.progress is Progress.REFUSED and not node.behind  # nothing was touched: it runs what it should
    if node.progress in (Progress.REFUSED, Progress.PUT_BACK, Progress.BROKEN) and not as_it_was:
        failure = heard.report.applied.failure if heard.report.applied else None
        yield _not_done(heard.report.revision, node.progress, failure.told if failure else "")
    fence = heard.report.fence
    if fence is not None and fence.epoch > seen.epoch:
        yield Sentence("its agent follows a later life of this store, restored elsewhere, and ignores this one")
    if node.paused:
        yield Sentence("its agent is paused: somebody works there by hand")
    status = heard.report.status
    stopped = {one.service.value for one in status.services if not one.running} if status else set()
    for each in standing(heard.report)[:5]:
        if each.kind is not DriftKind.SERVICE:
            kind = Sentence(each.kind.value)
            yield Sentence("%(kind)s %(what)s differs from what was applied", kind=kind, what=each.named)
        elif each.what not in stopped:
            yield Sentence("%(service)s: %(detail)s", service=each.what, detail=each.told)
    if status is None and node.connected:
        yield Sentence("its agent cannot say how the node is: see the agent's log")
    for service in status.services if status else ():
        if not service.running and "halted" in service.state:
            yield Sentence("%(service)s was halted by a signal", service=str(service.service))
        elif not service.running:
            yield Sentence("%(service)s does not run", service=str(service.service))


def _groups(seen: _Seen) -> Iterable[AddressView]:
    """Groups as their members see them: each tells for itself what it carries."""
    said: dict[str, dict[str, tuple[bool, int, tuple[str, ...]]]] = {}
    for node, heard in seen.heard.items():
        for each in heard.report.status.groups if heard.report.status else ():
            addresses = tuple(one.address for one in (*each.present, *each.missing))
            said.setdefault(each.group, {})[node] = (each.holds, each.hold, addresses)
    for group, members in sorted(said.items()):
        fresh = {n for n in members if seen.is_connected(n)}
        yield AddressView(
            group=group,
            addresses=tuple(dict.fromkeys(address for one in members.values() for address in one[2])),
            members=tuple(sorted(members)),
            holders=tuple(sorted(node for node, one in members.items() if one[0] and node in fresh)),
            held_back=tuple(sorted(node for node, one in members.items() if one[1] != 0)),
        )


def _trouble_of(group: AddressView, seen: _Seen) -> Iterable[str]:
    silent = [node for node in group.members if not seen.is_connected(node)]
    name = group.group
    if not group.holders and silent:
        nodes = " and ".join(silent)
        yield Sentence("nobody is known to hold %(group)s: %(nodes)s cannot be asked", group=name, nodes=nodes)
    elif not group.holders:
        yield Sentence("nobody holds %(group)s", group=name)
    elif len(group.holders) > 1:
        yield Sentence("%(group)s is held by %(nodes)s", group=name, nodes=" and ".join(group.holders))


def _services(seen: _Seen, names: Written) -> Iterable[ServiceHealth]:
    servers: dict[tuple[str, str], dict[str, ServerHealth]] = {}
    for node, heard in sorted(seen.heard.items()):
        report, fresh = heard.report, seen.is_connected(node)
        for row in report.overrides.servers if report.overrides else ():
            one = ServerHealth(
                name=as_written(names, ("virtual_server", row.source), row.server),
                up=row.weight is not None if fresh else None,
                weight=row.weight,
                override=row.kind.value if row.kind else None,
                open=row.open,
                seen_by=(node,),
            )
            _merge(servers.setdefault(("virtual_server", row.source), {}), one, believed=row.holds)
        for pool in report.status.pools if report.status else ():
            for server in pool.servers:
                name = as_written(names, ("pool", pool.pool), server.name)
                up = ServerHealth(name=name, up=server.up if fresh else None, seen_by=(node,))
                _merge(servers.setdefault(("pool", pool.pool), {}), up, believed=True)
        for pooled in report.overrides.pools if report.overrides else ():
            name = as_written(names, ("pool", pooled.pool), pooled.server)
            _take_over(servers.setdefault(("pool", pooled.pool), {}), pooled, name, node)
    for (kind, name), found in sorted(servers.items()):
        yield ServiceHealth(name=name, kind=kind, servers=tuple(found[one] for one in sorted(found)))


def _take_over(known: dict[str, ServerHealth], row: PooledServer, name: str, node: str) -> None:
    """What is overridden of a pool's server, on all its proxies together."""
    before = known.get(name) or ServerHealth(name=name, seen_by=(node,))
    up = False if row.up is False or before.up is False else before.up if before.up is not None else row.up
    known[name] = before.model_copy(
        update={
            "up": up,
            "weight": row.weight,
            "override": row.kind.value if row.kind else before.override,
            "open": (before.open or 0) + (row.open or 0) if row.kind else before.open,
            "seen_by": tuple(dict.fromkeys((*before.seen_by, node))),
        }
    )


def _merge(known: dict[str, ServerHealth], one: ServerHealth, *, believed: bool) -> None:
    """Of several who see a server, who holds its addresses and sees it down is believed."""
    before = known.get(one.name)
    if before is None:
        known[one.name] = one
        return
    seen_by = (*before.seen_by, *one.seen_by)
    better = one if believed and (one.up is False or before.up is None) else before
    known[one.name] = better.model_copy(update={"seen_by": seen_by})


def _not_understood(kind: str, name: str) -> Sentence:
    return Sentence(
        "the %(kind)s %(name)s in the store is not understood: see holdfast damaged list", kind=kind, name=name
    )


def _not_done(revision: int, progress: Progress, why: str) -> Sentence:
    word = Sentence(progress.value)
    if why:
        return Sentence("revision %(number)s was %(progress)s: %(why)s", number=revision, progress=word, why=why)
    return Sentence("revision %(number)s was %(progress)s", number=revision, progress=word)


def _ended(phase: RolloutPhase, rollout: int, revision: int, why: str) -> Sentence:
    said = Sentence("rollout %(rollout)s of revision %(revision)s was put back", rollout=rollout, revision=revision)
    if phase is RolloutPhase.FAILED:
        said = Sentence("rollout %(rollout)s of revision %(revision)s failed", rollout=rollout, revision=revision)
    if phase is RolloutPhase.REFUSED:
        said = Sentence("rollout %(rollout)s of revision %(revision)s was refused", rollout=rollout, revision=revision)
    return Sentence("%(what)s: %(why)s", what=said, why=why, rollout=rollout) if why else said


def _facts(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _long(seconds: float) -> str:
    if seconds < 120:
        return Sentence("%(n)s s", n=f"{seconds:.0f}")
    if seconds < 7200:
        return Sentence("%(n)s min", n=f"{seconds / 60:.0f}")
    return Sentence("%(n)s h", n=f"{seconds / 3600:.0f}")
