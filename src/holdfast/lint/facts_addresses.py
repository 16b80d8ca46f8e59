"""What the node's own addresses say about a configuration: sources, virtual addresses, services that listen on them."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_address, ip_interface

from holdfast.protocol import HostFacts, InterfaceFacts
from holdfast.sentences import Sentence

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
            message = Sentence(
                "%(hostname)s does not have %(source)s: %(name)s cannot send its adverts from it",
                hostname=facts.hostname,
                source=source,
                name=one.name,
            )
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
    known = {(each.name, str(own.ip)): (own, each) for own, each in addresses(facts)}
    routed = any(one.node.has("virtual_routes") for one in model.instances)
    for _, address in held(model):
        found = known.get((address.device, address.host))
        whose = _whose(address, *found, facts, routed=routed) if found is not None else _KEEPALIVEDS
        if whose != _KEEPALIVEDS and found is not None:
            message = Sentence(
                "%(ip)s is %(hostname)s's own address on %(name)s",
                ip=found[0].ip,
                hostname=facts.hostname,
                name=found[1].name,
            )
            perhaps = whose == _PERHAPS
            if perhaps:
                message = Sentence("%(own)s, unless keepalived set it there just now", own=message)
            yield Hit(address.node, message, severity=WARNING if perhaps else None)


_OWN, _PERHAPS, _KEEPALIVEDS = "own", "perhaps own", "keepalived's"


def _whose(
    address: Address, own: IPv4Interface | IPv6Interface, interface: InterfaceFacts, facts: HostFacts, *, routed: bool
) -> str:
    """Whether an address that is on its interface was there before keepalived, as far as can be told.

    Of several addresses of one network all but the first are secondary, and keepalived sets its own later and with the
    mask that the configuration says. `routed`: keepalived sets routes, too.
    """
    if facts.keepalived is not None and not facts.keepalived.processes:
        return _OWN
    full = 32 if address.family == 4 else 128
    if own.network.prefixlen != (address.network.prefixlen if address.network else full):
        return _OWN
    text = str(own)
    first = next(other for other in interface.addresses if _family(other) == address.family)
    if text in interface.secondary or address_of(first) != own.ip:
        return _KEEPALIVEDS
    if facts.keepalived is None:
        return _OWN
    # Alone or first in its network: a node reaches its gateway from an address of its own.
    gateways = [route.gateway for route in facts.routes or () if route.interface == interface.name and route.gateway]
    found = [address_of(gateway) for gateway in gateways]
    return _OWN if any(one is not None and one in own.network for one in found) and not routed else _PERHAPS


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
    known = list(addresses(facts))
    for one in model.instances:
        virtual = {address.host for address in one.all_addresses}
        networks: dict[tuple[str, int], list[IPv4Network | IPv6Network]] = {}
        for own, each in known:
            if str(own.ip) not in virtual and not own.is_link_local:
                networks.setdefault((each.name, own.version), []).append(own.network)
        for address in one.all_addresses:
            found = address_of(address.node.name)
            if found is None or found.is_link_local or address.device == "lo":
                continue
            around = networks.get((address.device, found.version), [])
            if around and not any(found in network for network in around):
                message = Sentence(
                    "%(found)s is in none of the networks of %(device)s on %(hostname)s: %(networks)s",
                    found=found,
                    device=address.device,
                    hostname=facts.hostname,
                    networks=", ".join(map(str, around[:4])),
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
            message = Sentence(
                "a service listens on %(host)s:%(listened)s and %(key)s is 0: it cannot start where the address is "
                "not held",
                host=address.host,
                listened=listened[address.host],
                key=key.replace("/", "."),
            )
            yield Hit(address.node, message)


def same_network(one: str, other: str) -> bool:
    """Whether two addresses with their masks are of one network."""
    try:
        return ip_address(other.partition("/")[0]) in ip_interface(one).network
    except ValueError:
        return False
