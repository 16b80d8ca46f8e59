"""Findings of a revision and of what runs, with what nodes told of themselves; and the rules behind them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from pydantic import ValidationError

from holdfast.bundle import Bundle
from holdfast.errors import CompileError, SpecError
from holdfast.findings import Finding, Severity
from holdfast.keepalived.source import Source
from holdfast.lint import suppressions
from holdfast.lint.compiled import of_compiled
from holdfast.lint.engine import Remark
from holdfast.protocol import HostFacts, KeepalivedFacts, MachineFacts
from holdfast.protocol.api.findings import MOST_FINDINGS, FindingsView, FoundView, LookedView, SilencedView
from holdfast.rollout.bundles import Bundles
from holdfast.spec import LoadedSpec
from holdfast.store.store import ClusterStore

from . import status
from .compiling import bundles_of
from .desk import Desk, known_cluster
from .reading import spec_of
from .reports import Heard, latest
from .rules import title_of

_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}
_KEPT = 8  # revisions with what runs of them, whose findings are not looked for again


@dataclass(frozen=True)
class _Subject:
    """What is looked at: one revision with the bundles of its nodes. Equal ones have equal `key`s."""

    key: tuple[str, ...]
    loaded: LoadedSpec = field(compare=False)
    bundles: Mapping[str, Bundle] = field(compare=False)
    facts: Mapping[str, HostFacts] = field(compare=False)


@dataclass(frozen=True)
class _Looked:
    """What came of it: remarks that stay, and those that a comment silences, with the comment's line and reason."""

    kept: tuple[Remark, ...]
    silenced: tuple[tuple[Finding, int, str], ...]


@dataclass(frozen=True)
class _Node:
    """A node: `revision` and `digest` of what it runs, None where nobody can say; `facts`: what its agent told."""

    name: str
    revision: int | None
    digest: str | None
    facts: HostFacts | None
    table: tuple[Finding, ...]


async def findings(desk: Desk, cluster: str) -> FindingsView:
    """Of the newest revision, and of what the nodes run, be it that or an older one."""
    known = await known_cluster(desk.store, cluster)
    number = await known.revisions.newest_number()
    nodes = await _nodes(desk, known)
    looked = tuple(_looked_view(one) for one in nodes)
    if not number:
        return FindingsView(cluster=cluster, revision=0, nodes=looked)
    found: list[FoundView] = []
    silenced: list[SilencedView] = []
    older = sorted({one.revision for one in nodes if one.revision and one.revision < number}, reverse=True)
    for each in (number, *older):
        mine = tuple(one for one in nodes if one.revision == each)
        more, quiet = await _of_revision(desk, cluster, each, mine, nodes, alone=each != number)
        found += more
        silenced += quiet
    found += [_found(finding, one.revision or 0, one.name, (one.name,)) for one in nodes for finding in one.table]
    return _view(cluster, number, found, silenced, looked)


async def of_revision(desk: Desk, cluster: str, number: int) -> FindingsView:
    """Of one revision, on the machines as far as they told of themselves; NotFound."""
    known = await known_cluster(desk.store, cluster)
    nodes = await _nodes(desk, known)
    mine = tuple(one for one in nodes if one.revision == number)
    found, silenced = await _of_revision(desk, cluster, number, mine, nodes)
    return _view(cluster, number, found, silenced, tuple(_looked_view(one) for one in nodes))


def _view(
    cluster: str,
    number: int,
    found: list[FoundView],
    silenced: list[SilencedView],
    looked: tuple[LookedView, ...],
) -> FindingsView:
    found.sort(key=_order)
    return FindingsView(
        cluster=cluster,
        revision=number,
        findings=tuple(found[:MOST_FINDINGS]),
        silenced=tuple(silenced[:MOST_FINDINGS]),
        nodes=looked,
        left_out=max(0, len(found) - MOST_FINDINGS),
    )


def _order(one: FoundView) -> tuple[int, str, int, str]:
    where = one.finding.location
    return _ORDER[one.finding.severity], one.finding.code, where.line if where else 0, one.finding.message


async def _nodes(desk: Desk, known: ClusterStore) -> tuple[_Node, ...]:
    heard = await latest(known)
    facts = {one.name: _facts(one.record.facts) for one in await known.nodes.all()}
    summaries = (await status.nodes(desk.store, known.name)).nodes
    return tuple(
        _node(one.node, heard.get(one.node) if one.connected else None, facts.get(one.node))
        for one in summaries
        if one.revoked is None
    )


def _node(name: str, heard: Heard | None, facts: HostFacts | None) -> _Node:
    """What a silent node last ran says nothing of now."""
    facts = facts or _machine(heard.report.machine if heard else None)
    said = heard.report.status if heard else None
    if heard is None or said is None or said.digest is None:
        return _Node(name, None, None, facts, ())
    return _Node(name, heard.report.revision or None, said.digest, facts, said.table_told)


def _facts(text: str) -> HostFacts | None:
    """None where the agent has told nothing, or another version of it something that is not understood."""
    if len(text) <= len("{}"):
        return None
    try:
        return HostFacts.model_validate_json(text)
    except ValidationError:
        return None


def _machine(told: MachineFacts | None) -> HostFacts | None:
    """What every report tells of the machine, as lint takes it: what is not in it is not known, and nothing follows."""
    if told is None:
        return None
    version = told.programs.get("keepalived")
    return HostFacts(
        hostname=told.hostname,
        kernel=told.kernel,
        service_manager="",
        programs=dict(told.programs),
        keepalived=KeepalivedFacts(version=version) if version else None,
    )


def _looked_view(one: _Node) -> LookedView:
    return LookedView(node=one.name, revision=one.revision, facts=one.facts is not None)


async def _of_revision(
    desk: Desk,
    cluster: str,
    number: int,
    mine: tuple[_Node, ...],
    nodes: tuple[_Node, ...],
    alone: bool = False,
) -> tuple[list[FoundView], list[SilencedView]]:
    """Findings of a revision, `mine` being the nodes that run it; with `alone`, of what those run and no more."""
    names = tuple(one.name for one in mine)
    try:
        subject = await _subject(desk, cluster, number, mine, nodes, alone)
    except (SpecError, CompileError) as error:
        return [_found(one, number, "", names) for one in error.findings], []
    looked = await desk.worked_out(lambda: _looked(subject))
    found = [
        _found(one.finding, number, one.node, tuple(name for name in names if one.node in ("", name)))
        for one in looked.kept
    ]
    quiet = [
        SilencedView(finding=one, revision=number, line=line, reason=reason[:1000])
        for one, line, reason in looked.silenced
    ]
    return found, quiet


def _found(finding: Finding, number: int, node: str, runs_on: tuple[str, ...]) -> FoundView:
    return FoundView(finding=finding, title=title_of(finding.code), revision=number, node=node, runs_on=runs_on)


async def _subject(
    desk: Desk, cluster: str, number: int, mine: tuple[_Node, ...], nodes: tuple[_Node, ...], alone: bool
) -> _Subject:
    loaded = await spec_of(desk.store, cluster, number)
    bundles = dict(await bundles_of(desk, cluster, number))
    kept = Bundles(desk.store, cluster)
    for node in mine:  # what really runs, which another version of the compiler may have made
        bundle = await kept.get(node.digest) if node.digest else None
        if bundle is not None and bundle.files:
            bundles[node.name] = bundle
    if alone:
        names = {node.name for node in mine}
        bundles = {name: bundle for name, bundle in bundles.items() if name in names}
    facts = {node.name: node.facts for node in nodes if node.facts is not None}
    told = hashlib.sha256("".join(facts[name].model_dump_json() for name in sorted(facts)).encode()).hexdigest()
    digests = (f"{name} {bundle.digest}" for name, bundle in sorted(bundles.items()))
    return _Subject((cluster, str(number), loaded.text, told, *digests), loaded, bundles, facts)


@lru_cache(maxsize=_KEPT)
def _looked(subject: _Subject) -> _Looked:
    """All that lint says; what comments silence stands apart. Takes CPU time."""
    loaded = subject.loaded
    remarks = of_compiled(subject.bundles, loaded, subject.facts)
    source = Source(f"revision {subject.key[1]}", loaded.text)
    kept = suppressions.apply(remarks, {source.name: source})
    left = {one.key for one in kept}
    comments = suppressions.read([source])
    silenced = [
        (one.finding, comment.line, comment.reason)
        for one in remarks
        if one.key not in left and (comment := next((c for c in comments if c.covers(one.finding)), None)) is not None
    ]
    return _Looked(tuple(kept), tuple(silenced))
