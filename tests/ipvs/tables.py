"""Tables to test with."""

from __future__ import annotations

from typing import Any

from holdfast.ipvs.expected import service_key
from holdfast.ipvs.model import (
    NO_KERNEL_RATES,
    NOTHING_COUNTED,
    Counters,
    Destination,
    DestinationKey,
    ForwardingMethod,
    Service,
    ServiceKey,
    Table,
)

WEB = service_key(address="10.0.0.3", port=80)
MARKED = service_key(mark=7)


def counted(number: int) -> Counters:
    return Counters(number, number * 10, number * 5, number * 1000, number * 500)


def destination(address: str, port: int = 80, count: int = 0, weight: int = 1, **more: Any) -> Destination:
    return Destination.of(
        DestinationKey(address, port),
        more.pop("forwarding", ForwardingMethod.DR),
        weight,
        counters=counted(count),
        **more,
    )


def service(key: ServiceKey, *behind: Destination, count: int = 0, **more: Any) -> Service:
    found = Service(*key[:4], key.mark, "wlc", frozenset(), 0, 32, "", NOTHING_COUNTED, NO_KERNEL_RATES, tuple(behind))
    return found._replace(counters=counted(count), **more)


def table(at: float, *services: Service) -> Table:
    return Table(at, services)
