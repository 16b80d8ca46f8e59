"""The kernel's table and its list of connections, as they are told to who looks. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from holdfast.agent.ipvs_view import destination_key, service_key
from holdfast.bundle import Bundle
from holdfast.ipvs.connections import Connection
from holdfast.ipvs.connections import Connections as Listed
from holdfast.ipvs.model import Destination, DestinationKey, Service, ServiceKey, Table, endpoint
from holdfast.ipvs.rates import Rates, TableRates
from holdfast.protocol.realtime import (
    MOST_CONNECTIONS,
    MOST_ROWS,
    Connections,
    FivePerS,
    TableConnection,
    TableServer,
    TableService,
)
from holdfast.protocol.realtime_ring import Point

_MOST_STATES = 100


@dataclass(frozen=True)
class Names:
    """What the bundle calls a virtual server (the entry of the spec), and each of its servers."""

    source: str
    servers: Mapping[DestinationKey, str]


NameTable = Mapping[ServiceKey, Names]
_NAMELESS = Names("", {})


def names_of(bundle: Bundle) -> NameTable:
    """By what the kernel calls them."""
    return {
        service_key(one): Names(one.source, {destination_key(each): each.name for each in one.servers})
        for one in bundle.expected.virtual_servers
    }


def told(
    table: Table, rates: TableRates, names: NameTable, most: int = MOST_ROWS
) -> tuple[tuple[TableService, ...], int]:
    """The services with their servers, and how many rows are left out: those of the services that do least."""
    rows = sum(1 + len(one.destinations) for one in table.services)
    services: Sequence[Service] = table.services
    if rows > most:
        services = sorted(services, key=lambda one: -_connections(rates.services.get(one.key)))
    found, taken = [], 0
    for one in services:
        taken += 1 + len(one.destinations)
        if taken > most:
            taken -= 1 + len(one.destinations)
            continue
        found.append(_service(one, rates, names.get(one.key, _NAMELESS)))
    return tuple(found), rows - taken


def _connections(rates: Rates | None) -> float:
    return rates.connections if rates is not None else 0.0


def _service(one: Service, rates: TableRates, names: Names) -> TableService:
    key = one.key
    there = {each.key for each in one.destinations}
    absent = (
        TableServer(name=name, absent=True, address=gone.address, port=gone.port)
        for gone, name in names.servers.items()
        if gone not in there
    )
    return TableService(
        source=names.source,
        name=str(key),
        transport=one.transport.value if one.transport else "",
        address=one.address,
        port=one.port,
        mark=one.mark,
        family=one.family.value,
        scheduler=one.scheduler,
        persistence_s=one.timeout_s if one.persistent else None,
        counters=one.counters,
        per_s=_per_s(rates.services.get(key)),
        servers=(
            *(_server(each, rates.destinations.get((key, each.key)), names) for each in one.destinations),
            *absent,
        ),
    )


def _server(one: Destination, rates: Rates | None, names: Names) -> TableServer:
    return TableServer(
        name=names.servers.get(one.key, ""),
        address=one.address,
        port=one.port,
        method=one.forwarding.value,
        weight=one.weight,
        active=one.active,
        inactive=one.inactive,
        persistent=one.persistent,
        counters=one.counters,
        per_s=_per_s(rates),
    )


def _per_s(rates: Rates | None) -> FivePerS | None:
    if rates is None:
        return None
    first, second, third, fourth, fifth = (round(one, 3) for one in rates)
    return first, second, third, fourth, fifth


def points(table: Table, rates: TableRates, *, whole: bool) -> dict[str, Point]:
    """A point of the history for each service, and for all together (`""`). Not `whole`: without what is behind."""
    found: dict[str, Point] = {}
    sums, active = [0.0, 0.0, 0.0], 0
    for one in table.services:
        rate = rates.services.get(one.key)
        if rate is None:
            continue
        opened = sum(each.active for each in one.destinations) if whole else None
        active += opened or 0
        for place, number in enumerate((rate.connections, rate.in_bytes, rate.out_bytes)):
            sums[place] += number
        found[str(one.key)] = (rate.connections, rate.in_bytes, rate.out_bytes, opened)
    if found or not table.services:
        found[""] = (sums[0], sums[1], sums[2], active if whole else None)
    return found


def matching(listed: Listed, find: str) -> Connections:
    """What the list says to a question: lines that contain each of its words, the first of them told."""
    wanted = find.lower().split()
    found: list[TableConnection] = []
    count, states = 0, Counter[str]()
    for one in listed.listed:
        line = _connection(one)
        text = f"{line.protocol} {line.client} {line.virtual} {line.server} {line.state}".lower()
        if not all(word in text for word in wanted):
            continue
        count += 1
        states[one.state] += not one.template
        if len(found) < MOST_CONNECTIONS:
            found.append(line)
    return Connections(
        find=find,
        listed=tuple(found),
        matching=count,
        counted=len(listed.listed),
        cut=listed.cut,
        states=dict(_most(states.items())),
    )


def _most(states: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    return sorted((one for one in states if one[1]), key=lambda one: (-one[1], one[0]))[:_MOST_STATES]


def _connection(one: Connection) -> TableConnection:
    return TableConnection(
        protocol=one.protocol,
        client=one.client if one.template else endpoint(one.client, one.client_port),
        virtual=endpoint(one.virtual, one.virtual_port),
        server=endpoint(one.destination, one.destination_port),
        state=one.state,
        expires_s=one.expires_s,
    )
