"""What goes wrong with virtual routes and rules: families, gateways and sources that the kernel does not take."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface, ip_interface

from holdfast.keepalived.tree import Node
from holdfast.sentences import Sentence

from .model import Model
from .model_values import address_of, host_of
from .rule import ERROR, WARNING, Hit, rule
from .samples import instance

_MAN = "man keepalived.conf: virtual_routes"
_KERNEL = "measured with Linux 6.1 and ip route"
_ADDRESSED = frozenset({"src", "to", "via", "gw", "or", "from"})  # what may stand before an address


def routes(model: Model) -> list[Node]:
    """Each line of virtual_routes and static_routes."""
    own = (line for one in model.instances for line in one.node.listed("virtual_routes"))
    return [*model.root.listed("static_routes"), *own]


def rules(model: Model) -> list[Node]:
    """Each line of virtual_rules and static_rules."""
    own = (line for one in model.instances for line in one.node.listed("virtual_rules"))
    return [*model.root.listed("static_rules"), *own]


def _routed(line: Node) -> list[Node]:
    """A route in its parts: before the first `nexthop`, and each one after it."""
    parts: list[list[str]] = [[]]
    for word in line.words:
        if word == "nexthop":
            parts.append([])
        parts[-1].append(word)
    return [Node(tuple(part), line.source, line.line, line.start) for part in parts if part]


def _families(line: Node) -> dict[int, int]:
    """Family of each address of a line → the place of the first word of that family."""
    found: dict[int, int] = {}
    words = line.words
    for at, word in enumerate(words):
        if at and words[at - 1] not in _ADDRESSED:
            continue
        address = address_of(word)
        if address is not None:
            found.setdefault(address.version, at)
    return found


@rule(
    "ADDR113",
    ERROR,
    "a route or rule with addresses of both families",
    effect="keepalived leaves the line out: packets go another way, or none.",
    hint="write one line for IPv4 and one for IPv6; an IPv4 route over an IPv6 gateway is `via inet6 ADDRESS`",
    bad=instance("virtual_rules {\n    from 2001:db8::/64 to 10.0.0.0/8 table 100 preference 100\n}"),
    good=instance("virtual_rules {\n    from 10.0.0.0/24 to 10.0.0.0/8 table 100 preference 100\n}"),
    references=("measured with keepalived 2.2.7: 'mixed IPv4 and IPv6'",),
)
def two_families(model: Model) -> Iterator[Hit]:
    for line in (*routes(model), *rules(model)):
        if "inet" in line.words or "inet6" in line.words:
            continue
        found = _families(line)
        if len(found) == 2:
            second = max(found.values())
            message = Sentence(
                "%(second)s is of another family than %(first)s: keepalived leaves the line out",
                second=line.words[second],
                first=line.words[min(found.values())],
            )
            yield Hit(line, message, second)


@rule(
    "ADDR114",
    ERROR,
    "a route by way of the node's own address",
    effect="The gateway is the node itself: the kernel refuses the route, or the packets come back and none leaves.",
    hint="name the router that the packets are for, not the virtual address",
    bad=instance("virtual_routes {\n    default via 10.0.0.100 dev eth0\n}"),
    good=instance("virtual_routes {\n    default via 10.0.0.254 dev eth0\n}"),
    references=(_MAN, f"{_KERNEL}: 'Nexthop has invalid gateway', 'Gateway can not be a local address'"),
)
def own_gateway(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        own = {address.host: address.node for address in one.all_addresses if address.family}
        own |= {address.host: address.node for address in model.static_addresses if address.family}
        for line in one.node.listed("virtual_routes"):
            for at, word in enumerate(line.words[1:], 1):
                if line.words[at - 1] in ("via", "gw", "or", "inet", "inet6") and host_of(word) in own:
                    message = Sentence(
                        "%(word)s is an address of this very node when it is master: no packet leaves by this route",
                        word=word,
                    )
                    yield Hit(line, message, at, related=(own[host_of(word)],))


@rule(
    "ADDR115",
    ERROR,
    "a route with bits behind its mask",
    effect="The kernel takes IPv4 routes to whole networks alone: it refuses the route, and packets go another way.",
    hint="write the network's own address, with zeros behind the mask, or /32 for one host",
    bad=instance("virtual_routes {\n    192.0.2.7/24 via 10.0.0.254 dev eth0\n}"),
    good=instance("virtual_routes {\n    192.0.2.0/24 via 10.0.0.254 dev eth0\n}"),
    references=(_MAN, f"{_KERNEL}: 'Invalid prefix for given prefix length'"),
)
def host_bits(model: Model) -> Iterator[Hit]:
    for line in routes(model):
        for at, word in enumerate(line.words):
            if "/" not in word or (at and line.words[at - 1] not in ("to", "inet", *_TYPES)) or ":" in word:
                continue
            try:
                target = ip_interface(word)
            except ValueError:
                continue
            if isinstance(target, IPv4Interface) and target.ip != target.network.network_address:
                hint = Sentence(
                    "write %(network)s, or %(ip)s/32 for the host alone", network=target.network, ip=target.ip
                )
                yield Hit(
                    line, Sentence("%(word)s is no network: the kernel refuses the route", word=word), at, hint=hint
                )


_TYPES = ("unicast", "local", "broadcast", "multicast", "blackhole", "unreachable", "prohibit", "throw")


@rule(
    "ADDR121",
    WARNING,
    "a network without its length",
    effect="keepalived takes it for the one host with that number: packets for all others of the network go another "
    "way.",
    hint="write how many bits the network has, as in 192.0.2.0/24; or /32 where one host is meant",
    bad=instance("virtual_routes {\n    192.0.2.0 via 10.0.0.254 dev eth0\n}"),
    good=instance("virtual_routes {\n    192.0.2.0/24 via 10.0.0.254 dev eth0\n}"),
    references=(_MAN, "measured with keepalived 2.2.7: its dump shows the address without a length"),
)
def no_length(model: Model) -> Iterator[Hit]:
    for line in routes(model):
        for at, word in enumerate(line.words):
            if at and line.words[at - 1] not in ("to", *_TYPES):
                continue
            if word.endswith(".0") and word != "0.0.0.0" and address_of(word) is not None:
                yield Hit(
                    line, Sentence("%(word)s is taken for a host, not for a network: it has no length", word=word), at
                )


@rule(
    "ADDR116",
    WARNING,
    "a route whose source this file does not set",
    effect="The kernel refuses a route from an address that the node does not have: packets go another way.",
    hint="use one of the instance's virtual addresses, or an address of static_ipaddress; if the node has it anyway, "
    "suppress this with a reason",
    bad=instance("virtual_routes {\n    192.0.2.0/24 via 10.0.0.254 dev eth0 src 10.0.0.109\n}"),
    good=instance("virtual_routes {\n    192.0.2.0/24 via 10.0.0.254 dev eth0 src 10.0.0.100\n}"),
    references=(_MAN, f"{_KERNEL}: 'Invalid prefsrc address'"),
    whole=True,
)
def foreign_source(model: Model) -> Iterator[Hit]:
    known = set(model.held) | {address.host for address in model.static_addresses}
    known |= {one.source.value for one in model.instances}
    for one in model.instances:
        for line in one.node.listed("virtual_routes"):
            at = line.words.index("src") + 1 if "src" in line.words[:-1] else 0
            if at and address_of(line.words[at]) is not None and host_of(line.words[at]) not in known:
                message = Sentence(
                    "%(words)s is none of the addresses that this file sets: is it an address of the node?",
                    words=line.words[at],
                )
                yield Hit(line, message, at)


@rule(
    "ADDR119",
    ERROR,
    "a route with two destinations",
    effect="An address that no word stands before is a destination: keepalived takes the last one, and says nothing. "
    "The first is not routed, and the gateway is taken for a host.",
    hint="write `via` before the gateway",
    bad=instance("virtual_routes {\n    192.0.2.0/24 10.0.0.254 dev eth0\n}"),
    good=instance("virtual_routes {\n    192.0.2.0/24 via 10.0.0.254 dev eth0\n}"),
    references=(_MAN, "measured with keepalived 2.2.7: its dump shows a route to the second address"),
)
def two_destinations(model: Model) -> Iterator[Hit]:
    for line in routes(model):
        bare = [at for at, word in enumerate(line.words) if address_of(word.partition("/")[0]) and _bare(line, at)]
        if len(bare) > 1:
            first, last = line.words[bare[0]], line.words[bare[-1]]
            yield Hit(
                line,
                Sentence(
                    "keepalived takes %(last)s for the destination, and forgets %(first)s", last=last, first=first
                ),
                bare[-1],
            )


def _bare(line: Node, at: int) -> bool:
    """Whether no word before an address says what it is, so that it is a destination."""
    before = line.words[at - 1] if at else ""
    return not before or before == "to" or "/" in before or address_of(before) is not None
