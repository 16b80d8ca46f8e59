"""Rules about networks, nodes and VRRP groups."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.findings import Severity

from .checks import Tracker
from .cluster import ClusterSpec
from .mistakes import Mistake, unknown
from .resolve import advert_family, advert_interface, carrying_interface, interface_in, network_of
from .values import as_address
from .vrrp import VrrpGroup


def networks_are_distinct(spec: ClusterSpec) -> Iterator[Mistake]:
    """An address must lie in one network at most, and a gateway inside its own."""
    seen = [(name, subnet) for name, network in spec.networks.items() for subnet in network.cidr]
    for index, (name, subnet) in enumerate(seen):
        for other, other_subnet in seen[:index]:
            if subnet.version == other_subnet.version and subnet.overlaps(other_subnet):
                yield Mistake("NET001", ("networks", name, "cidr"), f"{subnet} overlaps {other_subnet} of '{other}'")
    for name, network in spec.networks.items():
        for gateway in network.gateway:
            if network.subnet_of(gateway) is None:
                yield Mistake("NET002", ("networks", name, "gateway"), f"the gateway {gateway} is not in this network")


def nodes_are_on_networks(spec: ClusterSpec) -> Iterator[Mistake]:
    """Every own address lies in a network and belongs to one node."""
    owners: dict[str, str] = {}
    for name, node in spec.nodes.items():
        for interface_name, interface in node.interfaces.items():
            for address in interface.addresses:
                path = ("nodes", name, "interfaces", interface_name)
                if network_of(spec, address) is None:
                    yield Mistake(
                        "NET003", path, f"{address} lies in none of the networks",
                        "add the network under `networks:` with its cidr, or correct the address",
                    )  # fmt: skip
                if str(address) in owners:
                    yield Mistake("NET004", path, f"{address} belongs to '{owners[str(address)]}' already")
                owners[str(address)] = name


def members_exist(spec: ClusterSpec) -> Iterator[Mistake]:
    """A group names nodes of the spec."""
    for group_name, group in spec.vrrp.items():
        for index, member in enumerate(group.nodes):
            if member not in spec.nodes:
                key = member if isinstance(group.nodes, dict) else index
                yield unknown("VRRP001", ("vrrp", group_name, "nodes", key), "node", member, spec.nodes)


def _sound_members(spec: ClusterSpec, group: VrrpGroup) -> list[str]:
    return [member for member in group.members if member in spec.nodes]


def addresses_fit(spec: ClusterSpec) -> Iterator[Mistake]:
    """Each floating address fits an interface of every member, is nobody's own, and floats once."""
    own = {str(address): name for name, node in spec.nodes.items() for address in node.addresses}
    floating: dict[str, str] = {}
    for group_name, group in spec.vrrp.items():
        for key, floated in group.addresses.items():
            path = ("vrrp", group_name, "addresses", int(key) if key.isdigit() else key)
            ip = str(floated.ip)
            if ip in own:
                yield Mistake("VRRP002", path, f"{ip} is the own address of '{own[ip]}': it can't float")
            if ip in floating:
                yield Mistake("VRRP003", path, f"{ip} floats in '{floating[ip]}' already")
            floating[ip] = group_name
            for member in _sound_members(spec, group):
                if floated.interface and floated.interface not in spec.nodes[member].interfaces:
                    yield unknown(
                        "VRRP004", path, f"interface on {member}", floated.interface, spec.nodes[member].interfaces
                    )
                elif carrying_interface(spec, member, floated) is None:
                    yield Mistake(
                        "VRRP005", path, f"'{member}' has no interface in the network of {ip}",
                        "give the node an address in that network, or name the interface: "
                        f"{{address: {floated.address}, interface: eth0}}",
                    )  # fmt: skip


def adverts_can_be_sent(spec: ClusterSpec) -> Iterator[Mistake]:
    """The adverts' interface exists everywhere, and has an address of their family."""
    for group_name, group in spec.vrrp.items():
        for member in _sound_members(spec, group):
            name = advert_interface(spec, group, member)
            interface = spec.nodes[member].interfaces.get(name) if name else None
            if group.interface and interface is None:
                path = ("vrrp", group_name, "interface")
                yield unknown("VRRP004", path, f"interface on {member}", group.interface, spec.nodes[member].interfaces)
            elif interface and all(a.version != advert_family(group) for a in interface.addresses):
                yield Mistake(
                    "VRRP006", ("vrrp", group_name), f"'{member}' has no IPv{advert_family(group)} address on {name}, "
                    "where the group's adverts are sent", "add one, or choose another `interface`",
                )  # fmt: skip


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
                "VRRP007", ("vrrp", group_name, "vrid"),
                    f"VRID {group.vrid} is taken by '{taken[key]}' on this network",
                "choose another, or leave it out",
            )  # fmt: skip
        taken[key] = group_name


def trackers_make_sense(spec: ClusterSpec) -> Iterator[Mistake]:
    """What a holder must have can be had on every member, and its loss can move the group."""
    for group_name, group in spec.vrrp.items():
        for index, tracker in enumerate(group.keeps_while):
            path = ("vrrp", group_name, "keeps_while", index)
            if not group.preempts and (tracker.on_loss == "yield" or tracker.weight is not None):
                meant = "on_loss: yield" if tracker.weight is None else f"weight: {tracker.weight}"
                yield Mistake(
                    "VRRP008", path, f"`{meant}` with `preempt: false` never fails over: a lower priority alone takes "
                    "nothing from a holder that nobody may preempt", "write `on_loss: release`, or `preempt: true`",
                )  # fmt: skip
            for member in _sound_members(spec, group):
                if tracker.interface and tracker.interface not in spec.nodes[member].interfaces:
                    known = spec.nodes[member].interfaces
                    yield unknown("VRRP004", path, f"interface on {member}", tracker.interface, known)
            if tracker.kind == "http":
                yield from _somebody_answers(spec, group, tracker, (*path, "http"))


def _somebody_answers(
    spec: ClusterSpec, group: VrrpGroup, tracker: Tracker, path: tuple[str | int, ...]
) -> Iterator[Mistake]:
    """An HTTP tracker that nothing of the spec answers would keep every node from holding the addresses."""
    target = tracker.http
    address = as_address(target.address) if target else None
    if target is None or address is None or not address.is_loopback:
        return
    for member in _sound_members(spec, group):
        proxies = [proxy for proxy in spec.proxies.values() if member in proxy.nodes]
        served = [p.health for p in proxies if p.health]
        if not any((h.address, h.port, h.path) == (target.address, target.port, target.path) for h in served):
            yield Mistake(
                "VRRP009", path, f"no proxy of this spec answers {target.address}:{target.port}{target.path} on "
                f"'{member}'; if nothing else does, '{member}' never holds the group",
                "proxies answer 127.0.0.1:8080/healthz unless their `health` says otherwise", Severity.WARNING,
            )  # fmt: skip


RULES = (
    networks_are_distinct,
    nodes_are_on_networks,
    members_exist,
    addresses_fit,
    adverts_can_be_sent,
    vrids_differ_on_a_segment,
    trackers_make_sense,
)
