"""From a spec to the model: the instances and trackers that the compiler makes of it, with what serves behind them."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.sentences import Sentence
from holdfast.spec.checks import Tracker as SpecTracker
from holdfast.spec.cluster import ClusterSpec, Objective
from holdfast.spec.proxies import Proxy
from holdfast.spec.resolve import (
    advert_family,
    advert_interface,
    advert_source,
    carrying_interface,
    interface_in,
    listener_addresses,
)
from holdfast.spec.vrrp import PreemptAfter, VrrpGroup

from .model import Backends, Cluster, Instance, Node, Promises, Tracker, Watch, Watched
from .priorities import Ranking, rank

_GIVEN_UP = 254  # a file's −1 times this is a FAULT
_UNNUMBERED = 1000  # groups without a vrid get one that nobody can have: it will be chosen, and differs from all others


def hold_file(group: str) -> str:
    """The name of a group's hold file in the model."""
    return f"hold {group}"


def cluster_from_spec(spec: ClusterSpec) -> Cluster:
    """The cluster that the compiler would make of `spec`, as VRRP sees it."""
    vrids = {
        name: group.vrid if group.vrid is not None else _UNNUMBERED + at
        for at, (name, group) in enumerate(spec.vrrp.items())
    }
    members = {node for group in spec.vrrp.values() for node in group.members}
    nodes = {name: _node(spec, name, vrids) for name in spec.nodes if name in members}
    return Cluster(
        nodes=nodes,
        backends=_backends(spec),
        groups={(node, name): name for name, group in spec.vrrp.items() for node in group.members},
        serving=_serving(spec),
        promises=Promises(
            _seconds(spec.objectives.node_lost),
            _seconds(spec.objectives.service_lost),
            _seconds(spec.objectives.link_lost),
        ),
    )


def _seconds(objective: Objective) -> float | None:
    return None if objective.failover_within is None else objective.failover_within / 1000


def _node(spec: ClusterSpec, name: str, vrids: dict[str, int]) -> Node:
    mine = {group_name: group for group_name, group in spec.vrrp.items() if name in group.members}
    watches: dict[tuple[Watched, str], Watch] = {}
    instances = []
    for group_name, group in mine.items():
        instances.append(_instance(spec, name, group_name, group, vrids[group_name]))
        watches[(Watched.FILE, hold_file(group_name))] = _held_back(group_name)
        for tracker in group.keeps_while:
            if tracker.kind != "interface":
                watch = _watch(spec, name, tracker)
                watches[(watch.kind, watch.name)] = watch
    return Node(
        name=name,
        links={interface: interface_in(spec, name, interface) or "" for interface in spec.nodes[name].interfaces},
        instances=tuple(instances),
        watches=tuple(watches.values()),
        services=_services(spec, name, mine),
        capacity=_capacity(spec.nodes[name].labels.get("capacity", "")),
    )


def _held_back(group: str) -> Watch:
    return Watch(Watched.FILE, hold_file(group), title=f"hold file of {group}", lost=-_GIVEN_UP, by_hand=True)


def _capacity(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() and 0 < len(text) <= 9 else 1.0


def _services(spec: ClusterSpec, node: str, groups: dict[str, VrrpGroup]) -> tuple[str, ...]:
    """Programs whose death is worth asking about: the proxies' engines, and processes that a group needs."""
    engines = [proxy.engine for proxy in spec.proxies.values() if node in proxy.nodes]
    processes = [t.process for group in groups.values() for t in group.keeps_while if t.process is not None]
    return tuple(dict.fromkeys([*engines, *processes]))


def _instance(spec: ClusterSpec, node: str, name: str, group: VrrpGroup, vrid: int) -> Instance:
    ranking = rank(group)
    sources = {member: advert_source(spec, group, member) for member in group.members}
    unicast = [str(source) for member, source in sources.items() if member != node and source is not None]
    return Instance(
        name=name,
        vrid=vrid,
        interface=advert_interface(spec, group, node) or "",
        priority=ranking.priorities[node],
        addresses=tuple(str(address.ip) for address in group.addresses.values()),
        advertised=frozenset({f"anchor {vrid}"}),
        advert_s=group.advertise_every / 1000,
        version=group.version,
        family=advert_family(group),
        preempt=group.preempts,
        preempt_delay_s=-(-group.preempt.after // 1000) if isinstance(group.preempt, PreemptAfter) else 0.0,
        source=str(sources[node] or ""),
        peers=frozenset(unicast) if group.adverts == "unicast" else frozenset(),
        trackers=_trackers(spec, node, name, group, ranking),
        answers_higher=True,
    )


def _trackers(spec: ClusterSpec, node: str, name: str, group: VrrpGroup, ranking: Ranking) -> tuple[Tracker, ...]:
    found = [Tracker(Watched.FILE, hold_file(name), 1)]
    carrying = {carrying_interface(spec, node, address) for address in group.addresses.values()}
    carrying.add(advert_interface(spec, group, node))
    for tracker, loss, gain in zip(group.keeps_while, ranking.loss, ranking.gain, strict=True):
        weight = None if loss is None else loss or gain
        if tracker.interface is not None:
            if tracker.interface not in carrying:  # else keepalived gives the group up with it, whatever its weight
                found.append(Tracker(Watched.INTERFACE, tracker.interface, weight or 0))
        elif tracker.file is not None:
            found.append(Tracker(Watched.FILE, tracker.file, _GIVEN_UP if weight is None else abs(weight)))
        else:
            kind = Watched.PROCESS if tracker.process is not None else Watched.SCRIPT
            found.append(Tracker(kind, watched_name(tracker), weight or 0))
    found += [Tracker(Watched.INTERFACE, interface) for interface in sorted(filter(None, carrying))]
    return tuple(found)


def watched_name(tracker: SpecTracker) -> str:
    """What a tracker looks at, as the model calls it: a program, ADDRESS:PORT/PATH, or a name."""
    target = tracker.http
    return f"{target.address}:{target.port}{target.path}" if target else str(getattr(tracker, tracker.kind))


def _watch(spec: ClusterSpec, node: str, tracker: SpecTracker) -> Watch:
    name = watched_name(tracker)
    if tracker.kind == "file":
        return Watch(Watched.FILE, name, title=f"file {name}")
    if tracker.kind == "process":
        return Watch(Watched.PROCESS, name, title=name, service=name)
    service = next((proxy.engine for proxy in spec.proxies.values() if _answers(proxy, node, name)), "")
    return Watch(
        Watched.SCRIPT,
        name,
        title=name if tracker.kind == "http" else f"script {name}",
        interval_s=max(1, tracker.every // 1000),
        timeout_s=tracker.timeout / 1000,
        rise=tracker.rise,
        fall=tracker.fall,
        service=service if tracker.kind == "http" else "",
    )


def _answers(proxy: Proxy, node: str, target: str) -> bool:
    health = proxy.health
    if health is False or node not in proxy.nodes:
        return False
    return f"{health.address}:{health.port}{health.path}" == target


def _serving(spec: ClusterSpec) -> dict[str, frozenset[str]]:
    """Address → the programs that must run on its holder for anything to be served there."""
    found: dict[str, frozenset[str]] = {}
    for proxy in spec.proxies.values():
        for listener in proxy.listeners:
            for address in listener_addresses(spec, listener.on.target):
                found[str(address)] = found.get(str(address), frozenset()) | {proxy.engine}
    return found


def _backends(spec: ClusterSpec) -> tuple[Backends, ...]:
    pools = [
        Backends(
            Sentence("pool %(name)s", name=name), _weights((server.host, server.weight) for server in pool.servers)
        )
        for name, pool in spec.pools.items()
    ]
    virtual = [
        Backends(
            Sentence("virtual server %(name)s", name=name),
            _weights((server.host, server.weight) for server in vs.servers),
            least=float(max(vs.quorum.weight - vs.quorum.hysteresis, 0)),
            sorry=vs.sorry.host if vs.sorry else "",
        )
        for name, vs in spec.virtual_servers.items()
    ]
    return (*pools, *virtual)


def _weights(servers: Iterable[tuple[str, int]]) -> dict[str, float]:
    """By machine: one may serve on two ports, and its loss is the loss of both."""
    found: dict[str, float] = {}
    for host, weight in servers:
        found[host] = found.get(host, 0.0) + weight
    return found
