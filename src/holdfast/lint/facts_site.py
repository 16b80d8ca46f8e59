"""What several nodes' facts say together: real servers, gateways, peers on different networks or releases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_interface

from holdfast.protocol import HostFacts

from .cluster_model import Member, hosts, shared
from .facts_addresses import addresses, same_network
from .facts_samples import among, card, host, keepalived, real_server
from .model import Model
from .model_lvs import RealServer, VirtualServer
from .model_values import address_of
from .rule import ERROR, WARNING, Hit, site_rule
from .samples import instance, virtual

_LVS = instance() + virtual(server="10.0.0.21 80")
_TUN = instance() + virtual("lb_kind TUN", server="10.0.0.21 80")
_NAT = instance("virtual_ipaddress_excluded {\n    10.0.0.253/24\n}") + virtual("lb_kind NAT", server="10.0.0.21 80")
_TWO = {"lb1": instance("priority 110"), "lb2": instance("priority 100")}

Facts = Mapping[str, HostFacts]


def facts_of(model: Model, facts: Facts) -> HostFacts | None:
    """The facts of a model's own node."""
    return facts.get(model.node) or facts.get(model.file)


def _owners(facts: Facts) -> dict[str, HostFacts]:
    """Address → the node that has it as its own; the first of several."""
    found: dict[str, HostFacts] = {}
    for one in facts.values():
        for own, _ in addresses(one):
            found.setdefault(str(own.ip), one)
    return found


def _servers(
    models: tuple[Model, ...], facts: Facts, *, directors: bool = False
) -> Iterator[tuple[VirtualServer, RealServer, HostFacts, str]]:
    """Each real server with its facts and the method by which packets reach it; with `directors`, those that are "
    "one."""
    own = {id(found) for model in models if (found := facts_of(model, facts)) is not None}
    owners = _owners(facts)
    for model in models:
        for one, real in model.real_servers():
            found = owners.get(real.host)
            if found is not None and (id(found) in own) == directors:
                yield one, real, found, one.method_of(real).value.upper()


@site_rule(
    "HOST201",
    ERROR,
    "a real server without the virtual address",
    effect="DR and TUN leave the destination as it is: the server drops packets to an address that it does not have.",
    hint="add the address to lo (DR) or to the tunnel's device (TUN) of the real server, with a mask of /32 or /128",
    bad=among({"lb1": _LVS}, {"web1": real_server(21, "127.0.0.1/8")}, "interfaces"),
    good=among({"lb1": _LVS}, {"web1": real_server(21, "127.0.0.1/8", "10.0.0.100/32")}, "interfaces"),
    references=("LVS-DR HOWTO: the ARP problem",),
)
def address_missing(models: tuple[Model, ...], facts: Facts) -> Iterator[Hit]:
    for one, real, server, method in _servers(models, facts):
        wanted = address_of(one.host)
        if method == "NAT" or wanted is None:
            continue
        if not any(own.ip == wanted for own, _ in addresses(server)):
            yield Hit(real.node, f"{server.hostname} does not have {wanted}: it drops what {one.label} sends it", 1)


@site_rule(
    "HOST202",
    ERROR,
    "a real server that answers ARP for the virtual address",
    effect="Clients and routers learn the real server's MAC for the virtual address: they bypass the director, and "
    "with it checks, weights and failover.",
    hint="set net.ipv4.conf.all.arp_ignore = 1 and net.ipv4.conf.all.arp_announce = 2 on the real server, before the "
    "address is added",
    bad=among(
        {"lb1": _LVS},
        {
            "web1": real_server(
                21,
                "10.0.0.100/32",
                sysctls={"net/ipv4/conf/all/arp_ignore": "0", "net/ipv4/conf/all/arp_announce": "0"},
            )
        },
        "interfaces",
        "sysctls",
    ),
    good=among({"lb1": _LVS}, {"web1": real_server(21, "10.0.0.100/32")}, "interfaces", "sysctls"),
    references=(
        "LVS-DR HOWTO: the ARP problem",
        "Linux: Documentation/networking/ip-sysctl.rst, arp_ignore, arp_announce",
    ),
)
def answers_arp(models: tuple[Model, ...], facts: Facts) -> Iterator[Hit]:
    for one, real, server, method in _servers(models, facts):
        wanted = address_of(one.host)
        if method == "NAT" or wanted is None or wanted.version == 6:
            continue
        cards = [each.name for own, each in addresses(server) if own.ip == address_of(real.host)]
        if not any(own.ip == wanted for own, _ in addresses(server)):
            continue
        for key, least in (("arp_ignore", 1), ("arp_announce", 2)):
            values = [server.sysctls.get(f"net/ipv4/conf/{name}/{key}") for name in ("all", *cards)]
            known = [int(value) for value in values if value is not None and value.isdigit()]
            if known and max(known) < least:
                message = f"{key} is {max(known)} on {server.hostname}, for {', '.join(('all', *cards))}: it has to be"
                yield Hit(real.node, f"{message} {least}, so that nobody takes it for the holder of {one.host}", 1)


@site_rule(
    "HOST203",
    ERROR,
    "a real server behind NAT that answers past the director",
    effect="The answer carries the real server's own address: the client knows no such connection and resets it.",
    hint="make an address that moves with the director (in virtual_ipaddress_excluded) the real server's default "
    "gateway",
    bad=among({"lb1": _NAT}, {"lb1": host(1), "web1": real_server(21, "127.0.0.1/8")}, "interfaces", "routes"),
    good=among(
        {"lb1": _NAT},
        {
            "lb1": host(1),
            "web1": real_server(
                21,
                "127.0.0.1/8",
                routes=({"family": 4, "destination": "default", "gateway": "10.0.0.253", "interface": "eth0"},),
            ),
        },
        "interfaces",
        "routes",
    ),
    references=("keepalived issue 1076", "LVS-NAT HOWTO: the default gateway"),
)
def past_the_director(models: tuple[Model, ...], facts: Facts) -> Iterator[Hit]:
    held = frozenset(host for model in models for one in model.instances for host in hosts(one.all_addresses))
    own = {
        str(address.ip)
        for model in models
        if (found := facts_of(model, facts)) is not None
        for address, _ in addresses(found)
    }
    for one, real, server, method in _servers(models, facts):
        wanted = address_of(real.host)
        if method != "NAT" or wanted is None or server.routes is None:
            continue
        gateways = {
            route.gateway
            for route in server.routes
            if route.destination == "default" and route.family == wanted.version and route.gateway
        }
        if gateways & held:
            continue
        said = ", ".join(sorted(gateways)) or "no default gateway"
        if gateways & own:
            message = f"{server.hostname} answers by way of {said}, which does not move with {one.label}"
            yield Hit(real.node, message, 1, severity=WARNING)
        else:
            yield Hit(real.node, f"{server.hostname} answers by way of {said}, which is no address of a director", 1)


@site_rule(
    "HOST204",
    ERROR,
    "a real server behind a tunnel that drops what comes out of it",
    effect="With rp_filter = 1 the kernel drops packets that come out of the tunnel, as it would answer them another "
    "way.",
    hint="set net.ipv4.conf.all.rp_filter and that of the tunnel's device to 0 on the real server",
    bad=among(
        {"lb1": _TUN},
        {"web1": real_server(21, "10.0.0.100/32", device="tunl0", sysctls={"net/ipv4/conf/all/rp_filter": "1",
         "net/ipv4/conf/all/arp_ignore": "1", "net/ipv4/conf/all/arp_announce": "2"})}, "interfaces", "sysctls"),
    good=among({"lb1": _TUN}, {"web1": real_server(21, "10.0.0.100/32", device="tunl0")}, "interfaces", "sysctls"),
    references=("LVS-TUN HOWTO", "Linux: Documentation/networking/ip-sysctl.rst, rp_filter"),
)  # fmt: skip
def tunnel_filter(models: tuple[Model, ...], facts: Facts) -> Iterator[Hit]:
    for one, real, server, method in _servers(models, facts):
        wanted = address_of(one.host)
        if method != "TUN" or wanted is None or wanted.version == 6:
            continue
        devices = [each.name for own, each in addresses(server) if own.ip == wanted and each.name != "lo"]
        values = [(name, server.sysctls.get(f"net/ipv4/conf/{name}/rp_filter")) for name in ("all", *devices)]
        strict = next((name for name, value in values if value == "1"), "")
        if strict:
            message = f"net.ipv4.conf.{strict}.rp_filter is 1 on {server.hostname}: it drops what {one.label} sends it"
            yield Hit(real.node, message, 1)


@site_rule(
    "HOST205",
    WARNING,
    "a director that is its own real server",
    effect="The director that is backup has the address on lo too: what the master sends it, it balances again, "
    "perhaps back. Packets go round in a circle.",
    hint="keep directors and real servers apart; or balance on each director only what does not come from the other",
    bad=among(
        {"lb1": instance() + virtual(server="10.0.0.2 80"), "lb2": instance() + virtual(server="10.0.0.2 80")},
        {"lb1": host(1), "lb2": host(2)},
        "interfaces",
    ),
    good=among(
        {"lb1": instance() + virtual(server="10.0.0.21 80"), "lb2": instance() + virtual(server="10.0.0.21 80")},
        {"lb1": host(1), "lb2": host(2)},
        "interfaces",
    ),
    references=("keepalived issues 2450, 2213",),
)
def own_real_server(models: tuple[Model, ...], facts: Facts) -> Iterator[Hit]:
    for one, real, server, method in _servers(models, facts, directors=True):
        if method != "NAT":
            yield Hit(real.node, f"{real.host}, a real server of {one.label}, is the director {server.hostname}", 1)


@site_rule(
    "HOST206",
    ERROR,
    "a virtual address that another host has itself",
    effect="Two hosts answer for it, and clients meet the one whose answer comes last.",
    hint="choose a free address, or take it from that host",
    bad=among({"lb1": instance(address="10.0.0.21/24")}, {"lb1": host(1), "web1": real_server(21)}, "interfaces"),
    good=among({"lb1": instance()}, {"lb1": host(1), "web1": real_server(21)}, "interfaces"),
    references=("RFC 5227: address conflicts",),
)
def taken(models: tuple[Model, ...], facts: Facts) -> Iterator[Hit]:
    cluster = {id(found) for model in models if (found := facts_of(model, facts)) is not None}
    others: dict[str, tuple[HostFacts, str]] = {}
    for server in facts.values():
        for own, each in addresses(server):
            # The cluster's own nodes hold it in turn; on lo or alone in its network it is that of a real server.
            full = own.network.prefixlen == own.max_prefixlen
            if id(server) not in cluster and each.name != "lo" and not full:
                others.setdefault(str(own.ip), (server, each.name))
    for model in models:
        for one in model.instances:
            for address in one.all_addresses:
                holder = others.get(address.host)
                if holder is not None:
                    yield Hit(address.node, f"{holder[0].hostname} has {address.host} on {holder[1]}")


def _interfaces(member: Member, facts: Facts) -> tuple[HostFacts, list[str], int | None] | None:
    """A member's node, its own addresses on the instance's interface (with masks), and the MTU."""
    found = facts_of(member.model, facts)
    each = found.interface(member.instance.interface.value) if found is not None else None
    if found is None or each is None:
        return None
    family = member.instance.family
    own = [
        text
        for text in each.addresses
        if (known := address_of(text)) is not None
        and same_network(text, text)  # its mask is one
        and known.version == family
        and not known.is_link_local
        and str(known) not in member.held
    ]
    return found, own, each.mtu


@site_rule(
    "HOST207",
    ERROR,
    "peers whose interfaces are on different networks",
    effect="Multicast does not cross a router, and the address can only be used on one of the two networks: both "
    "nodes are master.",
    hint="name the interfaces that share a network; interfaces may be called differently on each node",
    bad=among(
        {**_TWO, "lb2": instance("interface eth1\npriority 100")}, {"lb1": host(1), "lb2": host(2)}, "interfaces"
    ),
    good=among(_TWO, {"lb1": host(1), "lb2": host(2)}, "interfaces"),
    references=("RFC 5798, 5.1.1.2",),
)
def different_networks(models: tuple[Model, ...], facts: Facts) -> Iterator[Hit]:
    for router in shared(models):
        known = [(member, found) for member in router.members if (found := _interfaces(member, facts)) is not None]
        for (one, (ours, mine, _)), (other, (theirs, yours, _)) in zip(known[1:], known, strict=False):
            if mine and yours and not any(same_network(a, b) for a in yours for b in mine):
                networks = [str(ip_interface(text[0]).network) for text in (mine, yours)]
                message = (
                    f"{one.instance.interface.value} of {ours.hostname} is in {networks[0]},"
                    f" {other.instance.interface.value} of {theirs.hostname} in {networks[1]}"
                )
                severity = WARNING if one.instance.peers else None
                place = one.instance.interface
                related = (other.instance.interface.node,)
                yield Hit(place.node, message, place.word, severity=severity, related=related)


@site_rule(
    "HOST208",
    WARNING,
    "peers whose interfaces have different MTUs",
    effect="Large packets, long adverts among them, get through one way only: connections hang after a failover.",
    hint="set the same MTU on all machines of a network",
    bad=among(
        _TWO,
        {
            "lb1": host(1),
            "lb2": host(2, interfaces=(card("eth0", "10.0.0.2/24", mtu=9000, mac="02:00:00:00:00:02"),)),
        },
        "interfaces",
    ),
    good=among(_TWO, {"lb1": host(1), "lb2": host(2)}, "interfaces"),
    references=("man ip-link: mtu",),
)
def different_mtus(models: tuple[Model, ...], facts: Facts) -> Iterator[Hit]:
    for router in shared(models):
        known = [(member, found) for member in router.members if (found := _interfaces(member, facts)) is not None]
        for (one, (ours, _, mine)), (other, (theirs, _, yours)) in zip(known[1:], known, strict=False):
            if mine and yours and mine != yours:
                place = one.instance.interface
                message = (
                    f"{place.value} has an MTU of {mine} on {ours.hostname}, {other.instance.interface.value} one of"
                    f" {yours} on {theirs.hostname}"
                )
                yield Hit(place.node, message, place.word, related=(other.instance.interface.node,))


@site_rule(
    "HOST209",
    WARNING,
    "peers with different releases of keepalived",
    effect="Releases differ in defaults, keywords and what they check in adverts: a file that works on one node may "
    "make two masters with the other.",
    hint="install the same release on all nodes; upgrade one after the other, soon",
    bad=among(_TWO, {"lb1": host(1), "lb2": host(2, keepalived=keepalived(version="1.3.5"))}, "keepalived"),
    good=among(_TWO, {"lb1": host(1), "lb2": host(2)}, "keepalived"),
    references=("keepalived issues 642, 1175, 1490",),
)
def different_releases(models: tuple[Model, ...], facts: Facts) -> Iterator[Hit]:
    known = [
        (model, found)
        for model in models
        if model.instances and (found := facts_of(model, facts)) is not None and found.keepalived is not None
    ]
    for model, found in known[1:]:
        first = known[0][1]
        versions = [one.keepalived.version for one in (found, first) if one.keepalived is not None]
        # The last of three numbers mends mistakes; the first two change what is understood.
        if versions[0].split(".")[:2] != versions[1].split(".")[:2]:
            message = f"{found.hostname} has keepalived {versions[0]}, {first.hostname} has {versions[1]}"
            yield Hit(model.instances[0].node, message, 1)


@site_rule(
    "HOST210",
    ERROR,
    "two nodes with one MAC",
    effect="Switches send what is for one node to the other: adverts get lost, connections hang. Copied virtual "
    "machines have this.",
    hint="give each machine a MAC of its own",
    bad=among(
        _TWO,
        {"lb1": host(1), "lb2": host(2, interfaces=(card("eth0", "10.0.0.2/24", mac="02:00:00:00:00:01"),))},
        "interfaces",
    ),
    good=among(_TWO, {"lb1": host(1), "lb2": host(2)}, "interfaces"),
    references=("IEEE 802: addresses of a network are unique",),
)
def one_mac(models: tuple[Model, ...], facts: Facts) -> Iterator[Hit]:
    for router in shared(models):
        seen: dict[str, HostFacts] = {}
        for member in router.members:
            found = facts_of(member.model, facts)
            each = found.interface(member.instance.interface.value) if found is not None else None
            if found is None or each is None or not each.mac:
                continue
            first = seen.setdefault(each.mac, found)
            if first is not found:
                place = member.instance.interface
                message = f"{each.name} of {found.hostname} has the MAC of {first.hostname}, {each.mac}"
                yield Hit(place.node, message, place.word)
