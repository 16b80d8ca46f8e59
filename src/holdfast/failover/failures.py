"""What can fail in a cluster, how people name it, and the world that it leaves."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations

from holdfast.errors import UsageError
from holdfast.sentences import Sentence

from .model import Cluster, Cut, Node, Watch, Watched, World

_MOST_SPLIT = 6  # nodes of a network whose every division into two is tried; of more, only one node against the rest


class FailureKind(StrEnum):
    """What kind of thing fails."""

    NODE = "node"
    KEEPALIVED = "keepalived"
    SERVICE = "service"
    LINK = "link"
    WATCH = "watch"
    SERVER = "server"
    PARTITION = "partition"


@dataclass(frozen=True, order=True)
class Failure:
    """One failure. `what` is the service, interface, watched thing or network; `side`, of a partition, one half."""

    kind: FailureKind
    node: str = ""
    what: str = ""
    side: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """As it is written on the command line: `lb1`, `nginx@lb2`, `eth0@lb1`, `front:lb1,lb2`."""
        if self.kind is FailureKind.PARTITION:
            return f"{self.what}:{','.join(self.side)}"
        return f"{self.what}@{self.node}" if self.what else self.node


def world_with(cluster: Cluster, failures: Iterable[Failure], world: World | None = None) -> World:
    """The world once all of these have failed."""
    found = world or World()
    for failure in failures:
        found = _with(cluster, found, failure)
    return found


def _with(cluster: Cluster, world: World, failure: Failure) -> World:
    match failure.kind:
        case FailureKind.NODE:
            return replace(world, dead=world.dead | {failure.node})
        case FailureKind.KEEPALIVED:
            return replace(world, stopped=world.stopped | {failure.node})
        case FailureKind.LINK:
            return replace(world, links=world.links | {(failure.node, failure.what)})
        case FailureKind.SERVICE:
            lost = {
                (failure.node, w.kind, w.name) for w in cluster.nodes[failure.node].watches if _dies(w.service, failure)
            }
            services = world.services | {(failure.node, failure.what)}
            return replace(world, failed=world.failed | lost, services=services)
        case FailureKind.WATCH:
            lost = {
                (failure.node, w.kind, w.name) for w in cluster.nodes[failure.node].watches if w.name == failure.what
            }
            return replace(world, failed=world.failed | lost)
        case FailureKind.PARTITION:
            return replace(world, cuts=world.cuts | {Cut(failure.what, frozenset(failure.side))})
    return world


def _dies(service: str, failure: Failure) -> bool:
    return bool(service) and service == failure.what


def every_failure(cluster: Cluster) -> tuple[Failure, ...]:
    """Each thing that may fail by itself, partitions left out, in the order of the nodes."""
    found: list[Failure] = []
    for node in cluster.nodes.values():
        found.append(Failure(FailureKind.NODE, node.name))
        found += [Failure(FailureKind.SERVICE, node.name, name) for name in node.services]
        found += [Failure(FailureKind.LINK, node.name, name) for name in node.used_links]
        found += [Failure(FailureKind.WATCH, node.name, watch.name) for watch in _alone(node)]
    return (*found, *(Failure(FailureKind.SERVER, name) for name in servers(cluster)))


def _alone(node: Node) -> Iterator[Watch]:
    """Those that may fail by themselves: a program that hangs fails its check, although its process is there."""
    looking = Counter(watch.service for watch in node.watches)
    services = set(node.services)
    for watch in node.watches:
        if watch.by_hand:
            continue
        if watch.service not in services or (watch.kind is Watched.SCRIPT and looking[watch.service] > 1):
            yield watch


def servers(cluster: Cluster) -> tuple[str, ...]:
    """The servers behind, without those that are nodes of the cluster themselves."""
    names = (name for backends in cluster.backends for name in backends.members)
    return tuple(dict.fromkeys(name for name in names if name not in cluster.nodes))


def every_partition(cluster: Cluster) -> tuple[Failure, ...]:
    """Each network that adverts cross, in two, as far as its nodes are few enough to try every division."""
    return tuple(_partitions(cluster))


def _partitions(cluster: Cluster) -> Iterator[Failure]:
    networks: dict[str, list[str]] = {}
    for node in cluster.nodes.values():
        for network in sorted({node.links.get(i.interface, "") for i in node.instances} - {""}):
            networks.setdefault(network, []).append(node.name)
    for network, names in networks.items():
        most = len(names) // 2 if len(names) <= _MOST_SPLIT else 1
        for size in range(1, most + 1):
            for side in combinations(names, size):
                if 2 * size < len(names) or names[0] in side:  # of two equal halves, one tells all
                    yield Failure(FailureKind.PARTITION, what=network, side=side)


def failure_named(cluster: Cluster, text: str) -> Failure:
    """The failure that `text` names; UsageError, with what there is, where nothing is called so."""
    known = {failure.title: failure for failure in (*every_failure(cluster), *every_partition(cluster))}
    for name in cluster.nodes:
        stop = Failure(FailureKind.KEEPALIVED, name, "keepalived")
        known[stop.title] = stop
    for node in cluster.nodes.values():
        for watch in node.watches:
            known.setdefault(f"{watch.name}@{node.name}", Failure(FailureKind.WATCH, node.name, watch.name))
    network, colon, rest = text.partition(":")
    side = tuple(sorted(filter(None, rest.split(","))))
    networks = {name for node in cluster.nodes.values() for name in node.links.values() if name}
    if text in known:
        return known[text]
    if colon and network in networks and side and set(side) < set(cluster.nodes):
        return Failure(FailureKind.PARTITION, what=network, side=side)
    near = difflib.get_close_matches(text, known, n=1)
    shown = ", ".join(list(known)[:12]) + (", …" if len(known) > 12 else "")
    hint = Sentence("there are: %(names)s", names=shown)
    if near:
        hint = Sentence("did you mean %(names)s?", names=near[0])
    raise UsageError(Sentence("nothing that may fail is called %(text)s", text=repr(text)), hint)
