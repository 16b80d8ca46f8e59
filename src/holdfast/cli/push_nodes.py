"""What the nodes say before a push touches any: what they run, whom they follow, what is overridden on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.agent.pool_servers import servers_of
from holdfast.bundle import Bundle
from holdfast.controller.operations.quorum import emptied, thinned
from holdfast.errors import HoldfastError, PlanRefused, RolloutFailed, UsageError
from holdfast.protocol import NodeStatus, Overrides, PoolOverride, ServerOverride
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.overrides import Override, known_servers

if TYPE_CHECKING:
    from holdfast.rollout import CommandTransport

_MOST_AT_ONCE = 32


@dataclass(frozen=True)
class NodeSeen:
    """A node before the push; `bundle` None: nothing was brought to it yet."""

    bundle: Bundle | None
    status: NodeStatus

    @property
    def overrides(self) -> bool:
        """Whether it has virtual servers or pools, so that overrides do something there."""
        return self.bundle is not None and _overridable(self.bundle)


def look(transport: CommandTransport, nodes: Sequence[str], cluster: str) -> dict[str, NodeSeen]:
    """Everybody is asked before anything is touched, and all who do not answer are named.

    Raises RolloutFailed for those, UsageError where another node answers than is meant.
    """

    def ask(node: str) -> NodeSeen | HoldfastError:
        try:
            return NodeSeen(transport.bundle(node), transport.status(node))
        except HoldfastError as error:
            return error

    with ThreadPoolExecutor(max_workers=_MOST_AT_ONCE) as workers:
        answers = dict(zip(nodes, workers.map(ask, nodes), strict=True))
    failed = [answer for answer in answers.values() if isinstance(answer, HoldfastError)]
    if failed:
        sentences = "; ".join(error.message for error in failed)
        raise RolloutFailed(f"no node was touched: {sentences}", failed[0].hint)
    found = {node: answer for node, answer in answers.items() if isinstance(answer, NodeSeen)}
    for node, seen in found.items():
        there = seen.bundle
        if there is not None and (there.cluster, there.node) != (cluster, node):
            raise UsageError(
                f"what is reached as {node} is {there.node} of cluster '{there.cluster}'; no node was touched",
                "check --host and the spec",
            )
    return found


def running(seen: Mapping[str, NodeSeen]) -> dict[str, Bundle]:
    """What the nodes run now; one that Holdfast has left runs a bundle with nothing in it, which is none."""
    bundles = {node: one.bundle for node, one in seen.items() if one.bundle is not None}
    return {node: bundle for node, bundle in bundles.items() if bundle.services or bundle.files}


def refuse_managed(seen: Mapping[str, NodeSeen]) -> None:
    """PlanRefused where a node's agent follows controllers: they would take what is pushed for drift."""
    managed = {node: one.status.controllers for node, one in seen.items() if one.status.controllers}
    if not managed:
        return
    sentences = "; ".join(f"{node} follows {', '.join(controllers)}" for node, controllers in managed.items())
    raise PlanRefused(
        f"no node was touched: {sentences}, and would be brought back to what the controller wants",
        "use holdfast apply; in an emergency, with no controller left: holdfast agent pause on each of these nodes, "
        "then --despite-controller here",
    )


def refuse_too_old(seen: Mapping[str, NodeSeen], bundles: Mapping[str, Bundle]) -> None:
    """PlanRefused where a node would refuse its bundle, after others have changed: it does not know lists of servers.

    Since Holdfast knows them, what a node says of itself has a word about what is overridden in pools, none or some.
    """
    having = [node for node, bundle in bundles.items() if servers_of(bundle)]
    old = [node for node in having if "pool_overrides" not in seen[node].status.model_fields_set]
    if old:
        raise PlanRefused(
            f"no node was touched: the Holdfast on {', '.join(old)} is too old for what this one makes of pools",
            "install this version of Holdfast there first; what runs there goes on meanwhile",
        )


def overridden(seen: Mapping[str, NodeSeen], spec: ClusterSpec) -> Overrides:
    """All that is overridden on any node, of servers that the spec still has; the first word about one counts."""
    known = known_servers(spec)
    pooled = {(name, server.written) for name, pool in spec.pools.items() for server in pool.servers}
    found: dict[tuple[str, str | None], ServerOverride] = {}
    of_pools: dict[tuple[str, str], PoolOverride] = {}
    for one in (each for each in seen.values() if each.overrides):
        for each in one.status.overrides:
            if each.server in known:
                found.setdefault((each.server, each.virtual_server), each)
        for of_pool in one.status.pool_overrides:
            if (of_pool.pool, of_pool.server) in pooled:
                of_pools.setdefault((of_pool.pool, of_pool.server), of_pool)
    return Overrides(servers=tuple(found.values()), pools=tuple(of_pools.values()))


def due(
    seen: Mapping[str, NodeSeen], bundles: Mapping[str, Bundle], kept: Overrides
) -> Iterator[tuple[str, Overrides]]:
    """Nodes that begin to direct, or to have pools, and what is overridden: each has to know before it begins."""
    for node, bundle in bundles.items():
        status = seen[node].status
        told = (status.overrides, status.pool_overrides) == (kept.servers, kept.pools)
        if _begins(seen[node].bundle, bundle) and not told:
            yield node, kept


def _begins(before: Bundle | None, after: Bundle) -> bool:
    """Whether it sends to servers of a kind that it has not sent to before."""
    directs, proxies = bool(after.expected.virtual_servers), bool(servers_of(after))
    directed = before is not None and bool(before.expected.virtual_servers)
    proxied = before is not None and bool(servers_of(before))
    return (directs and not directed) or (proxies and not proxied)


def _overridable(bundle: Bundle) -> bool:
    return bool(bundle.expected.virtual_servers) or bool(servers_of(bundle))


def left_without(spec: ClusterSpec, kept: Overrides) -> tuple[str, ...]:
    """A sentence for each virtual server and pool with too few left, as the spec now is and overrides are."""
    told = [_of_spec(each) for each in kept.servers]
    alone = emptied(spec, told, tuple(dict.fromkeys(each.server for each in told)), None, ())
    of_pools = [
        Override(server=each.server, pool=each.pool, kind=each.kind.value, weight=each.weight) for each in kept.pools
    ]
    pools = dict.fromkeys(each.pool for each in kept.pools)
    return (*alone, *(sentence for pool in pools for sentence in thinned(spec, of_pools, pool, ())))


def _of_spec(one: ServerOverride) -> Override:
    if one.weight == 0:  # to a kernel the same
        return Override(server=one.server, virtual_server=one.virtual_server, kind="drained")
    return Override(server=one.server, virtual_server=one.virtual_server, kind=one.kind.value, weight=one.weight)
