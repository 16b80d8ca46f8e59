"""What peers must agree about in every advert, or neither accepts the other's and both become master."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.keepalived.tree import Node
from holdfast.sentences import Sentence

from .cluster_model import Member, deviants, foreign, named, pair, routers, shared
from .model import Model
from .model_values import address_of, host_of
from .rule import ERROR, WARNING, Hit, cluster_rule
from .samples import instance
from .versions import MOST_BYTES, auth

_CHECKED = "RFC 5798, 7.1: what a receiver verifies"
_MEASURED = "measured with keepalived 2.2.7: both nodes hold the address"


@cluster_rule(
    "PEER101",
    ERROR,
    "peers with different virtual_router_ids",
    effect="Each is a virtual router of its own: both become master, and both hold the addresses.",
    hint="give the instance one virtual_router_id on all nodes",
    bad=pair(instance(), instance(vrid=52)),
    good=pair(instance(), instance()),
    references=(_CHECKED, _MEASURED, "keepalived issue 2433"),
)
def different_ids(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        for one, other in deviants(router.members, lambda member: member.instance.vrid.value):
            message = Sentence(
                "%(name)s has virtual_router_id %(value)s, on %(node)s it is %(theirs)s: both hold %(addresses)s",
                name=one.instance.name,
                value=one.instance.vrid.value,
                node=other.node,
                theirs=other.instance.vrid.value,
                addresses=named(one.held & other.held) or Sentence("their addresses"),
            )
            yield Hit(one.instance.vrid.node, message, _word(one), related=(other.instance.vrid.node,))


def _word(member: Member) -> int:
    return 1 if member.instance.vrid.given else 0


@cluster_rule(
    "PEER102",
    ERROR,
    "peers that advertise different addresses",
    effect="keepalived drops adverts that do not list exactly its own addresses: both become master.",
    hint="list the same addresses in virtual_ipaddress on all nodes; what may differ for a while goes into "
    "`virtual_ipaddress_excluded`",
    bad=pair(instance(), instance("virtual_ipaddress {\n    10.0.0.100/24\n    10.0.0.101/24\n}")),
    good=pair(instance(), instance("virtual_ipaddress_excluded {\n    10.0.0.101/24\n}")),
    references=(_CHECKED, _MEASURED, "keepalived issues 1515, 1603"),
)
def different_addresses(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        for one, other in deviants(router.members, lambda member: member.advertised):
            more, less = one.advertised - other.advertised, other.advertised - one.advertised
            message = Sentence(
                "%(name)s advertises other addresses than on %(node)s: %(said)s",
                name=one.instance.name,
                node=other.node,
                said=_difference(named(more), named(less)),
            )
            yield Hit(_place(one, more), message, related=(_place(other, less),))


def _difference(more: str, less: str) -> Sentence:
    if more and less:
        return Sentence("it has %(more)s more, it lacks %(less)s", more=more, less=less)
    return Sentence("it has %(more)s more", more=more) if more else Sentence("it lacks %(less)s", less=less)


def _place(member: Member, these: frozenset[str]) -> Node:
    """The first line with one of these addresses, or the block that they are missing from."""
    for address in member.instance.addresses:
        if address.host in these:
            return address.node
    return next(iter(member.instance.node.all("virtual_ipaddress")), member.instance.node)


@cluster_rule(
    "PEER103",
    ERROR,
    "one virtual_router_id for two clusters",
    effect="On one network each takes the other's adverts for its own peer's: addresses flap, or nobody holds them.",
    hint="give one of the two another virtual_router_id, free on this network, on all of its nodes",
    bad=pair(instance(), instance(name="mail", address="10.0.0.200/24")),
    good=pair(
        instance() + instance(name="mail", vrid=52, address="10.0.0.200/24"),
        instance() + instance(name="mail", vrid=52, address="10.0.0.200/24"),
    ),
    references=("RFC 5798, 5.2.3", "keepalived issue 2444"),
)
def foreign_id(models: tuple[Model, ...]) -> Iterator[Hit]:
    found = routers(models)
    for router in found:
        first = router.members[0]
        for member in router.members[1:]:
            if foreign(member, first):
                yield _foreign(member, first)
    seen: dict[tuple[int, int, str], Member] = {}
    for router in found:
        for member in router.members:
            one = member.instance
            first = seen.setdefault((one.vrid.value, one.family, one.interface.value), member)
            apart = all(known.model is not first.model for known in router.members)
            if first.model is not member.model and apart and one.vrid.given:
                yield _foreign(member, first)


def _foreign(one: Member, other: Member) -> Hit:
    message = Sentence(
        "virtual_router_id %(value)s is that of %(name)s (%(named)s) on %(node)s: on one network it cannot be that of "
        "%(instance)s (%(others)s) too",
        value=one.instance.vrid.value,
        name=other.instance.name,
        named=named(other.held),
        node=other.node,
        instance=one.instance.name,
        others=named(one.held),
    )
    return Hit(one.instance.vrid.node, message, _word(one), related=(other.instance.vrid.node,))


@cluster_rule(
    "PEER104",
    ERROR,
    "peers with different passwords",
    effect="Each rejects the other's adverts: both become master.",
    hint="write the same auth_type and auth_pass on all nodes; only the first 8 characters count",
    bad=pair(instance(auth()), instance(auth(password="secret"))),
    good=pair(instance(auth()), instance(auth())),
    references=(_CHECKED, _MEASURED, "keepalived issue 2433"),
)
def different_passwords(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        members = [member for member in router.members if member.instance.version.value == 2]
        if len(members) < 2:
            continue
        for one, other in deviants(members, _secret):
            kinds = _secret(one)[0], _secret(other)[0]
            what = Sentence("the passwords differ")
            if kinds[0] != kinds[1]:
                what = Sentence("%(here)s here, %(there)s there", here=kinds[0], there=kinds[1])
            message = Sentence(
                "%(name)s authenticates otherwise than on %(node)s: %(what)s",
                name=one.instance.name,
                node=other.node,
                what=what,
            )
            word = "auth_type" if kinds[0] != kinds[1] and all(_secret(who)[1] for who in (one, other)) else "auth_pass"
            yield Hit(_authentication(one, word), message, related=(_authentication(other, word),))


def _secret(member: Member) -> tuple[str, bytes]:
    """What an advert carries: without both words keepalived sends none."""
    block = member.instance.authentication
    kind, password = (block.text("auth_type").value, block.text("auth_pass").value) if block else ("", "")
    if not kind or not password:
        return Sentence("no authentication"), b""
    return kind, password.encode("utf-8", "surrogateescape")[:MOST_BYTES]


def _authentication(member: Member, word: str) -> Node:
    block = member.instance.authentication
    if block is None:
        return member.instance.node
    return block.get(word) or block.get("auth_pass", "auth_type") or block.node


@cluster_rule(
    "PEER105",
    ERROR,
    "peers with different VRRP versions",
    effect="Each drops the other's adverts: both become master.",
    hint="write the same `version` (or global `vrrp_version`) on all nodes, and reload them together",
    bad=pair(instance(), instance("version 3")),
    good=pair(instance("version 3"), instance("version 3")),
    references=(_CHECKED, _MEASURED, "keepalived issues 642, 1175, 1490"),
)
def different_versions(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        for one, other in deviants(router.members, lambda member: member.instance.version.value):
            found = one.instance.version
            message = Sentence(
                "%(name)s speaks VRRP version %(value)s, on %(node)s %(theirs)s: each drops the other's adverts",
                name=one.instance.name,
                value=found.value,
                node=other.node,
                theirs=other.instance.version.value,
            )
            place = (found.node, 1) if found.given else (one.instance.node, 0)
            yield Hit(place[0], message, place[1], related=(other.instance.version.node,))


@cluster_rule(
    "PEER106",
    ERROR,
    "peers with different advert intervals",
    effect="With version 2 each drops the other's adverts, and both become master. With version 3 a backup takes over "
    "its master's interval: how fast a failover is depends on who failed.",
    hint="write the same advert_int on all nodes, and reload them together",
    bad=pair(instance("advert_int 1"), instance("advert_int 2")),
    good=pair(instance("advert_int 1"), instance("advert_int 1")),
    references=("RFC 3768, 7.1; RFC 5798, 6.4.2", _MEASURED),
)
def different_intervals(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        for one, other in deviants(router.members, _interval):
            two = one.instance.version.value == 2 and other.instance.version.value == 2
            found = one.instance.advert_int
            message = Sentence(
                "%(name)s sends adverts every %(ours)s s, on %(node)s every %(theirs)s s",
                name=one.instance.name,
                ours=f"{_interval(one):g}",
                node=other.node,
                theirs=f"{_interval(other):g}",
            )
            if two:
                message = Sentence("%(sends)s: each drops the other's", sends=message)
            place = (found.node, 1) if found.given else (one.instance.node, 0)
            severity = None if two else WARNING
            yield Hit(place[0], message, place[1], severity=severity, related=(other.instance.advert_int.node,))


def _interval(member: Member) -> float:
    """As it is sent: version 2 counts whole seconds."""
    seconds = member.instance.advert_int.value
    return float(max(1, int(seconds + 0.5))) if member.instance.version.value == 2 else round(seconds, 2)


@cluster_rule(
    "PEER107",
    ERROR,
    "unicast on one side, multicast on the other",
    effect="Adverts of one side never reach the other: both become master.",
    hint="use unicast_peer on all nodes, or on none",
    bad=pair(instance(), instance("unicast_src_ip 10.0.0.2\nunicast_peer {\n    10.0.0.1\n}")),
    good=pair(
        instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n}"),
        instance("unicast_src_ip 10.0.0.2\nunicast_peer {\n    10.0.0.1\n}"),
    ),
    references=("man keepalived.conf: unicast_peer", _MEASURED, "keepalived issue 2458"),
)
def half_unicast(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        for one, other in deviants(router.members, lambda member: member.multicast):
            ways = [Sentence("multicast") if each.multicast else Sentence("unicast") for each in (one, other)]
            message = Sentence(
                "%(name)s sends its adverts by %(ways)s, on %(node)s by %(theirs)s",
                name=one.instance.name,
                ways=ways[0],
                node=other.node,
                theirs=ways[1],
            )
            yield Hit(_peers(one), message, related=(_peers(other),))


def _peers(member: Member) -> Node:
    return next(iter(member.instance.node.all("unicast_peer")), member.instance.node)


@cluster_rule(
    "PEER108",
    ERROR,
    "a peer that is not listed",
    effect="The node never sends to it: the peer hears no master and becomes one itself. If the node ranks above the "
    "peer, it stays master too; if it ranks below, it gives way to the peer's adverts, if those arrive.",
    hint="list every other node's unicast_src_ip in unicast_peer, on all nodes",
    bad=pair(
        instance("priority 110\nunicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.3\n}"),
        instance("unicast_src_ip 10.0.0.2\nunicast_peer {\n    10.0.0.1\n}"),
    ),
    good=pair(
        instance("priority 110\nunicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n}"),
        instance("unicast_src_ip 10.0.0.2\nunicast_peer {\n    10.0.0.1\n}"),
    ),
    references=("man keepalived.conf: unicast_peer", "keepalived issues 2458, 2651", _MEASURED),
)
def missing_peer(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        for one in router.members:
            listed = {host_of(peer.name) for peer in one.instance.peers}
            for other in router.members:
                source = other.instance.source
                if other is one or not listed or not source.value or other.multicast or source.value in listed:
                    continue
                message = Sentence(
                    "%(name)s never sends to %(node)s: %(value)s is not among its peers",
                    name=one.instance.name,
                    node=other.node,
                    value=source.value,
                )
                # Measured: the lesser node hears the better one, which does list it, and gives way.
                heard = one.instance.source.value in {host_of(peer.name) for peer in other.instance.peers}
                severity = WARNING if heard and _rank(one) < _rank(other) else None
                yield Hit(_peers(one), message, severity=severity, related=(source.node,))


def _rank(member: Member) -> tuple[int, int]:
    """What decides between two masters: the priority, then the address."""
    source = address_of(member.instance.source.value)
    return member.instance.priority.value, int(source) if source is not None else 0


@cluster_rule(
    "PEER109",
    WARNING,
    "a peer that is none of the nodes",
    effect="Adverts go to a host that does not take part: a node that is gone, or a mistyped address.",
    hint="correct the address, or name that node's file too",
    bad=pair(
        instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n    10.0.0.9\n}"),
        instance("unicast_src_ip 10.0.0.2\nunicast_peer {\n    10.0.0.1\n}"),
    ),
    good=pair(
        instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n}"),
        instance("unicast_src_ip 10.0.0.2\nunicast_peer {\n    10.0.0.1\n}"),
    ),
    references=("man keepalived.conf: unicast_peer",),
)
def stray_peer(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        sources = {member.instance.source.value for member in router.members}
        if "" in sources:
            continue  # of one node it is not known which address the others have to list
        for one in router.members:
            for peer in one.instance.peers:
                if host_of(peer.name) not in sources:
                    yield Hit(
                        peer,
                        Sentence(
                            "%(name)s, a peer of %(instance)s, is none of %(named)s",
                            name=peer.name,
                            instance=one.instance.name,
                            named=named(_nodes(models)),
                        ),
                    )


def _nodes(models: tuple[Model, ...]) -> list[str]:
    return [model.node or model.file for model in models]


@cluster_rule(
    "PEER110",
    ERROR,
    "peers in different multicast groups",
    effect="Neither hears the other: both become master.",
    hint="write the same vrrp_mcast_group4 (vrrp_mcast_group6, mcast_dst_ip) on all nodes, or none",
    bad=pair(instance(), "global_defs {\n    vrrp_mcast_group4 224.0.0.19\n}\n" + instance()),
    good=pair(instance(), "global_defs {\n    vrrp_mcast_group4 224.0.0.18\n}\n" + instance()),
    references=("man keepalived.conf: vrrp_mcast_group4", "RFC 5798, 5.1.1.2"),
)
def different_groups(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        members = [member for member in router.members if member.multicast]
        if len(members) < 2:
            continue
        for one, other in deviants(members, lambda member: _group(member)[0]):
            message = Sentence(
                "%(name)s sends to %(group)s, on %(node)s to %(theirs)s",
                name=one.instance.name,
                group=_group(one)[0],
                node=other.node,
                theirs=_group(other)[0],
            )
            yield Hit(_group(one)[1], message, 1, related=(_group(other)[1],))


def _group(member: Member) -> tuple[str, Node]:
    six = member.instance.family == 6
    node = member.instance.block.get("mcast_dst_ip")
    node = node or member.model.global_defs.get("vrrp_mcast_group6" if six else "vrrp_mcast_group4")
    if node is not None and node.arg():
        return host_of(node.arg()), node
    return ("ff02::12" if six else "224.0.0.18"), member.instance.node
