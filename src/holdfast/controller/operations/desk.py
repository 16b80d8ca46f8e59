"""Where an operation is done, and for whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeVar

from holdfast.errors import NotFound
from holdfast.sentences import Sentence, cut
from holdfast.store.models import AuditRecord, Event
from holdfast.store.store import ClusterStore, Store

from ..identity.auditing import audited
from ..identity.sealing import Sealer
from ..labour import Labour

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """The store, the key of what is sealed in it, who asks (as the audit names them) and from which address.

    `process_events`: whether keepalived sees processes die on the nodes; not so in containers and namespaces.
    """

    store: Store
    sealer: Sealer = field(repr=False)
    actor: str
    source: str = ""
    process_events: bool = True
    labour: Labour = field(default_factory=Labour, repr=False)

    async def worked_out(self, what: Callable[[], T]) -> T:
        """The result of what takes a processor's time, when it is this person's turn; TooManyAttempts."""
        person, _, _ = self.actor.partition(" token:")
        return await self.labour.do(person, what)

    def now(self) -> datetime:
        """The time, by the store's clock."""
        return self.store.clock.now()

    def told(
        self,
        action: str,
        target: str,
        cluster: str | None = None,
        *,
        before: object = None,
        after: object = None,
        outcome: Literal["done", "refused", "failed"] = "done",
    ) -> AuditRecord:
        """An audit record of what this one does."""
        return audited(
            self.now(), self.actor, action, target,
            before=before, after=after, cluster=cluster, source=self.source, outcome=outcome,
        )  # fmt: skip

    def event(self, kind: str, cluster: str, message: str, node: str | None = None, data: str = "{}") -> Event:
        """An event that happens now."""
        return Event(time=self.now(), kind=kind, cluster=cluster, node=node, message=cut(message, 1000), data=data)


async def known_cluster(store: Store, name: str) -> ClusterStore:
    """What is kept of a cluster; NotFound if the store does not know it."""
    if not await store.clusters.version(name):  # its record may be damaged: what is kept of the cluster is there
        raise NotFound(
            Sentence("there is no cluster '%(name)s'", name=name[:80]),
            "look at the list of clusters; names are case-sensitive",
        )
    return store.cluster(name)
