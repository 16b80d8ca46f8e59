"""What failures would lead to in a revision: played by the model of failover, never by a second one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from holdfast.bundle import Bundle
from holdfast.errors import NotFound, UsageError
from holdfast.failover.failures import Failure, FailureKind, every_failure, every_partition, failure_named
from holdfast.failover.from_spec import cluster_from_spec
from holdfast.failover.model import Cluster
from holdfast.failover.result import Held, Report, Scenario, Way
from holdfast.failover.whatif import what_if as play
from holdfast.keepalived.parse import parse
from holdfast.keepalived.to_failover import backends_of, cluster_of, moved_by_scripts
from holdfast.protocol.api.whatif import (
    MOST_FAILURES,
    FailureView,
    HeldView,
    LeftView,
    MemberView,
    MissedView,
    ScenarioView,
    WayView,
    WhatIfView,
)
from holdfast.sentences import Sentence
from holdfast.spec.cluster import ClusterSpec

from .compiling import bundles_of
from .desk import Desk, known_cluster
from .reading import spec_of

_KEPT = 60  # of what was asked lately: the same is asked by many, and again


@dataclass(frozen=True)
class Played:
    """A what-if of a revision. `possible` is all that may fail; `model` has no places where nothing can move."""

    number: int
    spec: ClusterSpec
    model: Cluster
    possible: tuple[Failure, ...]
    report: Report


@dataclass(frozen=True)
class _Model:
    key: tuple[str, ...]
    cluster: Cluster = field(compare=False)


async def what_if(desk: Desk, cluster: str, fail: Sequence[str] = (), depth: int = 1, number: int = 0) -> Played:
    """The newest revision, or that `number`, after these failures one after another; without any, all that may fail.

    NotFound without a revision, UsageError with what there is for a failure that is not there.
    """
    known = await known_cluster(desk.store, cluster)
    if len(fail) > MOST_FAILURES:
        raise UsageError(
            Sentence("%(n)s failures at once", n=len(fail)), Sentence("name %(most)s at most", most=MOST_FAILURES)
        )
    number = number or await known.revisions.newest_number()
    if not number:
        raise NotFound(
            Sentence("%(name)s has no revision yet", name=cluster),
            Sentence("apply a spec first: holdfast apply cluster.yaml"),
        )
    loaded = await spec_of(desk.store, cluster, number)
    bundles = await bundles_of(desk, cluster, number) if loaded.spec.origin is not None else {}
    key = (loaded.text, *(bundles[name].digest for name in sorted(bundles)))
    return await desk.worked_out(lambda: _worked(number, loaded.spec, key, bundles, tuple(fail), depth))


def _worked(
    number: int,
    spec: ClusterSpec,
    key: tuple[str, ...],
    bundles: Mapping[str, Bundle],
    fail: tuple[str, ...],
    depth: int,
) -> Played:
    model = _model(spec, bundles)
    asked = tuple(dict.fromkeys(failure_named(model, one) for one in fail))
    report = _report(_Model(key, model), asked, depth)
    stops = tuple(Failure(FailureKind.KEEPALIVED, name, "keepalived") for name in model.nodes)
    return Played(number, spec, model, (*every_failure(model), *stops, *every_partition(model)), report)


@lru_cache(maxsize=_KEPT)
def _report(model: _Model, asked: tuple[Failure, ...], depth: int) -> Report:
    return play(model.cluster, asked, depth=depth)


def _model(spec: ClusterSpec, bundles: Mapping[str, Bundle]) -> Cluster:
    """Groups of an imported shape are known by what they compile to: there is no shorter description of them."""
    cluster = cluster_from_spec(spec)
    if spec.origin is None:
        return cluster
    files = {
        node: parse(file.content, file.path, config_id=node)
        for node, bundle in bundles.items()
        for file in bundle.files
        if file.path.endswith("/keepalived.conf")
    }
    behind = cluster.backends if spec.virtual_servers else (*cluster.backends, *backends_of(files))
    moving, _ = moved_by_scripts(cluster_of(files), files)
    return replace(moving, promises=cluster.promises, backends=behind)


def worst_first(scenarios: Sequence[Scenario]) -> tuple[Scenario, ...]:
    """Outages first, then promises that cannot be kept, then by what happens and how long it takes."""

    def key(one: Scenario) -> tuple[bool, bool, int, float]:
        return not one.harmful, not one.missed, -one.verdict.rank, -(one.within_s or 0.0)

    return tuple(sorted(scenarios, key=key))


def view(cluster: str, played: Played) -> WhatIfView:
    """A what-if as the API says it."""
    report = played.report
    return WhatIfView(
        cluster=cluster,
        revision=played.number,
        normal=_scenario(report.normal),
        asked=_scenario(report.asked) if report.asked else None,
        steps=tuple(_scenario(one) for one in report.steps),
        singles=tuple(_scenario(one) for one in worst_first(report.singles)),
        partitions=tuple(_scenario(one) for one in worst_first(report.partitions)),
        combined=tuple(_scenario(one) for one in worst_first(report.combined) if one.harmful),
        possible=tuple(_failure(one) for one in played.possible),
        left_out=report.left_out,
        unplayed=report.unplayed,
    )


def _failure(one: Failure) -> FailureView:
    return FailureView(title=one.title, kind=one.kind.value, node=one.node, what=one.what)


def _scenario(one: Scenario) -> ScenarioView:
    return ScenarioView(
        title=one.title,
        failures=tuple(_failure(each) for each in one.failures),
        verdict=one.verdict.value,
        harmful=one.harmful,
        within_s=one.within_s,
        ways=tuple(_way(each) for each in one.ways),
        backends=tuple(
            LeftView(name=each.name, share=each.share, served=each.served, sorry=each.sorry) for each in one.backends
        ),
        missed=tuple(
            MissedView(objective=each.objective, promised_s=each.promised_s, takes_s=each.takes_s)
            for each in one.missed
        ),
        mended=_way(one.mended) if one.mended else None,
    )


def _way(way: Way) -> WayView:
    return WayView(verdict=way.verdict.value, groups=tuple(_held(one) for one in way.held))


def _held(one: Held) -> HeldView:
    return HeldView(
        group=one.group,
        addresses=one.addresses,
        before=one.before,
        holders=one.holders,
        verdict=one.verdict.value,
        within_s=one.within_s,
        why=one.why,
        left=one.left,
        total=one.total,
        members=tuple(
            MemberView(node=each.node, state=each.state.value, priority=each.priority, lost=each.lost)
            for each in one.parts
        ),
    )
