"""What goes wrong with virtual addresses, routes and rules: families, duplicates, addresses that nobody can hold."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address

from holdfast.keepalived.tree import Node
from holdfast.sentences import Sentence

from .model import Model
from .model_values import address_of
from .model_vrrp import OWNER, Address, Instance
from .rule import ERROR, INFO, WARNING, Hit, rule
from .samples import instance

_MAN = "man keepalived.conf: virtual_ipaddress"
MOST_ADVERTISED = 20
_FIRST = "virtual_ipaddress {\n    10.0.0.100/24\n    "


@rule(
    "ADDR101",
    ERROR,
    "both address families in one advert",
    effect="An advert carries one family: keepalived skips the addresses of the other one, and nobody holds them.",
    hint="put the other family into `virtual_ipaddress_excluded`, or into an instance of its own, in a sync group",
    bad=instance(f"{_FIRST}2001:db8::100/64\n}}"),
    good=instance("virtual_ipaddress_excluded {\n    2001:db8::100/64\n}"),
    references=("RFC 5798, 5.2.9", "keepalived issues 341, 497, 1421"),
)
def two_families(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        first = next((address for address in one.addresses if address.family), None)
        for address in one.addresses:
            if first is not None and address.family and address.family != first.family:
                message = Sentence(
                    "%(host)s is IPv%(family)s, but %(name)s advertises IPv%(advertised)s: it is skipped",
                    host=address.host,
                    family=address.family,
                    name=one.name,
                    advertised=first.family,
                )
                yield Hit(address.node, message, related=(first.node,))


@rule(
    "ADDR102",
    ERROR,
    "an address held twice",
    effect="Two instances that hold one address may be master on two nodes: both answer for it. Within one instance "
    "the "
    "second line is ignored.",
    hint="list each address once",
    bad=instance() + instance(name="mail", vrid=52),
    good=instance() + instance(name="mail", vrid=52, address="10.0.0.101/24"),
    references=(_MAN,),
)
def held_twice(model: Model) -> Iterator[Hit]:
    seen: dict[tuple[str, str], tuple[Instance, Address]] = {}
    for one in model.instances:
        for address in one.all_addresses:
            if not address.family:
                continue
            of_link = address.host.lower().startswith(("fe80:", "169.254.")) or address.option("scope") == "link"
            key = (address.host, address.device if of_link else "")
            holder, first = seen.setdefault(key, (one, address))
            if first is address:
                continue
            if holder is one:
                message = Sentence(
                    "%(host)s stands in %(name)s already, at line %(line)s",
                    host=address.host,
                    name=one.name,
                    line=first.node.line,
                )
                yield Hit(address.node, message, severity=WARNING, related=(first.node,))
            else:
                message = Sentence(
                    "%(name)s holds %(host)s already, at line %(line)s: two nodes may answer for it",
                    name=holder.name,
                    host=address.host,
                    line=first.node.line,
                )
                yield Hit(address.node, message, related=(first.node,))


@rule(
    "ADDR103",
    WARNING,
    "more than 20 advertised addresses",
    effect="Every advert carries them all, and both sides must list the same ones in the same file: the packets grow, "
    "and one missing line gives two masters.",
    hint="advertise one address and list the others in `virtual_ipaddress_excluded`",
    bad=instance("virtual_ipaddress {\n" + "".join(f"    10.0.0.{host}/32\n" for host in range(100, 121)) + "}"),
    good=instance("virtual_ipaddress_excluded {\n" + "".join(f"    10.0.1.{n}/32\n" for n in range(100, 121)) + "}"),
    references=(_MAN, "keepalived issue 349"),
)
def many(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        if len(one.addresses) > MOST_ADVERTISED:
            place = one.addresses[MOST_ADVERTISED].node
            message = Sentence(
                "%(name)s advertises %(count)s addresses, %(most)s is a good limit",
                name=one.name,
                count=len(one.addresses),
                most=MOST_ADVERTISED,
            )
            yield Hit(place, message)


@rule(
    "ADDR104",
    ERROR,
    "an address that no host can have",
    effect="The kernel refuses it, or nobody can reach it: the network's own address, its broadcast address, loopback, "
    "multicast.",
    hint="use an address of the network that hosts may have",
    bad=instance(address="10.0.0.255/24"),
    good=instance(address="10.0.0.254/24"),
    references=("RFC 1122, 3.2.1.3",),
)
def impossible(model: Model) -> Iterator[Hit]:
    held = [address for one in model.instances for address in one.all_addresses]
    for address in (*held, *model.static_addresses):
        found, network = address_of(address.node.name), address.network
        if found is None:
            continue
        if found.is_unspecified or found.is_multicast or (found.is_loopback and address.block != "static_ipaddress"):
            kind = _kind(found)
            if found.is_loopback and address.device == "lo":
                continue
            yield Hit(address.node, Sentence("%(found)s is %(kind)s: no client reaches it", found=found, kind=kind))
        elif isinstance(network, IPv4Network) and network.prefixlen < 31:
            if found == network.broadcast_address:
                yield Hit(
                    address.node,
                    Sentence(
                        "%(found)s is the broadcast address of %(network)s: no host can have it",
                        found=found,
                        network=network,
                    ),
                )
            elif found == network.network_address:
                yield Hit(
                    address.node,
                    Sentence(
                        "%(found)s is the address of the network %(network)s itself: no host can have it",
                        found=found,
                        network=network,
                    ),
                )


def _kind(found: IPv4Address | IPv6Address) -> Sentence:
    if found.is_multicast:
        return Sentence("multicast")
    return Sentence("loopback") if found.is_loopback else Sentence("no host's")


@rule(
    "ADDR105",
    ERROR,
    "a virtual address that is a node's own",
    effect="The node keeps it when it loses the election: two hosts answer for it, and on the way keepalived may "
    "remove "
    "the address by which the node is reached.",
    hint="use an address that no node has itself",
    bad=instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n}", address="10.0.0.1/24"),
    good=instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n}"),
    references=(_MAN,),
)
def own_address(model: Model) -> Iterator[Hit]:
    static = {address.host: address.node for address in model.static_addresses}
    sources = {one.source.value: one.source.node for one in model.instances if one.source.value}
    for one in model.instances:
        for address in () if one.priority.value == OWNER else one.all_addresses:
            if address.host in sources:
                message = Sentence("%(host)s is this node's own address (the source of its adverts)", host=address.host)
                # Some have no other address on a network and send from this one: that works, while it is master.
                yield Hit(address.node, message, severity=WARNING, related=(sources[address.host],))
            elif address.host in static:
                message = Sentence("%(host)s is in static_ipaddress too: this node always has it", host=address.host)
                yield Hit(address.node, message, related=(static[address.host],))


@rule(
    "ADDR106",
    INFO,
    "the first address of a network",
    effect="It is usually the router's, or the node's own: if anybody has it, two hosts answer for it.",
    hint="make sure that nobody has it, as where this cluster is the network's router",
    bad=instance(address="10.0.0.1/24"),
    good=instance(),
    references=(_MAN,),
)
def first_of_network(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        for address in one.all_addresses:
            found, network = address_of(address.node.name), address.network
            if not isinstance(network, IPv4Network) or network.prefixlen >= 30:
                continue
            if found == network.network_address + 1:
                message = Sentence(
                    "%(found)s is the first address of %(network)s: usually its router's, or this node's own",
                    found=found,
                    network=network,
                )
                yield Hit(address.node, message)


@rule(
    "ADDR122",
    WARNING,
    "a virtual address with a mask of 0",
    effect="Of an IPv6 address it makes a default route: all traffic goes out by its interface, to no router. Of an "
    "IPv4 address Linux makes no route at all: the node has no network by it.",
    hint="write the length of the address's network, as in /24, or that of the address alone: /32, or /128 for IPv6",
    bad=instance(address="10.0.0.100/0"),
    good=instance(address="10.0.0.100/24"),
    references=("measured with Linux 6.18", "man ip-address: ADDRESS"),
)
def everything(model: Model) -> Iterator[Hit]:
    held = [address for one in model.instances for address in one.all_addresses]
    for address in (*held, *model.static_addresses):
        if address.network is not None and not address.network.prefixlen:
            message = Sentence("%(host)s with a mask of 0 is of no network", host=address.host)
            if address.family == 6:
                message = Sentence("%(host)s with a mask of 0 makes a default route to no router", host=address.host)
            yield Hit(address.node, message)


@rule(
    "ADDR107",
    INFO,
    "a label that is not of its interface",
    effect="Tools that know only names like eth0:1 do not show the address, and refuse to change it.",
    hint="begin the label with the interface and a colon, as in `label eth0:web`",
    bad=instance(address="10.0.0.100/24 label web"),
    good=instance(address="10.0.0.100/24 label eth0:web"),
    references=("man ip-address: label",),
)
def foreign_label(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        for address in one.all_addresses:
            label = address.option("label")
            if label and address.device and label.split(":")[0] != address.device:
                message = Sentence(
                    "the label %(label)s does not begin with %(device)s, the interface of %(host)s",
                    label=label,
                    device=address.device,
                    host=address.host,
                )
                yield Hit(address.node, message, address.node.words.index("label") + 1)


@rule(
    "ADDR108",
    WARNING,
    "the first IPv6 address is not link-local",
    effect="Version 3 sends IPv6 adverts from a link-local address and lists one first: other implementations drop "
    "what "
    "does not.",
    hint="put a fe80:: address first, or use unicast peers",
    bad=instance("virtual_ipaddress {\n    2001:db8::100/64\n}"),
    good=instance("virtual_ipaddress {\n    fe80::100/64\n    2001:db8::100/64\n}"),
    references=("RFC 5798, 5.2.9",),
)
def link_local_first(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        first = next((address for address in one.addresses if address.family), None)
        found = address_of(first.node.name) if first is not None else None
        if first is not None and found is not None and found.version == 6 and not found.is_link_local and not one.peers:
            yield Hit(
                first.node,
                Sentence(
                    "%(found)s is advertised first by %(name)s, but is not link-local", found=found, name=one.name
                ),
            )


@rule(
    "ADDR109",
    WARNING,
    "a route without an interface",
    effect="keepalived cannot watch it: if somebody removes the route, it does not come back.",
    hint="add `dev INTERFACE`, or `no_track`",
    bad=instance("virtual_routes {\n    192.0.2.0/24 via 10.0.0.254\n}"),
    good=instance("virtual_routes {\n    192.0.2.0/24 via 10.0.0.254 dev eth0\n}"),
    references=("man keepalived.conf: virtual_routes",),
)
def route_without_interface(model: Model) -> Iterator[Hit]:
    lines = model.root.listed("static_routes")
    for line in (*lines, *(line for one in model.instances for line in one.node.listed("virtual_routes"))):
        words = line.words[: line.words.index("nexthop")] if "nexthop" in line.words else line.words
        if not {"dev", "oif"} & set(words) and "no_track" not in line.words:
            yield Hit(
                line,
                Sentence("keepalived does not watch the route %(target)s: it names no interface", target=_target(line)),
            )


def _target(line: Node) -> str:
    return next((word for word in line.words if address_of(word) is not None or word == "default"), line.name)


@rule(
    "ADDR110",
    WARNING,
    "a rule without a preference",
    effect="keepalived counts down from 16383 in the order of the file: a rule that is added later changes the others' "
    "places.",
    hint="add `preference NUMBER` (or `priority NUMBER`)",
    bad=instance("virtual_rules {\n    from 10.0.0.100 table 100\n}"),
    good=instance("virtual_rules {\n    from 10.0.0.100 table 100 preference 100\n}"),
    references=("man keepalived.conf: virtual_rules",),
)
def rule_without_preference(model: Model) -> Iterator[Hit]:
    lines = [
        *model.root.listed("static_rules"),
        *(line for i in model.instances for line in i.node.listed("virtual_rules")),
    ]
    for line in lines:
        if not set(line.words) & {"preference", "priority", "order", "pref"}:
            yield Hit(line, Sentence("this rule has no preference: keepalived chooses one, by its place in the file"))


@rule(
    "ADDR111",
    WARNING,
    "a watched route of another protocol",
    effect="keepalived watches only routes that carry its own mark: it resets the protocol.",
    hint="remove the protocol, or add `no_track`",
    bad=instance("virtual_routes {\n    192.0.2.0/24 via 10.0.0.254 dev eth0 protocol static\n}"),
    good=instance("virtual_routes {\n    192.0.2.0/24 via 10.0.0.254 dev eth0\n}"),
    references=("measured with keepalived 2.2.7: 'Route cannot be tracked if protocol is not RTPROT_KEEPALIVED'",),
)
def foreign_protocol(model: Model) -> Iterator[Hit]:
    lines = [line for one in model.instances for line in one.node.listed("virtual_routes")]
    for line in (*lines, *model.root.listed("static_routes")):
        found = next((at for at, word in enumerate(line.words[:-1]) if word in ("proto", "protocol")), 0)
        if found and line.words[found + 1] not in ("keepalived", "18") and "no_track" not in line.words:
            yield Hit(
                line,
                Sentence("keepalived resets the protocol of the route %(target)s to its own", target=_target(line)),
                found + 1,
            )


@rule(
    "ADDR112",
    INFO,
    "a label or scope of an IPv6 address",
    effect="The kernel knows neither for IPv6: keepalived ignores it.",
    hint="remove it",
    bad=instance(address="fe80::100/64 label eth0:web"),
    good=instance(address="fe80::100/64"),
    references=("measured with keepalived 2.2.7: 'Cannot specify label for IPv6 addresses'",),
)
def of_ipv4_alone(model: Model) -> Iterator[Hit]:
    held = [address for one in model.instances for address in one.all_addresses]
    for address in (*held, *model.static_addresses):
        if address.family == 6:
            for name in ("label", "scope"):
                if name in address.node.words[1:]:
                    at = address.node.words.index(name, 1)
                    yield Hit(
                        address.node,
                        Sentence(
                            "keepalived ignores the %(name)s of %(host)s: IPv6 has none", name=name, host=address.host
                        ),
                        at,
                    )
