"""All that is overridden on this node, carried out: real servers through keepalived, pools through their proxies."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path

from holdfast.agent import overrides, pool_overrides, pool_servers, weights
from holdfast.agent.generations import Generations
from holdfast.agent.services.base import Node
from holdfast.agent.steps import translated
from holdfast.bundle import Bundle, Service
from holdfast.protocol import OverrideReport, Overrides, PooledServer
from holdfast.sentences import Sentence, joined, said_of


def carry_out(node: Node, generations: Generations, sent: Overrides) -> OverrideReport | None:
    """Take `sent` for all there is; None on a node that neither directs nor has pools. Under the node's lock.

    Raises ApplyError, TableUnreadable, and what an engine that refuses says; they are kept, and the next try goes on.
    """
    name = generations.current()
    bundle = generations.bundle(name)
    if bundle is None or name is None or not overridable(bundle):
        overrides.keep(node.places, sent)
        return None
    report = _of_directors(node, bundle, sent)
    known, now, folder = overrides.read(node.places), overrides.now(), generations.folder(name)
    took = pool_overrides.carry_out(node, bundle, folder, known, now)
    return _with_pools(report, node, bundle, folder, known, now, took)


def report_now(node: Node, generations: Generations) -> OverrideReport | None:
    """How they are; None on a node that neither directs nor has pools. Raises ApplyError, TableUnreadable."""
    name = generations.current()
    bundle = generations.bundle(name)
    if bundle is None or name is None or not overridable(bundle):
        return None
    with translated():
        known, now = overrides.read(node.places), overrides.now()
        report = overrides.report(node, bundle) if bundle.expected.virtual_servers else _nothing(bundle)
        return _with_pools(report, node, bundle, generations.folder(name), known, now, {})


def overridable(bundle: Bundle) -> bool:
    """Whether overrides do anything on a node with this bundle."""
    return bool(bundle.expected.virtual_servers) or bool(pool_servers.servers_of(bundle))


def _of_directors(node: Node, bundle: Bundle, sent: Overrides) -> OverrideReport:
    if bundle.expected.virtual_servers:
        return overrides.replace_all(node, bundle, sent)
    overrides.keep(node.places, sent)
    return _nothing(bundle)


def _nothing(bundle: Bundle) -> OverrideReport:
    return OverrideReport(node=bundle.node, done=True)


def _with_pools(
    report: OverrideReport,
    node: Node,
    bundle: Bundle,
    folder: Path,
    known: Overrides,
    now: datetime,
    took: Mapping[Service, float],
) -> OverrideReport:
    rows = pool_overrides.rows(node, bundle, folder, known, now, took)
    wrong = [row for row in rows if not row.as_wanted]
    detail = joined([one for one in (report.told, _detail(wrong, bundle)) if one])
    return report.model_copy(
        update={
            "done": report.done and not wrong,
            "detail": detail,
            "said": said_of(detail),
            "unknown": (*report.unknown, *pool_servers.unknown(bundle, known)),
            "knows_pools": True,
            "pool_names": pool_overrides.pool_names(bundle),
            "pools": rows,
            "expired_pools": tuple(each for each in known.pools if weights.expired(each, now)),
        }
    )


def _detail(wrong: Collection[PooledServer], bundle: Bundle) -> str:
    parts: list[Sentence] = []
    names = {(one.pool, one.name): one.spoken for one in pool_servers.servers_of(bundle)} if wrong else {}
    for row in tuple(wrong)[:20]:
        there = Sentence("has weight %(weight)s", weight=row.weight)
        said = Sentence(
            "%(server)s of pool %(pool)s %(there)s in %(engine)s, not %(wanted)s",
            server=names[row.pool, row.server],
            pool=row.pool,
            there=Sentence("gets no new requests") if row.weight is None else there,
            engine=row.engine,
            wanted=Sentence("none") if row.wanted is None else row.wanted,
        )
        parts.append(said)
    return joined(parts)
