"""A look at a table as a line of JSON: how it travels from a node to whoever watches, and what scripts read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from holdfast.errors import TableUnreadable
from holdfast.ipvs.connections import Connection, Connections, count_by_state, states_of
from holdfast.ipvs.model import (
    Counters,
    Destination,
    DestinationKey,
    Family,
    ForwardingMethod,
    KernelInfo,
    KernelRates,
    Service,
    ServiceFlag,
    SyncDaemon,
    SyncRole,
    Table,
    Timeouts,
    Transport,
    Tunnel,
    canonical,
)
from holdfast.ipvs.rates import TableRates
from holdfast.sentences import Sentence

LONGEST = 128_000_000  # bytes of a line; a thousand services of ten servers take 7 million


@dataclass(frozen=True)
class Look:
    """All that was seen at once: `time_s` is the node's own clock (Unix), `connections` None where nobody asked."""

    time_s: float
    table: Table
    daemons: tuple[SyncDaemon, ...]
    timeouts: Timeouts
    kernel: KernelInfo
    connections: Connections | None = None


def to_document(look: Look, rates: TableRates | None = None) -> dict[str, Any]:
    """What `json.dumps` takes. With `rates`, what is new has null."""
    counts = count_by_state(look.connections.listed) if look.connections is not None else None
    services = []
    for service in look.table.services:
        states = states_of(service, counts) if counts is not None else None
        services.append(_service(service, rates, states))
    return {
        "format": 1,
        "time": look.time_s,
        "monotonic_s": look.table.monotonic_s,
        "seconds": rates.seconds if rates is not None else None,
        "kernel": look.kernel._asdict(),
        "timeouts": look.timeouts._asdict(),
        "sync_daemons": [daemon._asdict() for daemon in look.daemons],
        "services": services,
        "connections": [one._asdict() for one in look.connections.listed] if look.connections is not None else None,
        "connections_cut": look.connections is not None and look.connections.cut,
    }


def _service(
    service: Service, rates: TableRates | None, states: Mapping[str, Mapping[str, int]] | None
) -> dict[str, Any]:
    found = {
        **service._asdict(),
        "name": str(service.key),
        "flags": sorted(service.flags),
        "counters": service.counters._asdict(),
        "kernel_rates": service.kernel_rates._asdict(),
        "rates": _rates(rates.services.get(service.key)) if rates is not None else None,
        "destinations": [],
    }
    for one in service.destinations:
        item = _destination(one)
        item["rates"] = _rates(rates.destinations.get((service.key, one.key))) if rates is not None else None
        item["states"] = dict(states[str(one.key)]) if states is not None else None
        found["destinations"].append(item)
    return found


def _destination(one: Destination) -> dict[str, Any]:
    tunnel = one.tunnel
    return {
        "address": one.address,
        "port": one.port,
        "forwarding": one.forwarding,
        "weight": one.weight,
        "tunnel": tunnel._asdict() if tunnel is not None else None,
        "upper_threshold": one.upper_threshold,
        "lower_threshold": one.lower_threshold,
        "active": one.active,
        "inactive": one.inactive,
        "persistent": one.persistent,
        "counters": one.counters._asdict(),
        "kernel_rates": one.kernel_rates._asdict(),
    }


def _rates(found: Any) -> dict[str, float] | None:
    return {name: round(value, 3) for name, value in found._asdict().items()} if found is not None else None


def to_line(look: Look) -> str:
    """`look` without rates, as JSON on one line."""
    return json.dumps(to_document(look), separators=(",", ":"))


_Count = Annotated[int, Field(ge=0, lt=1 << 64)]
_Number = Annotated[int, Field(ge=0, lt=1 << 32)]
_Port = Annotated[int, Field(ge=0, lt=1 << 16)]
_Word = Annotated[str, Field(max_length=64, pattern=r"^[!-~]*$")]


class _Document(BaseModel):
    """Fields of a later version are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Counters(_Document):
    connections: _Count
    in_packets: _Count
    out_packets: _Count
    in_bytes: _Count
    out_bytes: _Count

    def values(self) -> tuple[int, int, int, int, int]:
        return self.connections, self.in_packets, self.out_packets, self.in_bytes, self.out_bytes


class _Destination(_Document):
    address: _Word
    port: _Port
    forwarding: ForwardingMethod
    weight: _Number
    tunnel: Tunnel | None
    upper_threshold: _Number
    lower_threshold: _Number
    active: _Number
    inactive: _Number
    persistent: _Number
    counters: _Counters
    kernel_rates: _Counters

    def model(self) -> Destination:
        return Destination.of(
            DestinationKey(canonical(self.address), self.port),
            self.forwarding,
            self.weight,
            tunnel=self.tunnel,
            thresholds=(self.upper_threshold, self.lower_threshold),
            active=self.active,
            inactive=self.inactive,
            persistent=self.persistent,
            counters=Counters(*self.counters.values()),
            kernel_rates=KernelRates(*self.kernel_rates.values()),
        )


class _Service(_Document):
    family: Family
    transport: Transport | None
    address: _Word
    port: _Port
    mark: _Number
    scheduler: _Word
    flags: frozenset[ServiceFlag]
    timeout_s: _Number
    prefix: Annotated[int, Field(ge=0, le=128)]
    persistence_engine: _Word
    counters: _Counters
    kernel_rates: _Counters
    destinations: tuple[_Destination, ...]

    def model(self) -> Service:
        if (self.transport is None) != bool(self.mark):
            raise ValueError("a service has a transport or a mark")
        return Service(
            self.family,
            self.transport,
            "" if self.mark else canonical(self.address),
            self.port,
            self.mark,
            self.scheduler,
            self.flags,
            self.timeout_s,
            self.prefix,
            self.persistence_engine,
            Counters(*self.counters.values()),
            KernelRates(*self.kernel_rates.values()),
            tuple(one.model() for one in self.destinations),
        )


class _SyncDaemon(_Document):
    role: SyncRole
    interface: _Word
    sync_id: _Number
    longest: _Number
    group: _Word
    port: _Port
    ttl: _Number


class _Connection(_Document):
    protocol: _Word
    client: _Word
    client_port: _Port
    virtual: _Word
    virtual_port: _Port
    destination: _Word
    destination_port: _Port
    state: _Word
    expires_s: _Number
    engine: _Word
    engine_data: Annotated[str, Field(max_length=1024, pattern=r"^[^\x00-\x1f\x7f]*$")]


class _Look(_Document):
    format: Literal[1]
    time: float
    monotonic_s: float
    kernel: KernelInfo
    timeouts: Timeouts
    sync_daemons: tuple[_SyncDaemon, ...]
    services: tuple[_Service, ...]
    connections: tuple[_Connection, ...] | None
    connections_cut: bool


def from_line(line: str | bytes, where: str) -> Look:
    """A look that an agent wrote; `where` names it. TableUnreadable if it is none, or of another version."""
    try:
        found = _Look.model_validate_json(line)
        table = Table(found.monotonic_s, tuple(service.model() for service in found.services))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = f"{first['msg']} (at {'.'.join(map(str, first['loc'])) or 'its beginning'})"
        raise _not_understood(where, what) from None
    except ValueError as error:
        raise _not_understood(where, str(error)) from None
    daemons = tuple(SyncDaemon(**dict(daemon)) for daemon in found.sync_daemons)
    listed = None
    if found.connections is not None:
        listed = Connections(tuple(Connection(**dict(one)) for one in found.connections), found.connections_cut)
    return Look(found.time, table, daemons, found.timeouts, found.kernel, listed)


def _not_understood(where: str, what: str) -> TableUnreadable:
    return TableUnreadable(
        Sentence("what %(where)s told of its IPVS table was not understood: %(what)s", where=where, what=what),
        "does it run this version of Holdfast?",
    )
