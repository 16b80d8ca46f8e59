"""What several nodes' facts say together: real servers, their answers, gateways, addresses that somebody has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from holdfast.protocol import HostFacts
from holdfast.sentences import Sentence

from .cluster_model import hosts
from .facts_addresses import addresses
from .facts_samples import among, host, real_server
from .model import Model
from .model_lvs import RealServer, VirtualServer
from .model_values import address_of
from .rule import ERROR, WARNING, Hit, site_rule
from .samples import instance, virtual

_LVS = instance() + virtual(server="10.0.0.21 80")
_TUN = instance() + virtual("lb_kind TUN", server="10.0.0.21 80")
_NAT = instance("virtual_ipaddress_excluded {\n    10.0.0.253/24\n}") + virtual("lb_kind NAT", server="10.0.0.21 80")

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
            yield Hit(
                real.node,
                Sentence(
                    "%(hostname)s does not have %(wanted)s: it drops what %(label)s sends it",
                    hostname=server.hostname,
                    wanted=wanted,
                    label=one.label,
                ),
                1,
            )


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
                message = Sentence(
                    "%(key)s is %(value)s on %(hostname)s, for %(cards)s: it has to be %(least)s, so that nobody "
                    "takes it for the holder of %(host)s",
                    key=key,
                    value=max(known),
                    hostname=server.hostname,
                    cards=", ".join(("all", *cards)),
                    least=least,
                    host=one.host,
                )
                yield Hit(real.node, message, 1)


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
        said = ", ".join(sorted(gateways)) or Sentence("no default gateway")
        if gateways & own:
            message = Sentence(
                "%(hostname)s answers by way of %(said)s, which does not move with %(label)s",
                hostname=server.hostname,
                said=said,
                label=one.label,
            )
            yield Hit(real.node, message, 1, severity=WARNING)
        else:
            yield Hit(
                real.node,
                Sentence(
                    "%(hostname)s answers by way of %(said)s, which is no address of a director",
                    hostname=server.hostname,
                    said=said,
                ),
                1,
            )


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
            message = Sentence(
                "net.ipv4.conf.%(strict)s.rp_filter is 1 on %(hostname)s: it drops what %(label)s sends it",
                strict=strict,
                hostname=server.hostname,
                label=one.label,
            )
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
            yield Hit(
                real.node,
                Sentence(
                    "%(host)s, a real server of %(label)s, is the director %(hostname)s",
                    host=real.host,
                    label=one.label,
                    hostname=server.hostname,
                ),
                1,
            )


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
                    yield Hit(
                        address.node,
                        Sentence(
                            "%(hostname)s has %(host)s on %(holder)s",
                            hostname=holder[0].hostname,
                            host=address.host,
                            holder=holder[1],
                        ),
                    )
