"""What facts of peers say together: different networks, MTUs or releases, and one MAC."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_interface

from holdfast.protocol import HostFacts
from holdfast.sentences import Sentence

from .cluster_model import Member, shared
from .facts_addresses import same_network
from .facts_samples import among, card, host, keepalived
from .facts_site import Facts, facts_of
from .model import Model
from .model_values import address_of
from .rule import ERROR, WARNING, Hit, site_rule
from .samples import instance

_TWO = {"lb1": instance("priority 110"), "lb2": instance("priority 100")}


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
                message = Sentence(
                    "%(value)s of %(hostname)s is in %(networks)s, %(interface)s of %(other)s in %(theirs)s",
                    value=one.instance.interface.value,
                    hostname=ours.hostname,
                    networks=networks[0],
                    interface=other.instance.interface.value,
                    other=theirs.hostname,
                    theirs=networks[1],
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
                message = Sentence(
                    "%(value)s has an MTU of %(mine)s on %(hostname)s, %(interface)s one of %(yours)s on %(other)s",
                    value=place.value,
                    mine=mine,
                    hostname=ours.hostname,
                    interface=other.instance.interface.value,
                    yours=yours,
                    other=theirs.hostname,
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
            message = Sentence(
                "%(hostname)s has keepalived %(versions)s, %(other)s has %(theirs)s",
                hostname=found.hostname,
                versions=versions[0],
                other=first.hostname,
                theirs=versions[1],
            )
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
                message = Sentence(
                    "%(name)s of %(hostname)s has the MAC of %(other)s, %(mac)s",
                    name=each.name,
                    hostname=found.hostname,
                    other=first.hostname,
                    mac=each.mac,
                )
                yield Hit(place.node, message, place.word)
