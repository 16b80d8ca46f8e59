"""What the nodes say before a push touches any: what they run, whom they follow, what is overridden on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.bundle import Bundle
from holdfast.controller.operations.quorum import emptied
from holdfast.errors import HoldfastError, PlanRefused, RolloutFailed, UsageError
from holdfast.protocol import NodeStatus, Overrides, ServerOverride
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
    def directs(self) -> bool:
        """Whether it has virtual servers, so that overrides do something there."""
        return self.bundle is not None and bool(self.bundle.expected.virtual_servers)


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


def overridden(seen: Mapping[str, NodeSeen], spec: ClusterSpec) -> tuple[ServerOverride, ...]:
    """All that is overridden on any director, of servers that the spec still has; the first word about one counts."""
    known = known_servers(spec)
    found: dict[tuple[str, str | None], ServerOverride] = {}
    for one in seen.values():
        for each in one.status.overrides if one.directs else ():
            if each.server in known:
                found.setdefault((each.server, each.virtual_server), each)
    return tuple(found.values())


def due(
    seen: Mapping[str, NodeSeen], bundles: Mapping[str, Bundle], kept: Sequence[ServerOverride]
) -> Iterator[tuple[str, Overrides]]:
    """Nodes that begin to direct, and what is overridden: each has to know before its first connection."""
    for node, bundle in bundles.items():
        one = seen[node]
        if bundle.expected.virtual_servers and not one.directs and one.status.overrides != tuple(kept):
            yield node, Overrides(servers=tuple(kept))


def left_without(spec: ClusterSpec, kept: Iterable[ServerOverride]) -> tuple[str, ...]:
    """A sentence for each virtual server that nobody would answer for, as the spec now is and overrides are."""
    told = [_of_spec(each) for each in kept]
    return emptied(spec, told, tuple(dict.fromkeys(each.server for each in told)), None, ())


def _of_spec(one: ServerOverride) -> Override:
    if one.weight == 0:  # to a kernel the same
        return Override(server=one.server, virtual_server=one.virtual_server, kind="drained")
    return Override(server=one.server, virtual_server=one.virtual_server, kind=one.kind.value, weight=one.weight)
