"""A real server's network: virtual addresses, tunnels and its default route, changed through `ip`.

What was there before is remembered exactly, and is back once a bundle no longer wants its own.
"""

from __future__ import annotations

from pydantic import ValidationError

from holdfast.agent import network_picture
from holdfast.agent.files import replace
from holdfast.agent.host.port import Host, LocalAddress, Places
from holdfast.agent.network_picture import Device, Orders, Picture
from holdfast.bundle import NETWORK_FILE, Bundle, NodeNetwork
from holdfast.errors import NotOurs, ValidationFailed, VerificationFailed
from holdfast.sentences import Sentence

_ORIGINALS = "network-originals.json"


def wanted(bundle: Bundle | None) -> Picture:
    """What the bundle asks for; raises ValidationFailed where its file cannot be read."""
    file = bundle.file(NETWORK_FILE) if bundle is not None else None
    return of_text(file.content) if file is not None else Picture()


def of_text(text: str) -> Picture:
    """What a network file asks for; raises ValidationFailed."""
    try:
        return network_picture.wanted(NodeNetwork.model_validate_json(text))
    except ValidationError as error:
        raise ValidationFailed(
            Sentence("%(file)s cannot be read", file=NETWORK_FILE), "compile it again", str(error)
        ) from error


def originals(places: Places) -> Picture:
    """What was there before Holdfast's own."""
    try:
        return Picture.model_validate_json((places.state / _ORIGINALS).read_bytes())
    except (FileNotFoundError, ValidationError):
        return Picture()


def target(bundle: Bundle, places: Places) -> Picture:
    """What to bring about: the bundle's own, and what was there before of things that left it."""
    return wanted(bundle).over(originals(places))


def read(host: Host, scope: Picture) -> Picture:
    """How the things of `scope` are now."""
    links = {link.name: link for link in host.links()} if scope.tunnels else {}
    ports = host.gue_ports() if scope.ports else frozenset()
    there = host.addresses() if scope.addresses else frozenset()
    here = {f"{each.interface} {each.address}" for each in there}
    return Picture(
        tunnels={
            name: Device(kind=links[name].kind, up=links[name].up) if name in links else None for name in scope.tunnels
        },
        ports={key: tuple(map(int, key.split(" "))) in ports for key in scope.ports},
        addresses={key: key in here for key in scope.addresses},
        defaults={family: host.default_route(int(family)) for family in scope.defaults},
    )


def missing(host: Host, aim: Picture) -> Orders:
    """What would have to be done now."""
    return network_picture.orders(read(host, aim), aim)


def refuse_what_is_not_ours(host: Host, bundle: Bundle, old: Bundle | None) -> None:
    """Raise NotOurs for a device of another kind, and for an address that this node claims on the wire already."""
    aim = wanted(bundle)
    now = read(host, aim)
    for name, device in now.tunnels.items():
        meant = aim.tunnels[name]
        if device is not None and meant is not None and device.kind != meant.kind:
            raise NotOurs(
                Sentence(
                    "there is a device %(name)s already, and it is %(what)s, not %(kind)s",
                    name=name,
                    what=device.kind or Sentence("a card"),
                    kind=meant.kind,
                ),
                "rename or remove it, then apply again",
            )
    floating = {held.address.split("/")[0] for group in (old.expected.vrrp if old else ()) for held in group.addresses}
    if claimed := _elsewhere(host, aim, floating):
        raise NotOurs(
            Sentence(
                "%(address)s is on %(interface)s already, so this node would answer for it on the wire",
                address=claimed.address,
                interface=claimed.interface,
            ),
            way_out(claimed),
        )


def way_out(found: LocalAddress) -> Sentence:
    """What to do about a virtual address that is on the wire."""
    return Sentence(
        "remove it there: ip address del %(address)s dev %(interface)s",
        address=found.address,
        interface=found.interface,
    )


def claimed(host: Host, bundle: Bundle) -> LocalAddress | None:
    """A virtual address of this real server that it has on the wire as well."""
    return _elsewhere(host, wanted(bundle), set())


def _elsewhere(host: Host, aim: Picture, known: set[str]) -> LocalAddress | None:
    """A virtual address on another device than its own, which a real server must not have."""
    own = {tuple(key.split(" ")) for key in aim.addresses}
    bare = {address.split("/")[0] for _, address in own} - known
    claimed = (
        each
        for each in sorted(host.addresses() if bare else (), key=lambda each: (each.interface, each.address))
        if each.address.split("/")[0] in bare and (each.interface, each.address) not in own and each.interface != "lo"
    )
    return next(claimed, None)


def make(host: Host, aim: Picture) -> str:
    """Tunnels that are missing; returns a remark. Raises ApplyError."""
    found = missing(host, aim).make
    host.change_network(found)
    return f"{len(found)} made" if found else "as they were"


def add(host: Host, aim: Picture) -> str:
    """Bring tunnels up, and give this node its addresses; returns a remark. Raises ApplyError."""
    found = missing(host, aim).add
    host.change_network(found)
    return _in_words(read(host, aim)) if found else "as they were"


def take(host: Host, aim: Picture) -> str:
    """Take away addresses that nobody wants any more; returns a remark. Raises ApplyError."""
    found = missing(host, aim).take
    host.change_network(found)
    return f"{len(found)} taken away" if found else "as they were"


def settle(host: Host, aim: Picture) -> str:
    """Routes, and devices that nobody wants any more; all of it must be right then.

    Returns a remark; raises ApplyError, VerificationFailed where it is not.
    """
    found = missing(host, aim)
    host.change_network((*found.route, *found.remove))
    if left := missing(host, aim):
        raise VerificationFailed(
            Sentence("this node's network is not as it was told to be: %(names)s", names=left),
            "something else on this node changes it too: find and stop that",
        )
    return _in_words(read(host, aim)) if found else "as it was"


def _in_words(now: Picture) -> str:
    parts = [key for key, there in now.addresses.items() if there]
    parts += [f"default {route}" for route in now.defaults.values() if route]
    return ", ".join(parts) or "nothing of Holdfast's"


def remember(places: Places, bundle: Bundle, old: Bundle | None, before: Picture) -> None:
    """Note what to go back to once the bundle's things leave; `old` is the one before it. Raises OSError."""
    known = originals(places)
    found = network_picture.originals(known, before, wanted(old), wanted(bundle))
    if found != known:
        replace(places.state / _ORIGINALS, found.model_dump_json().encode())
