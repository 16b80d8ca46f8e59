"""Whom a lost override concerns: the directors that send to its server, now or with what they are to run."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable

from holdfast.agent.pool_servers import name_of, servers_of
from holdfast.agent.weights import file_name
from holdfast.bundle import Bundle
from holdfast.store.store import OF_POOL, Overridden, Store, overridden

from ..operations.reports import understood
from .bundle_texts import BundleTexts

_MOST_KEPT = 4000  # bundles whose servers are remembered

Sent = frozenset[tuple[str, str]]  # virtual servers of the spec (or `pool:NAME`), and servers as bundles name them


class Losing:
    """Answers out of the bundles themselves; nothing is read while no override is lost."""

    def __init__(self, store: Store, bundles: BundleTexts) -> None:
        self._store, self._bundles = store, bundles
        self._sent: OrderedDict[tuple[str, str], Sent] = OrderedDict()

    async def concerns(self, cluster: str, node: str, digest: str, lost: Iterable[str]) -> bool:
        """Whether the node is to send, or sends, to a server whose override is lost. StoreError."""
        for each in await self._digests(cluster, node, digest):
            sent = await self._sent_by(cluster, each) if each is not None else None
            if sent is None or concerned(sent, lost):
                return True
        return False

    async def _digests(self, cluster: str, node: str, digest: str) -> tuple[str | None, ...]:
        """What the node is to run, and what its agent said that it runs; None: it said something else."""
        said = await self._store.cluster(cluster).reports.get(node)
        if said is None:
            return (digest,)  # it runs nothing of Holdfast's yet
        heard = understood(said.record)
        status = heard.report.status if heard else None
        if status is None:
            return digest, None
        return (digest, status.digest) if status.digest else (digest,)

    async def _sent_by(self, cluster: str, digest: str) -> Sent | None:
        key = (cluster, digest)
        if key not in self._sent:
            text = await self._bundles.get(cluster, digest)
            if text is None:
                return None
            self._sent[key] = sent_by(Bundle.model_validate_json(text))
            while len(self._sent) > _MOST_KEPT:
                self._sent.popitem(last=False)
        return self._sent[key]


def sent_by(bundle: Bundle) -> Sent:
    """Where a node sends with a bundle."""
    real = {(vs.source, server.name) for vs in bundle.expected.virtual_servers for server in vs.servers}
    return frozenset(real | {(f"{OF_POOL}{one.pool}", one.name) for one in servers_of(bundle)})


def concerned(sent: Collection[tuple[str, str]], lost: Iterable[str]) -> bool:
    """Whether an override of one of these names is about a server that is sent to; a name that says nothing: any."""
    return any(is_about(overridden(name), vs, server) for name in lost for vs, server in sent)


def is_about(of: Overridden | None, virtual_server: str, server: str) -> bool:
    """Whether an override is about a server, as bundles name it, in a virtual server (or in `pool:NAME`)."""
    if of is None:
        return True
    if of.pool is not None or virtual_server.startswith(OF_POOL):
        return virtual_server == f"{OF_POOL}{of.pool}" and server == name_of(of.target)
    name = file_name(of.target)
    same = server == name or server.startswith(f"{name}-")
    return same and of.virtual_server in (None, virtual_server)
