"""What a bundle expects of the kernel's IPVS table, in the table's own words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from holdfast.bundle import Bundle, RealServerExpectation, VirtualServerExpectation
from holdfast.findings import Finding
from holdfast.ipvs import expected as words
from holdfast.ipvs.compare import compare
from holdfast.ipvs.connections import Connection
from holdfast.ipvs.expected import ExpectedDestination, ExpectedService, ExpectedTable
from holdfast.ipvs.model import (
    Checksum,
    Destination,
    DestinationKey,
    ForwardingMethod,
    ServiceKey,
    Table,
    Tunnel,
    TunnelKind,
)

Findings = tuple[Finding, ...]
# What the kernel sets the clock of an ended connection to with each packet: what has more left still hears from its
# client.
_ENDING_S = {"FIN_WAIT": 120, "CLOSE_WAIT": 60, "LAST_ACK": 30, "TIME_WAIT": 120, "CLOSE": 10}
_QUIET_S = 5
_OVER = frozenset({"TIME_WAIT", "CLOSE"})


def service_key(expected: VirtualServerExpectation) -> ServiceKey:
    """How the kernel knows this virtual server."""
    return words.service_key(
        transport=expected.protocol,
        address=str(expected.address) if expected.address is not None else None,
        port=expected.port,
        mark=expected.mark,
        family=expected.family,
    )


def destination_key(server: RealServerExpectation) -> DestinationKey:
    """How the kernel knows this real server."""
    return words.destination_key(str(server.address), server.port)


def expected_table(bundle: Bundle) -> ExpectedTable:
    """What the kernel's table of a director should be, all servers well and none overridden."""
    return ExpectedTable(tuple(_service(vs) for vs in bundle.expected.virtual_servers))


def _service(vs: VirtualServerExpectation) -> ExpectedService:
    method = ForwardingMethod(vs.forward)
    wrapped = Tunnel(TunnelKind(vs.tunnel), vs.tunnel_port or 0, Checksum.NONE) if vs.forward == "tun" else None
    return ExpectedService(
        key=service_key(vs),
        scheduler=vs.scheduler,
        destinations=tuple(
            ExpectedDestination(
                destination_key(server),
                method,
                server.weight,
                wrapped,
                upper_threshold=server.upper,
                lower_threshold=server.lower,
                checksum_matters=False,  # what it should be is not among the expectations
            )
            for server in vs.servers
        ),
        flags=words.service_flags(vs.flags, persistent=vs.persistence_s is not None, one_packet=vs.one_packet),
        timeout_s=vs.persistence_s or 0,
        prefix=vs.persistence_prefix or (32 if vs.family == 4 else 128),
        sorry=words.destination_key(str(vs.sorry[0]), vs.sorry[1]) if vs.sorry else None,
        zero_when_down=True,  # with inhibit_on_failure; without it nothing but an override or a hand sets 0
    )


def differences(bundle: Bundle, table: Table, overridden: Mapping[tuple[ServiceKey, DestinationKey], int]) -> Findings:
    """Everything that is not as the bundle and the weights of overrides have it."""
    return compare(expected_table(bundle), table, overridden)


def absent(bundle: Bundle, table: Table) -> tuple[str, ...]:
    """Virtual servers that the table lacks, by name. Real servers may be missing: their checks take them out."""
    here = {service.key for service in table.services}
    return tuple(vs.name for vs in bundle.expected.virtual_servers if service_key(vs) not in here)


def destinations(table: Table) -> dict[tuple[ServiceKey, DestinationKey], Destination]:
    """Every real server in the table."""
    return {(service.key, one.key): one for service in table.services for one in service.destinations}


def still_open(key: ServiceKey, server: DestinationKey, connections: Iterable[Connection]) -> int:
    """Connections to this server that have not ended.

    A director in front of DR and TUN sees only what the client sends, so a connection that a client half closed looks
    ended while its answer is still on its way. The client acknowledges that answer: one from which nothing has come
    for 5 s has ended.
    """
    return sum(not one.template and _is_of(one, key, server) and _is_open(one) for one in connections)


def _is_of(one: Connection, key: ServiceKey, server: DestinationKey) -> bool:
    if one.destination != server.address or server.port not in (0, one.destination_port):
        return False
    if key.mark:
        return True
    ours = key.transport is not None and one.protocol == key.transport.upper()
    return ours and one.virtual == key.address and key.port in (0, one.virtual_port)


def _is_open(one: Connection) -> bool:
    if one.state in _OVER:
        return False
    ending = _ENDING_S.get(one.state)
    return ending is None or one.expires_s > ending - _QUIET_S
