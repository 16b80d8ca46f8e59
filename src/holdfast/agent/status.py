"""The node as it is: services, listeners, groups, and what was changed by hand.

Looks, and changes nothing.
"""

from __future__ import annotations

from holdfast.agent import haproxy_pools, overrides, weights
from holdfast.agent.credentials import IDENTITY_FILE
from holdfast.agent.daemon.settings import SETTINGS_FILE, read_settings
from holdfast.agent.generations import Generations
from holdfast.agent.journal import Journal
from holdfast.agent.pool_servers import name_of, servers_of, spoken_at
from holdfast.agent.prober.status_file import read_status
from holdfast.agent.realtime import haproxy
from holdfast.agent.recovery import Nothing, decide
from holdfast.agent.services.base import Node, service_of
from holdfast.agent.services.daemons import DAEMONS
from holdfast.agent.services.logs import LogTail
from holdfast.agent.supervisor.processes import is_halted
from holdfast.agent.vrrp_state import groups_of, in_fault
from holdfast.bundle import Bundle, Service, VrrpExpectation
from holdfast.errors import ApplyError, TableUnreadable, UsageError
from holdfast.findings import Finding, Severity
from holdfast.protocol import (
    GroupFacts,
    ListenerFacts,
    NodeStatus,
    OverrideReport,
    PoolFacts,
    PoolOverride,
    ServerOverride,
    ServiceFacts,
    TableSaid,
)
from holdfast.sentences import Sentence

_MOST_SAID = 200  # findings about the table that are told in a way for other languages, too


def node_status(node: Node) -> NodeStatus:
    """Everything that the agent sees at present; raises ApplyError where the service manager does not answer."""
    generations = Generations(node.places)
    name = generations.current()
    bundle = generations.bundle(name)
    journal = Journal(node.places.state / "journal.jsonl")
    services, table = _services(node, bundle), _table(node, bundle)
    return NodeStatus(
        node=bundle.node if bundle else None,
        cluster=bundle.cluster if bundle else None,
        generation=name,
        digest=bundle.digest if bundle else None,
        services=services,
        listeners=_listeners(node, services),
        groups=_groups(node, bundle),
        pools=(*_probed(node, services), *_asked_by_haproxy(node, bundle, services)),
        overrides=_overrides(node),
        pool_overrides=_pool_overrides(node),
        table=table,
        table_said=tuple(TableSaid.of(one) for one in table[:_MOST_SAID]),
        drift=generations.drift(name),
        interrupted=not isinstance(decide(journal.entries), Nothing),
        controllers=_controllers(node),
    )


def _controllers(node: Node) -> tuple[str, ...]:
    """Whom this node's agent follows once it runs; one whose list cannot be read follows nobody."""
    if not node.places.at(IDENTITY_FILE).is_file():
        return ()
    try:
        return read_settings(node.places.at(SETTINGS_FILE)).controllers
    except UsageError:
        return ()


def _services(node: Node, bundle: Bundle | None) -> tuple[ServiceFacts, ...]:
    found = []
    for service in bundle.services if bundle else ():
        if service in DAEMONS:
            now = node.manager.status(service)
            halted = now.running and now.pid is not None and is_halted(now.pid)
            found.append(
                ServiceFacts(
                    service=service,
                    running=now.running and not halted,
                    pid=now.pid,
                    state="halted by a signal" if halted else now.state,
                    restarts=now.restarts,
                )
            )
    return tuple(found)


def _listeners(node: Node, services: tuple[ServiceFacts, ...]) -> tuple[ListenerFacts, ...]:
    owners = service_of(node.host, {facts.service: facts.pid for facts in services if facts.pid is not None})
    found = {(socket.address, socket.port, owners.get(socket.inode)) for socket in node.host.listening()}
    ordered = sorted(found, key=lambda item: (item[1], item[0], item[2] or ""))
    return tuple(ListenerFacts(address=address, port=port, service=service) for address, port, service in ordered)


def _asked_by_haproxy(node: Node, bundle: Bundle | None, services: tuple[ServiceFacts, ...]) -> tuple[PoolFacts, ...]:
    """Nothing where HAProxy does not run, or does not tell: that is said of it elsewhere, or will be in a moment."""
    runs = any(facts.service is Service.HAPROXY and facts.running for facts in services)
    if bundle is None or not runs:
        return ()
    try:
        seen = haproxy.servers(node.places.at(haproxy.SOCKET))
    except ApplyError:
        return ()
    known_out = {(one.pool, name_of(one.server)) for one in _pool_overrides(node)}
    return haproxy_pools.facts(servers_of(bundle), seen, known_out, overrides.now())


def _probed(node: Node, services: tuple[ServiceFacts, ...]) -> tuple[PoolFacts, ...]:
    """Nothing where the prober does not run: what it said last may not be true any more."""
    prober = next((facts for facts in services if facts.service is Service.PROBER), None)
    said = read_status(node.places) if prober is not None and prober.running else None
    return said.pools if said is not None and prober is not None and said.pid == prober.pid else ()


def _overrides(node: Node) -> tuple[ServerOverride, ...]:
    return weights.in_force(overrides.read(node.places), overrides.now())


def _pool_overrides(node: Node) -> tuple[PoolOverride, ...]:
    now = overrides.now()
    return tuple(one for one in overrides.read(node.places).pools if not weights.expired(one, now))


def _table(node: Node, bundle: Bundle | None) -> tuple[Finding, ...]:
    """Nothing where the bundle expects nothing of it."""
    try:
        return overrides.differences(node, bundle) if bundle is not None else ()
    except TableUnreadable as error:
        return (Finding(code="IPVS000", severity=Severity.ERROR, message=error.message, hint=error.hint),)


def override_lines(report: OverrideReport, bundle: Bundle | None = None) -> list[str]:
    """For people: what is overridden; servers as the spec writes them where the bundle tells."""
    names = _spoken(bundle) if bundle is not None else {}
    lines = [f"{report.node}: {'as wanted' if report.done else report.detail}"]
    for row in report.servers:
        if row.kind is not None:
            shown = f"weighs {row.weight}" if row.weight is not None else "is not in the table"
            server = names.get((row.source, row.server), row.server)
            lines.append(f"  {server} of {row.virtual_server}: {row.kind}, {shown}, {row.open} connections")
    for one in report.pools:
        shown = f"weighs {one.weight}" if one.weight is not None else "gets no new requests"
        count = f", {one.open} sessions" if one.open is not None else ""
        what = one.kind or ("down" if one.up is False else "not overridden")
        server = names.get((f"pool {one.pool}", one.server), one.server)
        lines.append(f"  {server} of pool {one.pool} ({one.engine}): {what}, {shown}{count}")
    lines += [f"  {each.server}: its time is over" for each in report.expired]
    lines += [f"  {each.pool}/{each.server}: its time is over" for each in report.expired_pools]
    lines += [f"  {name} is not directed from here" for name in report.unknown]
    return lines


def _spoken(bundle: Bundle) -> dict[tuple[str, str], str]:
    """What people call the servers of virtual servers and of pools."""
    found = {
        (virtual.source, one.name): weights.spoken(one.name, str(one.address), one.port)
        for virtual in bundle.expected.virtual_servers
        for one in virtual.servers
    }
    return found | {(f"pool {one.pool}", one.name): one.spoken for one in servers_of(bundle)}


def _groups(node: Node, bundle: Bundle | None) -> tuple[GroupFacts, ...]:
    known = bundle is not None and (bundle.expected.vrrp or bundle.expected.imported)
    faults = in_fault(LogTail(node.places, Service.KEEPALIVED, {}).lines()) if known else frozenset()
    return tuple(
        GroupFacts(
            group=group.expected.group,
            vrid=group.expected.vrid,
            holds=group.holds,
            present=group.present,
            missing=group.missing,
            hold=group.hold,
            fault=group.expected.group in faults and not group.holds,
        )
        for group in (groups_of(bundle, node.host, node.places) if bundle else ())
    )


def group(bundle: Bundle | None, name: str) -> VrrpExpectation:
    """The group of that name on this node; raises UsageError naming those that there are."""
    known = {expected.group: expected for expected in bundle.expected.vrrp} if bundle else {}
    if name not in known:
        there = ", ".join(sorted(known)) or "none"
        raise UsageError(
            Sentence("there is no VRRP group %(name)s on this node", name=name),
            Sentence("the groups of this node: %(there)s", there=there),
        )
    return known[name]


def lines(found: NodeStatus) -> list[str]:
    """For people."""
    out = [f"{found.node or 'no bundle was applied yet'}: generation {found.generation or 'none'}"]
    for service in found.services:
        pid = f", pid {service.pid}" if service.pid else ""
        out.append(f"  {service.service}: {service.state}{pid}, {service.restarts} restarts")
    out += [
        f"  listens on {each.address} port {each.port}: {each.service or 'another program'}" for each in found.listeners
    ]
    for each in found.groups:
        held = "holds" if each.holds else "does not hold"
        why = ", given up by its hold file" if each.hold <= -254 else ""
        out.append(f"  group {each.group}: {held}{why or (', keepalived is in FAULT' if each.fault else '')}")
    for pool in found.pools:
        for server in pool.servers:
            kept = ", but stays in use" if server.in_use and not server.up else ""
            state = f"{'up' if server.up else 'down'}{kept}"
            name = spoken_at(server.name, server.endpoint)
            out.append(f"  pool {pool.pool}: {name} is {state} ({server.last or 'not asked yet'})")
    for one in found.overrides:
        which = f" of {one.virtual_server}" if one.virtual_server else ""
        out.append(f"  server {one.server}{which}: {one.kind}{f' until {one.until}' if one.until else ''}")
    for each_pool in found.pool_overrides:
        until = f" until {each_pool.until}" if each_pool.until else ""
        out.append(f"  server {each_pool.server} of pool {each_pool.pool}: {each_pool.kind}{until}")
    out += [f"  {finding}" for finding in found.table]
    out += [f"  changed by hand: {path}" for path in found.drift]
    if found.controllers:
        out.append(f"  follows {', '.join(found.controllers)}")
    if found.interrupted:
        out.append("  an attempt was interrupted: run `recover`")
    return out
