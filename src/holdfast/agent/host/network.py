"""What the agent may change of a node's network, as orders: tunnels, UDP ports of tunnels, addresses, default routes.

Orders are data, so that what is done can be decided without a network, and the fake carries them out as Linux does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

# A route without a metric has 0 in IPv4, the strongest there is; in IPv6 0 means "the usual one", so 1 is.
STRONGEST = {4: "0", 6: "1"}
_CREATED = {
    "ipip": ("type", "ipip", "local", "any", "remote", "any"),
    "gre": ("type", "gre", "local", "any", "remote", "any"),
    "ip6tnl": ("type", "ip6tnl", "mode", "any", "local", "any", "remote", "any"),
    "ip6gre": ("type", "ip6gre", "local", "any", "remote", "any"),
}
_EVERYTHING = {4: "0.0.0.0/0", 6: "::/0"}
# They tell how the route is doing, or count down: neither is part of what the route is.
_CONDITIONS = frozenset({"linkdown", "dead", "\\"})
_PASSING = frozenset({"expires", "pref"})


@dataclass(frozen=True)
class Link:
    """A network device; `kind` is the kernel's own word (`ipip`, `veth`), empty for a card."""

    name: str
    kind: str
    up: bool


@dataclass(frozen=True)
class MakeTunnel:
    """Create a device that unwraps whatever is sent to any address of this node."""

    device: str
    kind: str


@dataclass(frozen=True)
class RemoveTunnel:
    """Remove a device, with its addresses."""

    device: str


@dataclass(frozen=True)
class SetLink:
    """Bring a device up, or down."""

    device: str
    up: bool


@dataclass(frozen=True)
class OpenPort:
    """Unwrap GUE that arrives at a UDP port."""

    family: int
    port: int


@dataclass(frozen=True)
class ClosePort:
    """No longer do so."""

    family: int
    port: int


@dataclass(frozen=True)
class AddAddress:
    """`address` has its prefix length."""

    device: str
    address: str


@dataclass(frozen=True)
class RemoveAddress:
    """`address` has its prefix length."""

    device: str
    address: str


@dataclass(frozen=True)
class SetDefaultRoute:
    """The strongest default route of a family: `route` is what `ip route` says behind the word default."""

    family: int
    route: str


@dataclass(frozen=True)
class RemoveDefaultRoute:
    """Exactly this one: a weaker one must not go in its place."""

    family: int
    route: str


NetworkOrder = (
    MakeTunnel
    | RemoveTunnel
    | SetLink
    | OpenPort
    | ClosePort
    | AddAddress
    | RemoveAddress
    | SetDefaultRoute
    | RemoveDefaultRoute
)


def batches(orders: Iterable[NetworkOrder]) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Lines for `ip -4 -batch` or `ip -6 -batch`, with the family; the order of the orders is kept."""
    return tuple((family, tuple(_line(order) for order in several)) for family, several in groupby(orders, key=_family))


def in_words(order: NetworkOrder) -> str:
    """As `ip` is told it."""
    return f"ip {_line(order)}"


def _family(order: NetworkOrder) -> int:
    match order:
        case OpenPort(family) | ClosePort(family) | SetDefaultRoute(family) | RemoveDefaultRoute(family):
            return family
        case AddAddress(_, address) | RemoveAddress(_, address):
            return 6 if ":" in address else 4
        case _:
            return 4


def _line(order: NetworkOrder) -> str:
    match order:
        case MakeTunnel(device, kind):
            words = ("link", "add", "name", device, *_CREATED[kind])
        case RemoveTunnel(device):
            words = ("link", "delete", "dev", device)
        case SetLink(device, up):
            words = ("link", "set", "dev", device, "up" if up else "down")
        case OpenPort(_, port):
            words = ("fou", "add", "port", str(port), "gue")
        case ClosePort(_, port):
            words = ("fou", "del", "port", str(port))
        case AddAddress(device, address):
            # No probing for a second owner: every real server has it. Never the source of this node's own connections.
            alone = ("nodad", "preferred_lft", "0") if ":" in address else ()
            words = ("address", "add", address, "dev", device, *alone)
        case RemoveAddress(device, address):
            words = ("address", "del", address, "dev", device)
        case RemoveDefaultRoute(family, route):
            words = ("route", "del", _EVERYTHING[family], *route.split())
        case SetDefaultRoute(family, route):
            words = ("route", "replace", _EVERYTHING[family], *route.split())
    return " ".join(words)


def strongest_default(family: int, listing: str) -> str:
    """Out of `ip -o route show default`: the one that Holdfast's own would replace, without its state; empty: none."""
    for line in listing.splitlines():
        words = [word for word in line.split() if word not in _CONDITIONS]
        metric = words[words.index("metric") + 1] if "metric" in words[:-1] else "0"
        if words[:1] == ["default"] and metric == STRONGEST[family]:
            return " ".join(_lasting(words[1:]))
    return ""


def _lasting(words: list[str]) -> list[str]:
    return [
        word for at, word in enumerate(words) if word not in _PASSING and (at == 0 or words[at - 1] not in _PASSING)
    ]


def gue_ports(listing: str) -> frozenset[tuple[int, int]]:
    """(family, port) of each line of `ip fou show` that speaks of GUE."""
    found = set()
    for line in listing.splitlines():
        words = line.split()
        if "gue" in words and "port" in words[:-1] and words[words.index("port") + 1].isdigit():
            found.add((6 if "-6" in words else 4, int(words[words.index("port") + 1])))
    return frozenset(found)
