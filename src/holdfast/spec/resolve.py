"""Questions about a spec that rules, compiler and lab all ask: which network, which interface, which address."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface

from .cluster import ClusterSpec
from .nodes import IPInterface
from .once import once
from .values import Address, as_address
from .vrrp import FloatingAddress, VrrpGroup


@once
def network_of(spec: ClusterSpec, address: Address) -> str | None:
    """The name of the network that `address` lies in."""
    return next((name for name, network in spec.networks.items() if network.subnet_of(address)), None)


def interface_in(spec: ClusterSpec, node: str, interface: str) -> str | None:
    """The network that a node's interface is on."""
    found = spec.nodes[node].interfaces.get(interface)
    names = (network_of(spec, address) for address in found.addresses) if found else iter(())
    return next((name for name in names if name), None)


def with_prefix(spec: ClusterSpec, address: IPInterface | Address) -> IPInterface:
    """The address with its prefix: as written, else the network's, else a host prefix."""
    if isinstance(address, IPv4Interface | IPv6Interface):
        return address
    network = network_of(spec, address)
    subnet = spec.networks[network].subnet_of(address) if network else None
    return ip_interface(f"{address}/{subnet.prefixlen if subnet else address.max_prefixlen}")


def carrying_interface(spec: ClusterSpec, node: str, floating: FloatingAddress) -> str | None:
    """The interface of `node` that carries `floating`: the one named, else the one in its network."""
    if floating.interface:
        return floating.interface if floating.interface in spec.nodes[node].interfaces else None
    network = network_of(spec, floating.ip)
    for name, interface in spec.nodes[node].interfaces.items():
        if network and any(network_of(spec, address) == network for address in interface.addresses):
            return name
    subnet = with_prefix(spec, floating.address).network
    for name, interface in spec.nodes[node].interfaces.items():
        if any(address.version == subnet.version and address in subnet for address in interface.addresses):
            return name
    return None


def advert_family(group: VrrpGroup) -> int:
    """4 or 6: adverts go out in one family, IPv4 where the group has any."""
    return 4 if any(address.ip.version == 4 for address in group.addresses.values()) else 6


def advert_interface(spec: ClusterSpec, group: VrrpGroup, node: str) -> str | None:
    """Where `node` sends the group's adverts: the interface named, else that of the first address of their family."""
    if group.interface:
        return group.interface
    family = advert_family(group)
    first = next(address for address in group.addresses.values() if address.ip.version == family)
    return carrying_interface(spec, node, first)


def advert_source(spec: ClusterSpec, group: VrrpGroup, node: str) -> Address | None:
    """The own address that `node` sends the group's adverts from."""
    interface = advert_interface(spec, group, node)
    found = spec.nodes[node].interfaces.get(interface) if interface else None
    return next((a for a in found.addresses if a.version == advert_family(group)), None) if found else None


def server_address(spec: ClusterSpec, host: str, seen_from: str) -> Address | None:
    """The address of a server for a proxy on node `seen_from`: in a network that both are on, else its first one."""
    if (literal := as_address(host)) is not None:
        return literal
    if host not in spec.nodes:
        return None
    near = {network_of(spec, address) for address in spec.nodes[seen_from].addresses} - {None}
    addresses = spec.nodes[host].addresses
    return next((address for address in addresses if network_of(spec, address) in near), addresses[0])


def listener_addresses(spec: ClusterSpec, target: str) -> tuple[Address, ...]:
    """The addresses that `GROUP`, `GROUP.ADDRESS` or a literal address stand for; empty where the name is unknown."""
    if as_address(target) is not None:
        return (ip_address(target),)
    group_name, _, address_name = target.partition(".")
    group = spec.vrrp.get(group_name)
    if group is None:
        return ()
    named = {key: value.ip for key, value in group.addresses.items()}
    if address_name:
        return (named[address_name],) if address_name in named else ()
    return tuple(named.values())
