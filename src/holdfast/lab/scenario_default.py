"""The scenario that a rehearsal plays when it is given none: a pure function of the spec.

Every node of a VRRP group and every tracked service dies once and comes back, and every tracked script fails once; each
of the other breakages happens once; a backend dies; a group is moved and comes back; an address and a server are added
while traffic flows; a change that a program refuses is tried.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from holdfast.lab.scenario import (
    KIND_OF,
    Break,
    Breakage,
    Change,
    Heal,
    Kind,
    Occupied,
    Scenario,
    Step,
    moved_and_back,
)
from holdfast.lab.scenario_file import members, scripts_of, servers, services_of
from holdfast.lab.scenario_lvs import lvs_scenario
from holdfast.sentences import Sentence
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.load import LoadedSpec, parse_spec
from holdfast.spec.pools import Pool
from holdfast.spec.positions import read_yaml
from holdfast.spec.resolve import advert_interface, network_of, with_prefix
from holdfast.spec.values import Address, join_host_port
from holdfast.spec.vrrp import FloatingAddress

SLOW_BY_S = 1.0  # with a slow answer's own 1.5 s still below the client's patience
_FIRST_REFUSED_PORT = 8099
_ADDED = "added"


def default_scenario(loaded: LoadedSpec) -> Scenario:
    """The steps for a spec, and notes on what it gives no occasion for."""
    if loaded.spec.virtual_servers:
        return lvs_scenario(loaded)
    maker = _Maker(loaded)
    return Scenario(tuple(maker.steps()), tuple(maker.notes))


class _Maker:
    def __init__(self, loaded: LoadedSpec) -> None:
        self._loaded, self._spec = loaded, loaded.spec
        self.notes: list[str] = []

    def steps(self) -> Iterator[Step]:
        nodes = members(self._spec)
        for node in nodes:
            yield from _broken_and_healed(Break(Breakage.CRASH, node), Sentence("boot %(node)s", node=node))
        for node, service in self._tracked():
            yield from _broken_and_healed(
                Break(Breakage.KILL_SERVICE, node, service), Sentence("start %(where)s", where=f"{service}@{node}")
            )
        for node in nodes:
            for script in scripts_of(self._spec, node):
                fault = Break(Breakage.FAIL_SCRIPT, node, script)
                yield from _broken_and_healed(fault, Sentence("%(where)s is good again", where=f"{script}@{node}"))
        yield from self._once_each(nodes)
        yield from self._backend()
        yield from self._switchover()
        yield from self._changes(nodes)

    def _tracked(self) -> Iterator[tuple[str, str]]:
        """(node, service) of everything that the spec tracks and that the lab can kill."""
        seen: set[tuple[str, str]] = set()
        for name, group in self._spec.vrrp.items():
            for tracker in group.keeps_while:
                for node in group.members:
                    service = watched_service(self._spec, node, tracker.process, tracker.http is not None)
                    if service is None:
                        if tracker.process:
                            self._note(f"{name} tracks {tracker.process}, which is no program of Holdfast's on {node}")
                    elif (node, service) not in seen:
                        seen.add((node, service))
                        yield node, service

    def _once_each(self, nodes: tuple[str, ...]) -> Iterator[Step]:
        if not nodes:
            self._note("no VRRP group: nothing can fail over")
            return
        first, group = nodes[0], next(iter(self._spec.vrrp.values()))
        yield from _broken_and_healed(Break(Breakage.FREEZE, first), Sentence("thaw %(node)s", node=first))
        yield from _broken_and_healed(
            Break(Breakage.HANG_KEEPALIVED, first), Sentence("keepalived of %(node)s goes on", node=first)
        )
        interface = advert_interface(self._spec, group, first)
        if interface:
            yield from _broken_and_healed(
                Break(Breakage.CABLE, first, interface),
                Sentence("cable %(where)s plugged in", where=f"{first}.{interface}"),
            )
        yield from _broken_and_healed(
            Break(Breakage.PARTITION, group.members[0], group.members[1]),
            Sentence("partition %(where)s ends", where=" | ".join(group.members[:2])),
        )

    def _backend(self) -> Iterator[Step]:
        victim = self._expendable()
        if victim is None:
            self._note("no pool has a second server: no backend can die without loss")
            return
        yield from _broken_and_healed(
            Break(Breakage.KILL_BACKEND, victim), Sentence("backend %(host)s is back", host=victim)
        )
        yield from _broken_and_healed(
            Break(Breakage.SLOW_BACKEND, victim, delay_s=SLOW_BY_S),
            Sentence("backend %(host)s is fast again", host=victim),
        )

    def _expendable(self) -> str | None:
        """A server whose death every pool survives; else one that at least one pool survives."""
        pools = self._spec.pools.values()
        alone = {pool.servers[0].host for pool in pools if len({s.host for s in pool.servers}) == 1}
        shared = [h for h in servers(self._spec) if any(len(p.servers) > 1 and _has(p, h) for p in pools)]
        return next((host for host in reversed(shared) if host not in alone), next(iter(shared), None))

    def _switchover(self) -> Iterator[Step]:
        for name, group in list(self._spec.vrrp.items())[:1]:
            yield from moved_and_back(name, group)

    def _changes(self, nodes: tuple[str, ...]) -> Iterator[Step]:
        grown, what = with_more(self._loaded)
        if what:
            yield Step(Sentence("add %(what)s", what=what), Kind.PLANNED, Change(grown))
        else:
            self._note("no room for another address or server: nothing was added")
        if nodes and what:
            full = Break(Breakage.FULL_DISK, nodes[0])
            yield Step(full.title, Kind.DISK_FULL, full)
            # Taking the additions back would be a change of every file; it cannot be written.
            yield Step(Sentence("change refused: disk full"), Kind.REFUSED, Change(self._loaded, refused=True))
            yield Step(Sentence("disk of %(node)s has room again", node=nodes[0]), Kind.RECOVERY, Heal(nodes[0]))
        refused = with_port_in_use(grown)
        if refused is None:
            self._note("no listener on a VRRP group: no change was tried that a program refuses")
            return
        changed, occupied = refused
        name = Sentence("change refused: port %(port)s taken on %(node)s", port=occupied.port, node=occupied.node)
        yield Step(name, Kind.REFUSED, Change(changed, refused=True, occupied=occupied))

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _broken_and_healed(fault: Break, healed: str) -> Iterator[Step]:
    yield Step(fault.title, KIND_OF[fault.what], fault)
    yield Step(healed, Kind.RECOVERY, Heal(fault.node))


def _has(pool: Pool, host: str) -> bool:
    return any(server.host == host for server in pool.servers)


def watched_service(spec: ClusterSpec, node: str, process: str | None, http: bool) -> str | None:
    """Which program on `node` a tracker watches: the process named, or the proxy behind the HTTP check."""
    running = services_of(spec, node)
    if process is not None:
        return process if process in running else None
    return next((service for service in running if service != "keepalived"), None) if http else None


def with_more(loaded: LoadedSpec) -> tuple[LoadedSpec, str]:
    """The spec with one more address in a group that is listened on, and one more server; and what was added.

    The document is changed, not the model: what is rolled out is a text, as an operator's own would be.
    """
    spec, data = loaded.spec, _document(loaded)
    added: list[str] = []
    for name, group in spec.vrrp.items():
        address = _free_address(spec, name) if _listened_on_whole(spec, name) else None
        if address is not None:
            # All in the long form: numbers are the names of the addresses that had none.
            addresses = {key: _as_written(floating) for key, floating in group.addresses.items()}
            data["vrrp"][name]["addresses"] = {**addresses, _ADDED: str(address)}
            added.append(str(address))
            break
    for name, pool in spec.pools.items():
        server = _another_server(spec, pool)
        if server is not None:
            data["pools"][name]["servers"].append(server)
            added.append(Sentence("%(server)s in %(pool)s", server=server, pool=name))
            break
    if len(added) > 1:
        return _rewritten(loaded, data), Sentence("%(first)s and %(second)s", first=added[0], second=added[1])
    return _rewritten(loaded, data), added[0] if added else ""


def _document(loaded: LoadedSpec) -> Any:
    return read_yaml(loaded.text, loaded.positions.file)[0]


def _rewritten(loaded: LoadedSpec, data: Any) -> LoadedSpec:
    # JSON is YAML, and says the same in every version of it.
    return parse_spec(json.dumps(data, indent=1), loaded.positions.file)


def _as_written(floating: FloatingAddress) -> Any:
    long = {"address": str(floating.address), "interface": floating.interface}
    return long if floating.interface else str(floating.address)


def _listened_on_whole(spec: ClusterSpec, group: str) -> bool:
    listeners = [listener for proxy in spec.proxies.values() for listener in proxy.listeners]
    return any(listener.on.target == group for listener in listeners)


def _free_address(spec: ClusterSpec, group: str) -> Address | None:
    """An address beside the group's first one that nobody has. The last 16 of a subnet are left to others."""
    first = next(iter(spec.vrrp[group].addresses.values()))
    if network_of(spec, first.ip) is None:
        return None
    subnet = with_prefix(spec, first.address).network
    taken = {a for node in spec.nodes.values() for a in node.addresses}
    taken |= {a.ip for other in spec.vrrp.values() for a in other.addresses.values()}
    taken |= {gateway for network in spec.networks.values() for gateway in network.gateway}
    lowest, last = int(subnet.network_address) + 1, int(subnet.network_address) + subnet.num_addresses - 17
    near = range(int(first.ip) + 1, min(int(first.ip) + 300, last))
    make = type(first.ip)
    candidates = (make(n) for n in (*near, *range(lowest, min(lowest + 300, last))))
    return next((address for address in candidates if address not in taken), None)


def _another_server(spec: ClusterSpec, pool: Pool) -> str | None:
    """A server that some other pool has and this one has not."""
    own = {(server.host, server.port) for server in pool.servers}
    others = [server for other in spec.pools.values() for server in other.servers if not server.backup]
    found = next((s for s in others if (s.host, s.port) not in own), None)
    return join_host_port(found.host, found.port) if found else None


def with_port_in_use(loaded: LoadedSpec) -> tuple[LoadedSpec, Occupied] | None:
    """The spec with a listener on a port that somebody else has on the group's preferred node (the last to change)."""
    spec, data = loaded.spec, _document(loaded)
    for name, proxy in spec.proxies.items():
        for listener in proxy.listeners:
            group = spec.vrrp.get(listener.on.group or "")
            if group is None or listener.tls:
                continue
            port = _free_port(spec)
            more = {"on": f"{listener.on.target}:{port}", "sites": list(listener.sites)}
            data["proxies"][name]["listeners"].append(more)
            return _rewritten(loaded, data), Occupied(group.members[0], port)
    return None


def _free_port(spec: ClusterSpec) -> int:
    used = {listener.on.port for proxy in spec.proxies.values() for listener in proxy.listeners}
    used |= {proxy.health.port for proxy in spec.proxies.values() if proxy.health}
    used |= {server.port for pool in spec.pools.values() for server in pool.servers}
    return next(port for port in range(_FIRST_REFUSED_PORT, 65_536) if port not in used)
