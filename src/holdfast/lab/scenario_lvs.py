"""The scenario that is played for a spec with virtual servers: a pure function of the spec.

Every director dies once under live connections and comes back; a director of two networks loses one; a real server
dies, another is drained and resumed; a group is moved and comes back; a real server is added; a change is refused.
It is kept short, because most machines play it in an emulated one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from holdfast.lab.scenario import KIND_OF, Break, Breakage, Change, Heal, Kind, Overrule, Scenario, Step, moved_and_back
from holdfast.lab.scenario_file import members, services_of
from holdfast.protocol import OverrideKind
from holdfast.sentences import Sentence
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.load import LoadedSpec, parse_spec
from holdfast.spec.positions import read_yaml
from holdfast.spec.resolve import advert_interface, carrying_interface, network_of, with_prefix
from holdfast.spec.resolve_lvs import all_directors, directed_groups, directors
from holdfast.spec.servers import Server
from holdfast.spec.values import Address, join_host_port
from holdfast.spec.virtual_servers import SYNC_ROUND_MS, VirtualServer

ADDED = "added"
# A director that was away knows of a connection once the others tell of it again, and the kernel collects what it tells
# for up to 2 s and looks once a second. What breaks before that is a second fault at the same time, which cuts.
_KNOWS_AFTER_S = SYNC_ROUND_MS / 1000 + 4.0
NOT_HERE = (
    "frozen nodes, hung programs and partitions were not tried: they are about VRRP, which works as in clusters without"
    " virtual servers"
)


def lvs_scenario(loaded: LoadedSpec) -> Scenario:
    """The steps for a spec with virtual servers, and notes on what it gives no occasion for."""
    maker = _Maker(loaded)
    return Scenario(tuple(maker.steps()), (*maker.notes, NOT_HERE))


class _Maker:
    def __init__(self, loaded: LoadedSpec) -> None:
        self._loaded, self._spec = loaded, loaded.spec
        self.notes: list[str] = []

    def steps(self) -> Iterator[Step]:
        for node in members(self._spec):
            yield from _broken_and_healed(
                Break(Breakage.CRASH, node), Sentence("boot %(node)s", node=node), _KNOWS_AFTER_S
            )
        yield from self._second_network()
        yield from self._dead_server()
        yield from self._drained_server()
        yield from self._switchover()
        yield from self._changes()

    def _second_network(self) -> Iterator[Step]:
        """A director that translates addresses needs both of its networks."""
        for name in directed_groups(self._spec):
            group = self._spec.vrrp[name]
            first = group.members[0]
            carriers = [carrying_interface(self._spec, first, a) for a in group.addresses.values()]
            other = next((c for c in carriers if c and c != advert_interface(self._spec, group, first)), None)
            if other is not None:
                fault = Break(Breakage.CABLE, first, other)
                yield from _broken_and_healed(fault, Sentence("cable %(where)s plugged in", where=f"{first}.{other}"))
                return

    def _dead_server(self) -> Iterator[Step]:
        found = expendable(self._spec, checked=True)
        if found is None:
            self.notes.append("no virtual server with a check has a second server: no real server can die without loss")
            return
        host = found.host
        engine = next((s for s in services_of(self._spec, host) if s in ("nginx", "haproxy")), None)
        if engine is not None:
            yield from _broken_and_healed(
                Break(Breakage.KILL_SERVICE, host, engine), Sentence("start %(where)s", where=f"{engine}@{host}")
            )
        else:
            yield from _broken_and_healed(
                Break(Breakage.KILL_BACKEND, host), Sentence("real server %(host)s is back", host=host)
            )

    def _drained_server(self) -> Iterator[Step]:
        found = expendable(self._spec, checked=False)
        if found is None:
            self.notes.append("no virtual server has a second server: none can be drained without loss")
            return
        yield Step(
            Sentence("drain %(server)s", server=found.written),
            Kind.PLANNED,
            Overrule(found.written, OverrideKind.DRAINED),
            3.0,
        )
        yield Step(Sentence("resume %(server)s", server=found.written), Kind.PLANNED, Overrule(found.written, None))

    def _switchover(self) -> Iterator[Step]:
        for name in directed_groups(self._spec)[:1]:
            yield from moved_and_back(name, self._spec.vrrp[name])

    def _changes(self) -> Iterator[Step]:
        grown, what = with_another_server(self._loaded)
        if not what:
            self.notes.append("no room for another real server: nothing was added, and no change was refused")
            return
        yield Step(Sentence("add %(what)s", what=what), Kind.PLANNED, Change(grown))
        first = all_directors(self._spec)[0]
        full = Break(Breakage.FULL_DISK, first)
        yield Step(full.title, Kind.DISK_FULL, full)
        # Taking the server away again changes files of the directors, which come first: one of them cannot be written.
        yield Step(Sentence("change refused: disk full"), Kind.REFUSED, Change(self._loaded, refused=True))
        yield Step(Sentence("disk of %(node)s has room again", node=first), Kind.RECOVERY, Heal(first))


def _broken_and_healed(fault: Break, healed: str, at_least_s: float = 2.0) -> Iterator[Step]:
    yield Step(fault.title, KIND_OF[fault.what], fault)
    yield Step(healed, Kind.RECOVERY, Heal(fault.node), at_least_s)


def expendable(spec: ClusterSpec, *, checked: bool) -> Server | None:
    """A real server (a node) without which every virtual server that has it goes on; the last one of its kind."""
    found = None
    for virtual in spec.virtual_servers.values():
        for server in virtual.servers:
            users = [v for v in spec.virtual_servers.values() if any(s.host == server.host for s in v.servers)]
            if server.host in spec.nodes and all(_survives(v, server.host, checked) for v in users):
                found = server
    return found


def _survives(virtual: VirtualServer, host: str, checked: bool) -> bool:
    others = [server for server in virtual.servers if server.host != host]
    noticed = virtual.check is not None or not checked
    return noticed and sum(server.weight for server in others) >= max(1, virtual.quorum.weight)


def with_another_server(loaded: LoadedSpec) -> tuple[LoadedSpec, str]:
    """The spec with one more node that serves like one that is there; and what was added, nothing if there is no room.

    Where the real servers are proxies, the new one is a proxy, too. The document is changed, not the model: what is
    rolled out is a text, as an operator's own would be.
    """
    spec = loaded.spec
    data: Any = read_yaml(loaded.text, loaded.positions.file)[0]
    for name, virtual in spec.virtual_servers.items():
        for server in virtual.servers:
            interfaces = _interfaces_like(spec, name, server.host)
            if not interfaces or ADDED in spec.nodes:
                continue
            written = join_host_port(ADDED, server.port) if server.port else ADDED
            data["nodes"][ADDED] = {"interfaces": interfaces}
            data["virtual_servers"][name]["servers"].append(written)
            for proxy, found in spec.proxies.items():
                if server.host in found.nodes:
                    data["proxies"][proxy]["nodes"].append(ADDED)
            # JSON is YAML, and says the same in every version of it.
            what = Sentence("%(server)s to %(virtual_server)s", server=written, virtual_server=name)
            return parse_spec(json.dumps(data, indent=1), loaded.positions.file), what
    return loaded, ""


def _interfaces_like(spec: ClusterSpec, name: str, host: str) -> dict[str, list[str]]:
    """What a node that does the same as `host` has: its interfaces, with free addresses; empty where there are none."""
    if host not in spec.nodes or host in directors(spec, name):
        return {}
    taken = {a for node in spec.nodes.values() for a in node.addresses}
    taken |= {a.ip for group in spec.vrrp.values() for a in group.addresses.values()}
    taken |= {gateway for network in spec.networks.values() for gateway in network.gateway}
    found: dict[str, list[str]] = {}
    for label, interface in spec.nodes[host].interfaces.items():
        free = [_beside(spec, address, taken) for address in interface.addresses]
        if None in free:
            return {}
        found[label] = [str(address) for address in free]
    return found


def _beside(spec: ClusterSpec, near: Address, taken: set[Address]) -> Address | None:
    """A free address in the network that `near` is in."""
    if network_of(spec, near) is None:
        return None
    subnet = with_prefix(spec, near).network
    last = int(subnet.network_address) + subnet.num_addresses - 17  # the last ones are left to others
    candidates = (type(near)(number) for number in range(int(near) + 1, min(int(near) + 300, last)))
    return next((address for address in candidates if address not in taken), None)
