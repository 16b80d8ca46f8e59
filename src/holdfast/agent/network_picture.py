"""A node's network as far as Holdfast has a say in it, and what leads from one picture to another: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from holdfast.agent.host.network import (
    STRONGEST,
    AddAddress,
    ClosePort,
    MakeTunnel,
    NetworkOrder,
    OpenPort,
    RemoveAddress,
    RemoveDefaultRoute,
    RemoveTunnel,
    SetDefaultRoute,
    SetLink,
)
from holdfast.bundle import NetworkGateway, NetworkTunnel, NodeNetwork

# The module that brings the device gives it to every network namespace under this name; no second one may take all.
KINDS = {"ipip": "ipip", "ip6tnl": "ip6tnl", "gre": "gre", "ip6gre": "ip6gre", "gue": "ipip", "gue6": "ip6tnl"}
_T = TypeVar("_T")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Device(_Frozen):
    """A tunnel's device: its kind in the kernel's words, and whether it is up."""

    kind: str
    up: bool


class Picture(_Frozen):
    """What there is, or should be. Keys that are not in it are nobody's business.

    Addresses are named `DEVICE ADDRESS/PREFIX`, ports `FAMILY PORT`, default routes by their family; "" is no route.
    """

    tunnels: dict[str, Device | None] = {}
    ports: dict[str, bool] = {}
    addresses: dict[str, bool] = {}
    defaults: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self.tunnels or self.ports or self.addresses or self.defaults)

    def over(self, below: Picture) -> Picture:
        """This one, with what it does not speak of taken from `below`."""
        return Picture(
            tunnels=below.tunnels | self.tunnels,
            ports=below.ports | self.ports,
            addresses=below.addresses | self.addresses,
            defaults=below.defaults | self.defaults,
        )


@dataclass(frozen=True)
class Orders:
    """In the order in which they are carried out.

    `make` comes before sysctls are set, which may be those of a device; `add` after them, because a real server would
    claim an address on the wire if it had it before its ARP is told to keep silent; `take` before sysctls go back;
    `remove` last of all.
    """

    make: tuple[NetworkOrder, ...] = ()
    add: tuple[NetworkOrder, ...] = ()
    take: tuple[NetworkOrder, ...] = ()
    route: tuple[NetworkOrder, ...] = ()
    remove: tuple[NetworkOrder, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.make or self.add or self.take or self.route or self.remove)


def wanted(network: NodeNetwork) -> Picture:
    """What a bundle asks for."""
    return Picture(
        tunnels={each.device: Device(kind=KINDS[each.kind], up=True) for each in network.tunnels},
        ports={_port(each): True for each in network.tunnels if each.kind.startswith("gue") and each.port is not None},
        addresses={f"{each.device} {ip_interface(each.address)}": True for each in network.addresses},
        defaults={str(each.address.version): _route(each) for each in network.gateways},
    )


def _port(tunnel: NetworkTunnel) -> str:
    return f"{6 if tunnel.kind == 'gue6' else 4} {tunnel.port}"


def _route(gateway: NetworkGateway) -> str:
    words = f"via {gateway.address} dev {gateway.device} proto static"
    return words if gateway.address.version == 4 else f"{words} metric {STRONGEST[6]}"


def orders(now: Picture, target: Picture) -> Orders:
    """What leads from `now` to `target`; both speak of the same things."""
    devices = {name: (now.tunnels.get(name), there) for name, there in target.tunnels.items()}
    gone = {name for name, (_, there) in devices.items() if there is None}
    return Orders(
        make=(
            *(OpenPort(*_numbers(key)) for key, there in _differing(now.ports, target.ports) if there),
            *(MakeTunnel(name, new.kind) for name, (old, new) in devices.items() if old is None and new is not None),
        ),
        add=(
            *(SetLink(name, True) for name, (old, new) in devices.items() if new and new.up and not (old and old.up)),
            *(AddAddress(*key.split(" ")) for key, there in _differing(now.addresses, target.addresses) if there),
        ),
        take=tuple(
            RemoveAddress(*key.split(" "))
            for key, there in _differing(now.addresses, target.addresses)
            if not there and key.split(" ")[0] not in gone
        ),
        route=tuple(
            SetDefaultRoute(int(family), route)
            if route
            else RemoveDefaultRoute(int(family), now.defaults.get(family, ""))
            for family, route in _differing(now.defaults, target.defaults)
        ),
        remove=(
            *(SetLink(name, False) for name, (old, new) in devices.items() if old and old.up and new and not new.up),
            *(RemoveTunnel(name) for name, (old, new) in devices.items() if old is not None and new is None),
            *(ClosePort(*_numbers(key)) for key, there in _differing(now.ports, target.ports) if not there),
        ),
    )


def _differing(now: Mapping[str, _T], target: Mapping[str, _T]) -> Iterator[tuple[str, _T]]:
    return ((key, value) for key, value in target.items() if now.get(key) != value)


def _numbers(key: str) -> tuple[int, int]:
    family, number = key.split(" ")
    return int(family), int(number)


def originals(known: Picture, before: Picture, past: Picture, ours: Picture) -> Picture:
    """What to go back to once a bundle no longer wants `ours`.

    What was found before an attempt, unless that was Holdfast's own (`past`: what the bundle before wanted): then what
    was known from before it.
    """
    return Picture(
        tunnels=_first(known.tunnels, before.tunnels, past.tunnels, ours.tunnels),
        ports=_first(known.ports, before.ports, past.ports, ours.ports),
        addresses=_first(known.addresses, before.addresses, past.addresses, ours.addresses),
        defaults=_first(known.defaults, before.defaults, past.defaults, ours.defaults),
    )


def _first(
    known: Mapping[str, _T], before: Mapping[str, _T], past: Mapping[str, _T], ours: Mapping[str, _T]
) -> dict[str, _T]:
    found = {}
    for key, value in ours.items():
        there = before.get(key, value)
        found[key] = known.get(key, there) if key in past and past[key] == there else there
    return found
