"""The whole cluster as one picture: what the spec wants, and what is known of it now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from holdfast.protocol.api.nodes import NodeSummary
from holdfast.protocol.realtime import Requests
from holdfast.sentences import Sentence
from holdfast.spec.resolve_lvs import all_directors

from ...operations.situation import Situation
from ..words import N_
from .addresses import Group, groups_of
from .proxies import PoolRow, ProxyRow, pools_of, proxies_of
from .servers import VirtualRow, rows_of
from .trouble import Problem, problems_of, worst


@dataclass(frozen=True, slots=True)
class Mark:
    """A server in a picture. `open` are its connections, None where nobody counts them."""

    name: str
    state: str
    word: str
    open: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A virtual server or a pool. `feeds` are the proxies that its servers are, `group` whose addresses it is on.

    `per_s` are new connections, of a pool requests, in a second; `sends` the part of them that goes to a proxy.
    """

    kind: str
    name: str
    where: str
    state: str
    word: str
    servers: tuple[Mark, ...]
    group: str = ""
    feeds: tuple[str, ...] = ()
    per_s: float | None = None
    sends: tuple[tuple[str, float], ...] = ()

    @property
    def up(self) -> int:
        """How many servers are known to answer."""
        return sum(one.state == "ok" for one in self.servers)


@dataclass(frozen=True, slots=True)
class Machine:
    """A node. `roles` say what it does in this cluster."""

    name: str
    state: str
    word: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProxyBox:
    """A tier of proxies: who runs it, on which groups it listens, to which pools it sends.

    `gets` are the requests in a second of each of its nodes, `sends` those to each pool, as far as they are known.
    """

    name: str
    engine: str
    nodes: tuple[Machine, ...]
    groups: tuple[str, ...]
    pools: tuple[str, ...]
    gets: tuple[tuple[str, float], ...] = ()
    sends: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """All of it."""

    groups: tuple[Group, ...]
    machines: tuple[Machine, ...]
    services: tuple[Row, ...]
    proxies: tuple[ProxyBox, ...]
    pools: tuple[Row, ...]
    problems: tuple[Problem, ...]

    @property
    def servers(self) -> tuple[Mark, ...]:
        """Every server of every row."""
        return tuple(mark for row in (*self.services, *self.pools) for mark in row.servers)

    @property
    def state(self) -> str:
        """Of all problems, the worst; without any, all is well only if there is no server that nobody knows of."""
        if not self.machines or (not self.problems and self.not_known):
            return "unknown"
        return worst(one.tone for one in self.problems)

    @property
    def not_known(self) -> int:
        """Servers that should be in service, and of which nobody can say whether they are."""
        return sum(one.word in ("not known", "not applied yet") for one in self.servers)


def overview_of(seen: Situation) -> Picture:
    """The picture of a cluster. Without a spec there is nothing but nodes."""
    services = tuple(_service(seen, one) for one in rows_of(seen))
    requests = lately(seen)
    pools = tuple(_pool(one, requests) for one in pools_of(seen))
    machines = machines_of(seen)
    known = {one.name: one for one in machines}
    groups = groups_of(seen)
    problems = problems_of(seen.told, [(row.kind, row.name, row.servers) for row in (*services, *pools)])
    return Picture(
        groups=groups,
        machines=machines,
        services=services,
        proxies=tuple(_proxy(seen, one, known, requests) for one in proxies_of(seen)),
        pools=pools,
        problems=(*_parted(groups), *problems),
    )


def _parted(groups: Iterable[Group]) -> Iterable[Problem]:
    """Groups of which some nodes have some addresses: with a whole holder beside them, nothing else would say so."""
    for group in groups:
        nodes = ", ".join(one.node for one in group.members if one.word == "holds a part of it")
        if nodes:
            text = Sentence("%(name)s: some of its addresses are on %(nodes)s", name=group.name, nodes=nodes)
            yield Problem("bad", text, "group", group.name)


def focused(picture: Picture, group: str) -> Picture:
    """One group's part of the picture: its members, what is served on it, what that leads to. Problems all stay."""
    groups = tuple(one for one in picture.groups if one.name == group)
    members = {member.node for one in groups for member in one.members}
    services = tuple(one for one in picture.services if one.group == group)
    fed = {name for one in services for name in one.feeds}
    proxies = tuple(one for one in picture.proxies if group in one.groups or one.name in fed)
    pools = {name for one in proxies for name in one.pools}
    return replace(
        picture,
        groups=groups,
        machines=tuple(one for one in picture.machines if one.name in members),
        services=services,
        proxies=proxies,
        pools=tuple(one for one in picture.pools if one.name in pools),
    )


def machines_of(seen: Situation) -> tuple[Machine, ...]:
    """Every node of the spec, in its order, and those that are known otherwise."""
    summaries = {one.node: one for one in seen.told.nodes}
    names = list(seen.spec.nodes) if seen.spec else []
    names += sorted(summaries.keys() - set(names))
    return tuple(Machine(name, *node_state(summaries.get(name)), _roles(seen, name)) for name in names)


def node_state(summary: NodeSummary | None) -> tuple[str, str]:
    """How a node is: its mark, and a word."""
    if summary is None:
        return "unknown", N_("no agent")
    if summary.revoked is not None:
        return "off", N_("revoked")
    if summary.enrolled is None:
        return "unknown", N_("has not joined")
    if not summary.connected:
        return "bad", N_("silent")
    if summary.maintenance:
        return "off", N_("in maintenance")
    if summary.trouble:
        return "warning", N_("in trouble")
    return ("busy", N_("behind")) if summary.behind else ("ok", N_("well"))


def _roles(seen: Situation, node: str) -> tuple[str, ...]:
    """What a node does: a director, the engines that run there, or only its addresses."""
    spec = seen.spec
    if spec is None:
        return ()
    member = any(node in one.members for one in spec.vrrp.values())
    engines: list[str] = sorted({one.engine for one in spec.proxies.values() if node in one.nodes})
    found = [N_("director")] if node in all_directors(spec) else []
    return tuple(found + engines) or ((N_("holds addresses"),) if member else ())


def _service(seen: Situation, one: VirtualRow) -> Row:
    hosts = {server.host for server in one.servers}
    proxies = seen.spec.proxies if seen.spec else {}
    where = ", ".join(one.endpoints[:2] or one.on[:2]) + (f" +{len(one.endpoints) - 2}" if one.endpoints[2:] else "")
    return Row(
        kind="virtual_server",
        name=one.name,
        where=where if one.protocol == "tcp" else f"{where}/{one.protocol}",
        state=one.state,
        word=one.word,
        servers=tuple(Mark(each.written, each.state, each.word, each.open) for each in one.servers),
        group=one.group or "",
        feeds=tuple(name for name, proxy in proxies.items() if hosts & set(proxy.nodes)),
        per_s=one.per_s,
        sends=tuple(_sent(one, {name: proxy.nodes for name, proxy in proxies.items()})),
    )


def _sent(one: VirtualRow, proxies: Mapping[str, Iterable[str]]) -> Iterable[tuple[str, float]]:
    for name, nodes in proxies.items():
        there = [each.holder.per_s for each in one.servers if each.host in set(nodes) and each.holder]
        if known := [figure for figure in there if figure is not None]:
            yield name, sum(known)


def _pool(one: PoolRow, requests: Mapping[str, Requests]) -> Row:
    marks = tuple(Mark(each.written, each.state, each.word) for each in one.servers)
    known = [each.pools[one.name] for each in requests.values() if one.name in each.pools]
    per_s = sum(known) if known else None
    return Row("pool", one.name, ", ".join(one.sites[:3]), one.state, one.word, marks, per_s=per_s)


def lately(seen: Situation) -> Mapping[str, Requests]:
    """What the proxies of each node do in a second, of nodes that can be heard."""
    return {node: heard.report.requests for node, heard in seen.heard.items() if node in seen.connected}


def _proxy(seen: Situation, one: ProxyRow, machines: dict[str, Machine], requests: Mapping[str, Requests]) -> ProxyBox:
    pools = [
        pool for listener in one.listeners for site in listener.sites for route in site.routes for pool in route.pools
    ]
    assert seen.spec is not None, "there are no proxies without a spec"
    groups = [listener.on.group for listener in seen.spec.proxies[one.name].listeners]
    # Nodes count what all of their proxies do: where one runs several, nobody can say which of them it was.
    shared = {node for name, other in seen.spec.proxies.items() if name != one.name for node in other.nodes}
    alone = {node: requests[node] for node in one.nodes if node in requests}
    if shared & set(one.nodes):
        alone = {}
    return ProxyBox(
        name=one.name,
        engine=one.engine,
        nodes=tuple(machines[node] for node in one.nodes if node in machines),
        groups=tuple(dict.fromkeys(each for each in groups if each)),
        pools=tuple(dict.fromkeys(name for name, _ in pools)),
        gets=tuple((node, each.total) for node, each in alone.items() if each.total is not None),
        sends=tuple(_added(each.pools for each in alone.values()).items()),
    )


def _added(each: Iterable[Mapping[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in each:
        for name, figure in one.items():
            found[name] = found.get(name, 0.0) + figure
    return found
