"""What the node's own addresses say about a configuration: sources, virtual addresses, services that listen on them."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface

from holdfast.protocol import HostFacts, InterfaceFacts

from .facts_samples import host, on
from .model import Model
from .model_values import address_of
from .model_vrrp import Address, Instance
from .rule import ERROR, WARNING, Hit, host_rule
from .samples import instance
from .unicast import PEERS


def held(model: Model) -> Iterator[tuple[Instance, Address]]:
    """Each address with its instance."""
    return ((one, address) for one in model.instances for address in one.all_addresses)


@host_rule(
    "HOST103",
    ERROR,
    "a source address that the node does not have",
    effect="keepalived cannot send from it: peers hear nothing and become master.",
    hint="write this node's own address; was the file copied from the peer?",
    bad=on(instance(PEERS.replace("10.0.0.1\n", "10.0.0.7\n")), host(), "interfaces"),
    good=on(instance(PEERS), host(), "interfaces"),
    references=("man keepalived.conf: unicast_src_ip", "keepalived issues 2458, 2651"),
)
def foreign_source(model: Model, facts: HostFacts) -> Iterator[Hit]:
    own = {address.ip for address, _ in addresses(facts)}
    for one in model.instances:
        source = address_of(one.source.value)
        if own and source is not None and source not in own:
            message = f"{facts.hostname} does not have {source}: {one.name} cannot send its adverts from it"
            yield Hit(one.source.node, message, 1)


def addresses(facts: HostFacts) -> Iterator[tuple[IPv4Interface | IPv6Interface, InterfaceFacts]]:
    """Each address of the node with its interface."""
    for one in facts.interfaces:
        for text in one.addresses:
            try:
                yield ip_interface(text), one
            except ValueError:
                continue  # written by hand: what is no address says nothing


@host_rule(
    "HOST104",
    ERROR,
    "a virtual address that the node has itself",
    effect="The node keeps it when it loses the election: two hosts answer for it. When keepalived stops it may remove "
    "the address by which the node is reached.",
    hint="use an address that no node has itself",
    bad=on(instance(address="10.0.0.1/24"), host(), "interfaces"),
    good=on(instance(), host(), "interfaces"),
    references=("man keepalived.conf: virtual_ipaddress",),
)
def own_address(model: Model, facts: HostFacts) -> Iterator[Hit]:
    held = _held_now(model, facts)
    for one in model.instances:
        for address in one.all_addresses:
            found = address_of(address.node.name)
            for own, interface in addresses(facts):
                if own.ip == found and interface.name == address.device and own.ip not in held:
                    message = f"{own.ip} is {facts.hostname}'s own address on {interface.name}"
                    yield Hit(address.node, message)


def _held_now(model: Model, facts: HostFacts) -> set[object]:
    """Addresses that keepalived may have set itself: it runs, and the interface has another one, set before.

    Of several addresses of one network all but the first are secondary; an address without a mask is one of its own
    network. Where the node has an address in the way that the configuration sets it, first of its network or alone on
    its interface, it is the node's own.
    """
    running = facts.keepalived is None or bool(facts.keepalived.processes)
    if not running:
        return set()
    found: set[object] = set()
    for one in model.instances:
        for address in one.all_addresses:
            interface = facts.interface(address.device)
            if interface is None:
                continue
            family = [text for text in interface.addresses if _family(text) == address.family]
            for text in family:
                own = ip_interface(text)
                if str(own.ip) != address.host:
                    continue
                full = 32 if address.family == 4 else 128
                as_written = own.network.prefixlen == (address.network.prefixlen if address.network else full)
                if text in interface.secondary or (as_written and len(family) > 1 and family[0] != text):
                    found.add(own.ip)
    return found


def _family(text: str) -> int:
    found = address_of(text)
    return found.version if found is not None else 0


@host_rule(
    "HOST105",
    WARNING,
    "a virtual address outside of the interface's networks",
    effect="Nobody on that network looks for the address there: it is reached only where a router sends it to this "
    "node.",
    hint="correct the address or the interface; if a router sends it here, suppress this with that reason",
    bad=on(instance(address="192.168.7.100/24"), host(), "interfaces"),
    good=on(instance(address="10.0.0.100/24"), host(), "interfaces"),
    references=("man keepalived.conf: virtual_ipaddress",),
)
def outside(model: Model, facts: HostFacts) -> Iterator[Hit]:
    for one in model.instances:
        virtual = {address.host for address in one.all_addresses}
        for address in one.all_addresses:
            interface, found = facts.interface(address.device), address_of(address.node.name)
            if interface is None or found is None or found.is_link_local or address.device == "lo":
                continue
            own = [
                ip_interface(text)
                for text in interface.addresses
                if _family(text) == found.version and str(ip_interface(text).ip) not in virtual
            ]
            networks = [each.network for each in own if not each.is_link_local]
            if networks and not any(found in network for network in networks):
                message = (
                    f"{found} is in none of the networks of {interface.name} on {facts.hostname}:"
                    f" {', '.join(map(str, networks[:4]))}"
                )
                yield Hit(address.node, message)


@host_rule(
    "HOST110",
    WARNING,
    "a service that listens on a virtual address, and cannot on the backup",
    effect="Where the node does not hold the address, the service cannot be started, or restarted: after a failover "
    "nobody answers.",
    hint="set net.ipv4.ip_nonlocal_bind = 1 (and net.ipv6.ip_nonlocal_bind) on all nodes, or listen on all addresses",
    bad=on(
        instance(),
        host(
            listeners=({"address": "10.0.0.100", "port": 80},),
            sysctls={"net/ipv4/ip_nonlocal_bind": "0"},
        ),
        "listeners",
        "sysctls",
    ),
    good=on(instance(), host(listeners=({"address": "10.0.0.100", "port": 80},)), "listeners", "sysctls"),
    references=("Linux: Documentation/networking/ip-sysctl.rst, ip_nonlocal_bind",),
)
def bound(model: Model, facts: HostFacts) -> Iterator[Hit]:
    listened = {one.address: one.port for one in facts.listeners or ()}
    for _, address in held(model):
        key = "net/ipv6/ip_nonlocal_bind" if address.family == 6 else "net/ipv4/ip_nonlocal_bind"
        if address.host in listened and facts.sysctls.get(key) == "0":
            message = (
                f"a service listens on {address.host}:{listened[address.host]} and {key.replace('/', '.')} is 0: it"
                " cannot start where the address is not held"
            )
            yield Hit(address.node, message)


def same_network(one: str, other: str) -> bool:
    """Whether two addresses with their masks are of one network."""
    try:
        return ip_address(other.partition("/")[0]) in ip_interface(one).network
    except ValueError:
        return False
