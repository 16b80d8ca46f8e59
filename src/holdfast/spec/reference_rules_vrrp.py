"""Rules about networks, nodes and VRRP groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from holdfast.findings import Severity
from holdfast.sentences import Sentence

from .checks import HttpTarget
from .cluster import ClusterSpec
from .mistakes import Mistake, unknown
from .positions import Path
from .proxies import Engine
from .resolve import advert_family, advert_interface, carrying_interface, interface_in, network_of, with_prefix
from .values import Address, as_address, join_host_port
from .vrrp import FloatingAddress, VrrpGroup

ENGINES = get_args(Engine)
_ONE_EACH = Sentence("each address belongs to one network: correct one cidr, or merge the two")


def networks_are_distinct(spec: ClusterSpec) -> Iterator[Mistake]:
    """An address must lie in one network at most, and a gateway inside its own."""
    seen = [(name, subnet) for name, network in spec.networks.items() for subnet in network.cidr]
    for index, (name, subnet) in enumerate(seen):
        for other, other_subnet in seen[:index]:
            if subnet.version == other_subnet.version and subnet.overlaps(other_subnet):
                yield Mistake(
                    "NET001",
                    ("networks", name, "cidr"),
                    Sentence(
                        "%(subnet)s overlaps %(other_subnet)s of '%(other)s'",
                        subnet=subnet,
                        other_subnet=other_subnet,
                        other=other,
                    ),
                    _ONE_EACH,
                )
    for name, network in spec.networks.items():
        for gateway in network.gateway:
            if network.subnet_of(gateway) is None:
                message = Sentence("the gateway %(gateway)s is not in this network", gateway=gateway)
                hint = Sentence("correct it, or the network's cidr")
                yield Mistake("NET002", ("networks", name, "gateway"), message, hint)


def nodes_are_on_networks(spec: ClusterSpec) -> Iterator[Mistake]:
    """Every own address lies in a network and belongs to one node."""
    owners: dict[str, str] = {}
    for name, node in spec.nodes.items():
        for interface_name, interface in node.interfaces.items():
            for address in interface.addresses:
                path = ("nodes", name, "interfaces", interface_name)
                if network_of(spec, address) is None:
                    yield Mistake(
                        "NET003", path, Sentence("%(address)s lies in none of the networks", address=address),
                        Sentence("add the network under `networks:` with its cidr, or correct the address"),
                    )  # fmt: skip
                if str(address) in owners:
                    message = Sentence(
                        "%(address)s belongs to '%(owner)s' already", address=address, owner=owners[str(address)]
                    )
                    yield Mistake("NET004", path, message, Sentence("give each node its own address"))
                owners[str(address)] = name


def members_exist(spec: ClusterSpec) -> Iterator[Mistake]:
    """A group names nodes of the spec."""
    for group_name, group in spec.vrrp.items():
        for index, member in enumerate(group.nodes):
            if member not in spec.nodes:
                named = isinstance(group.nodes, dict)
                path = ("vrrp", group_name, "nodes", member if named else index)
                yield unknown("VRRP001", path, Sentence("node"), member, spec.nodes, key=named)


def _sound_members(spec: ClusterSpec, group: VrrpGroup) -> list[str]:
    return [member for member in group.members if member in spec.nodes]


def addresses_float_once(spec: ClusterSpec) -> Iterator[Mistake]:
    """A floating address is nobody's own, and floats once."""
    own = {address: name for name, node in spec.nodes.items() for address in node.addresses}
    floating: dict[Address, str] = {}
    for group_name, _, floated, path in _floating(spec):
        if floated.ip in own:
            message = Sentence("%(ip)s is the own address of '%(node)s'", ip=floated.ip, node=own[floated.ip])
            hint = Sentence("let a free address float")
            yield Mistake("VRRP002", path, message, hint)
        if floated.ip in floating:
            message = Sentence("%(ip)s floats in '%(floating)s' already", ip=floated.ip, floating=floating[floated.ip])
            yield Mistake("VRRP003", path, message, Sentence("name it in one group, once"))
        floating[floated.ip] = group_name


def addresses_are_for_hosts(spec: ClusterSpec) -> Iterator[Mistake]:
    """A network's own and its broadcast address answer nobody; a prefix other than the network's splits it."""
    for _, _, floated, path in _floating(spec):
        network = network_of(spec, floated.ip)
        subnet = spec.networks[network].subnet_of(floated.ip) if network else None
        if subnet is None:
            continue
        if subnet.version == 4 and subnet.prefixlen < 31 and floated.ip in (subnet[0], subnet[-1]):
            first = floated.ip == subnet[0]
            which = Sentence("the network itself") if first else Sentence("the network's broadcast address")
            yield Mistake(
                "VRRP011",
                path,
                Sentence("%(ip)s is %(which)s", ip=floated.ip, which=which),
                Sentence("write an address inside %(subnet)s", subnet=subnet),
            )
        written = with_prefix(spec, floated.address).network.prefixlen
        if written not in (subnet.prefixlen, subnet.max_prefixlen):
            yield Mistake(
                "VRRP012",
                path,
                Sentence(
                    "the prefix /%(written)s differs from /%(prefixlen)s of network '%(network)s'",
                    written=written,
                    prefixlen=subnet.prefixlen,
                    network=network,
                ),
                Sentence("leave the prefix out, or correct it"),
                Severity.WARNING,
            )


def addresses_fit(spec: ClusterSpec) -> Iterator[Mistake]:
    """Each floating address fits an interface of every member."""
    for _, group, floated, path in _floating(spec):
        members = _sound_members(spec, group)
        if floated.interface:
            yield from _lacking(spec, group, floated.interface, (*path, "interface"))
        elif homeless := [member for member in members if carrying_interface(spec, member, floated) is None]:
            yield Mistake(
                "VRRP005",
                path,
                Sentence(
                    "no interface of %(homeless)s is in the network of %(ip)s",
                    homeless=", ".join(homeless),
                    ip=floated.ip,
                ),
                Sentence(
                    "correct the address, give the nodes an address in that network, or name "
                    "the interface: {address: %(address)s, interface: eth0}",
                    address=floated.address,
                ),
            )


def _floating(spec: ClusterSpec) -> Iterator[tuple[str, VrrpGroup, FloatingAddress, Path]]:
    for group_name, group in spec.vrrp.items():
        for key, floated in group.addresses.items():
            yield group_name, group, floated, ("vrrp", group_name, "addresses", int(key) if key.isdigit() else key)


def _lacking(spec: ClusterSpec, group: VrrpGroup, interface: str, path: Path) -> Iterator[Mistake]:
    """One mistake for all members that have no such interface."""
    nodes = [name for name in _sound_members(spec, group) if interface not in spec.nodes[name].interfaces]
    if nodes:
        known = [name for node in nodes for name in spec.nodes[node].interfaces]
        yield unknown(
            "VRRP004",
            path,
            Sentence("interface"),
            interface,
            dict.fromkeys(known),
            where=Sentence(" on %(nodes)s", nodes=", ".join(nodes)),
        )


def adverts_can_be_sent(spec: ClusterSpec) -> Iterator[Mistake]:
    """The adverts' interface exists everywhere, and has an address of their family."""
    for group_name, group in spec.vrrp.items():
        if group.interface:
            yield from _lacking(spec, group, group.interface, ("vrrp", group_name, "interface"))
        family, mute = advert_family(group), []
        for member in _sound_members(spec, group):
            name = advert_interface(spec, group, member)
            interface = spec.nodes[member].interfaces.get(name) if name else None
            if interface and all(a.version != family for a in interface.addresses):
                mute.append(f"{member} ({name})")
        if mute:
            yield Mistake(
                "VRRP006",
                ("vrrp", group_name, "interface" if group.interface else "addresses"),
                Sentence(
                    "adverts go out over IPv%(family)s; no such address has %(mute)s",
                    family=family,
                    mute=", ".join(mute),
                ),
                Sentence("add one, or choose another `interface`"),
            )


def vrids_differ_on_a_segment(spec: ClusterSpec) -> Iterator[Mistake]:
    """Two groups with one VRID on one segment would take each other's adverts for their own."""
    taken: dict[tuple[str, int, int], str] = {}
    for group_name, group in spec.vrrp.items():
        members = _sound_members(spec, group)
        if group.vrid is None or not members:
            continue
        interface = advert_interface(spec, group, members[0])
        network = interface_in(spec, members[0], interface) if interface else None
        key = (network or "", advert_family(group), group.vrid)
        if key in taken:
            yield Mistake(
                "VRRP007",
                ("vrrp", group_name, "vrid"),
                Sentence("VRID %(vrid)s is taken by '%(taken)s' on this network", vrid=group.vrid, taken=taken[key]),
                Sentence("choose another, or leave it out"),
            )
        taken[key] = group_name


def trackers_make_sense(spec: ClusterSpec) -> Iterator[Mistake]:
    """What a holder must have can be had on every member, and its loss can move the group."""
    for group_name, group in spec.vrrp.items():
        for index, tracker in enumerate(group.keeps_while):
            path = ("vrrp", group_name, "keeps_while", index)
            meant = "on_loss" if tracker.weight is None else "weight"
            lowers = tracker.on_loss == "yield" or tracker.weight is not None
            if not group.preempts and lowers:
                yield Mistake(
                    "VRRP008",
                    (*path, meant),
                    Sentence(
                        "`%(meant)s: %(value)s` with `preempt: false` never fails over: a "
                        "lower priority alone takes nothing from a holder that nobody may preempt",
                        meant=meant,
                        value=getattr(tracker, meant),
                    ),
                    Sentence("write `on_loss: release`, or `preempt: true`"),
                )
            if tracker.interface is None:
                continue
            yield from _lacking(spec, group, tracker.interface, (*path, "interface"))
            senders = [n for n in _sound_members(spec, group) if advert_interface(spec, group, n) == tracker.interface]
            if senders and lowers:
                yield Mistake(
                    "VRRP010",
                    (*path, meant),
                    Sentence(
                        "the group's adverts of %(senders)s use %(interface)s: without it "
                        "nobody would hear of a lower rank",
                        senders=", ".join(senders),
                        interface=tracker.interface,
                    ),
                    Sentence("write `on_loss: release`; the interface of the adverts is always tracked"),
                )


def somebody_answers(spec: ClusterSpec) -> Iterator[Mistake]:
    """An HTTP tracker that nothing of the spec answers would keep every node from holding the addresses."""
    for group_name, group in spec.vrrp.items():
        for index, tracker in enumerate(group.keeps_while):
            target = tracker.http
            address = as_address(target.address) if target else None
            if target is None or address is None or not address.is_loopback:
                continue
            mute = [name for name in _sound_members(spec, group) if target not in _answered(spec, name)]
            if mute:
                names, question = ", ".join(mute), join_host_port(target.address, target.port) + target.path
                yield Mistake(
                    "VRRP009",
                    ("vrrp", group_name, "keeps_while", index, "http"),
                    Sentence(
                        "no proxy of this spec answers %(question)s on %(names)s; if nothing "
                        "else does, such a node never holds the group",
                        question=question,
                        names=names,
                    ),
                    Sentence("proxies answer 127.0.0.1:8080/healthz unless their `health` says otherwise"),
                    Severity.WARNING,
                )


def _answered(spec: ClusterSpec, node: str) -> list[HttpTarget]:
    return [proxy.health for proxy in spec.proxies.values() if node in proxy.nodes and proxy.health]


def the_engine_watched_is_the_one_that_runs(spec: ClusterSpec) -> Iterator[Mistake]:
    """`engine:` is changed by one word; a group that still waits for the other program would never be held."""
    for group_name, group in spec.vrrp.items():
        for index, tracker in enumerate(group.keeps_while):
            if tracker.process not in ENGINES:
                continue
            engines = {name: _engines(spec, name) for name in _sound_members(spec, group)}
            without = [name for name, used in engines.items() if used and tracker.process not in used]
            if without:
                used = " and ".join(sorted(engines[without[0]]))
                yield Mistake(
                    "VRRP013",
                    ("vrrp", group_name, "keeps_while", index, "process"),
                    Sentence(
                        "the proxies of %(without)s run %(used)s, not %(process)s; if nothing "
                        "else starts it, such a node never holds the group",
                        without=", ".join(without),
                        used=used,
                        process=tracker.process,
                    ),
                    Sentence("write `process: %(engines)s`", engines=sorted(engines[without[0]])[0]),
                    Severity.WARNING,
                )


def _engines(spec: ClusterSpec, node: str) -> set[str]:
    return {proxy.engine for proxy in spec.proxies.values() if node in proxy.nodes}


def somebody_is_told(spec: ClusterSpec) -> Iterator[Mistake]:
    """What a spec asks to be told of has somebody to tell it, and somebody to tell."""
    asked = spec.notify.on if "on" in spec.notify.model_fields_set else ()
    if asked and spec.notify.email is None:
        message, hint = Sentence("there is nobody to tell"), Sentence("add `email: {from: …, to: […]}`")
        yield Mistake("NOTIFY002", ("notify", "on"), message, hint, Severity.WARNING)


RULES = (
    networks_are_distinct,
    nodes_are_on_networks,
    members_exist,
    addresses_float_once,
    addresses_are_for_hosts,
    addresses_fit,
    adverts_can_be_sent,
    vrids_differ_on_a_segment,
    trackers_make_sense,
    somebody_answers,
    the_engine_watched_is_the_one_that_runs,
    somebody_is_told,
)
