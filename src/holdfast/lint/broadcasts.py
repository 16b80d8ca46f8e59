"""What goes wrong with broadcast addresses: of an address, and as a gateway."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from holdfast.sentences import Sentence

from .model import Model
from .model_values import address_of, host_of
from .routes import routes
from .rule import ERROR, WARNING, Hit, rule
from .samples import instance


@rule(
    "ADDR117",
    WARNING,
    "a broadcast address of another network",
    effect="The kernel takes it: what the node sends to everybody reaches nobody, and packets to that address are "
    "taken for broadcasts.",
    hint="write `brd +`, or leave brd out",
    bad=instance(address="10.0.0.100/24 brd 10.0.0.100"),
    good=instance(address="10.0.0.100/24 brd 10.0.0.255"),
    references=("man ip-address: broadcast", "keepalived issue 2522"),
)
def foreign_broadcast(model: Model) -> Iterator[Hit]:
    held = [address for one in model.instances for address in one.all_addresses]
    for address in (*held, *model.static_addresses):
        name = "brd" if address.option("brd") else "broadcast"
        word, network = address.option(name), address.network
        given = address_of(word) if word else None
        if not isinstance(given, IPv4Address):
            continue
        at = address.node.words.index(name) + 1
        if str(given) == address.host:
            yield Hit(
                address.node,
                Sentence("%(given)s is the address itself, and cannot be its broadcast address too", given=given),
                at,
            )
        elif isinstance(network, IPv4Network) and network.prefixlen < 31 and given not in network:
            yield Hit(
                address.node,
                Sentence(
                    "%(given)s is not in %(network)s, the network of %(host)s",
                    given=given,
                    network=network,
                    host=address.host,
                ),
                at,
            )
        elif _is_of_a_host(given, network):
            yield Hit(
                address.node,
                Sentence(
                    "%(given)s is an address that a host of %(network)s may have: this node no longer reaches it",
                    given=given,
                    network=network,
                ),
                at,
            )


def _is_of_a_host(given: IPv4Address, network: object) -> bool:
    """Whether it is neither the first address of the network nor the last, which are no hosts' anyway."""
    if not isinstance(network, IPv4Network) or network.prefixlen > 30:
        return False
    return given not in (network.network_address, network.broadcast_address)


@rule(
    "ADDR120",
    ERROR,
    "a broadcast address beside IPv6",
    effect="IPv6 has no broadcast: keepalived skips the whole address, and no node holds it.",
    hint="remove brd and the word behind it",
    bad=instance("virtual_ipaddress {\n    fe80::100/64\n    2001:db8::100/64 brd +\n}"),
    good=instance("virtual_ipaddress {\n    fe80::100/64\n    2001:db8::100/64\n}"),
    references=("measured with keepalived 2.2.7: 'trying to assign a broadcast … to the IPv6 address'",),
)
def broadcast_of_six(model: Model) -> Iterator[Hit]:
    held = [address for one in model.instances for address in one.all_addresses]
    for address in (*held, *model.static_addresses):
        word = next((one for one in ("brd", "broadcast") if address.option(one)), "")
        if word and ":" in address.host:
            message = Sentence("IPv6 has no broadcast: keepalived skips %(host)s", host=address.host)
            yield Hit(address.node, message, address.node.words.index(word))


@rule(
    "ADDR118",
    ERROR,
    "a gateway that is a broadcast address",
    effect="The kernel refuses a route by way of a network's broadcast address: packets go another way.",
    hint="name the router itself",
    bad=instance("virtual_routes {\n    default via 10.0.0.255 dev eth0\n}"),
    good=instance("virtual_routes {\n    default via 10.0.0.254 dev eth0\n}"),
    references=("measured with Linux 6.18 and ip route: 'Nexthop has invalid gateway'", "keepalived issue 2198"),
)
def gateway_of_nobody(model: Model) -> Iterator[Hit]:
    networks = {a.network for one in model.instances for a in one.all_addresses}
    networks |= {a.network for a in model.static_addresses}
    ends = {one.broadcast_address: one for one in networks if isinstance(one, IPv4Network) and one.prefixlen < 31}
    for line in routes(model):
        for at, word in enumerate(line.words[1:], 1):
            if line.words[at - 1] not in ("via", "gw", "or", "inet"):
                continue
            found = address_of(host_of(word))
            if isinstance(found, IPv4Address) and found in ends:
                yield Hit(
                    line,
                    Sentence(
                        "%(found)s is no router: it is the broadcast address of %(ends)s", found=found, ends=ends[found]
                    ),
                    at,
                )
