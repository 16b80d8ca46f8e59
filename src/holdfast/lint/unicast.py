"""What goes wrong with who hears the adverts: unicast peers, source addresses, multicast groups."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from holdfast.keepalived.tree import Node
from holdfast.keepalived.values import is_ip
from holdfast.sentences import Sentence

from .model import Model
from .model_values import address_of, host_of
from .model_vrrp import Instance
from .rule import ERROR, INFO, WARNING, Hit, rule
from .samples import instance

_MAN = "man keepalived.conf: unicast_peer"
_LOCAL = IPv4Network("224.0.0.0/24")
_SILENT_BEFORE = ("unicast_src_ip", "check_unicast_src", "old_unicast_checksum")
PEERS = "unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n}"


@rule(
    "UNICAST101",
    WARNING,
    "a unicast setting without peers",
    effect="keepalived goes on with multicast, where unicast was wanted because multicast does not get through: each "
    "node hears nobody and becomes master.",
    hint="add `unicast_peer { … }` with the addresses of the other nodes, or remove the unicast settings",
    bad=instance("unicast_src_ip 10.0.0.1"),
    good=instance(PEERS),
    references=(_MAN,),
)
def no_peers(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        if one.peers:
            continue
        empty = one.node.all("unicast_peer")
        found = next((child for name in _SILENT_BEFORE if (child := one.block.get(name))), None)
        if found is not None or (empty and one.block.get("unicast_fault_no_peer") is None):
            places = [*empty[:1], *([found] if found is not None else [])]
            message = Sentence("%(name)s has no unicast peers: its adverts go out as multicast", name=one.name)
            yield Hit(places[0], message, related=tuple(places[1:]))


@rule(
    "UNICAST102",
    WARNING,
    "unicast_ttl without peers",
    effect="keepalived resets the TTL: multicast adverts always have 255.",
    hint="add `unicast_peer { … }`, or remove unicast_ttl",
    bad=instance("unicast_ttl 64"),
    good=instance(f"unicast_ttl 64\n{PEERS}"),
    references=(_MAN,),
)
def ttl_without_peers(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        found = one.block.get("unicast_ttl")
        if found is not None and not one.peers:
            message = Sentence(
                "unicast_ttl of %(name)s (line %(line)s) does nothing: it has no unicast peers",
                name=one.name,
                line=found.line,
            )
            yield Hit(one.node, message, at_end=True, related=(found,))


@rule(
    "UNICAST103",
    ERROR,
    "an instance that is its own peer",
    effect="The node sends adverts to itself and, if that was the other node's line, none to its peer: both become "
    "master.",
    hint="list the other nodes in unicast_peer, never the node itself",
    bad=instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.1\n}"),
    good=instance(PEERS),
    references=(_MAN, "keepalived issues 2458, 2651"),
)
def own_peer(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        for peer in one.peers:
            if one.source.value and host_of(peer.name) == one.source.value:
                message = Sentence(
                    "%(name)s is %(instance)s's own address: it would send its adverts to itself",
                    name=peer.name,
                    instance=one.name,
                )
                yield Hit(peer, message, related=(one.source.node,))


@rule(
    "UNICAST104",
    ERROR,
    "a virtual address as peer",
    effect="Adverts go to whoever holds the address just now: the master talks to itself, its peers hear nothing and "
    "become master too.",
    hint="use the nodes' own addresses, which never move",
    bad=instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.100\n}"),
    good=instance(PEERS),
    references=(_MAN,),
)
def virtual_peer(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        for peer in one.peers:
            held = model.held.get(host_of(peer.name))
            if held is not None:
                yield Hit(
                    peer,
                    Sentence("%(name)s is a virtual address: the master of it would hear itself", name=peer.name),
                    related=(held.node,),
                )


@rule(
    "UNICAST105",
    ERROR,
    "peers of the other address family",
    effect="What stands first, a peer, a source or a virtual address, says of which family the instance is: keepalived "
    "skips all others of them that are of another one.",
    hint="use peers of the same family as virtual_ipaddress; the other family goes into virtual_ipaddress_excluded",
    bad=instance("unicast_peer {\n    fd00::2\n}"),
    good=instance(PEERS),
    references=(_MAN,),
)
def peer_of_other_family(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        listed = list(_addresses(one))
        first = _native(one, listed)
        for node, word, block in listed:
            found = address_of(node.words[word])
            if found is None:
                continue
            first = first or (found.version, node, block)
            family, place, of = first
            if found.version == family or (of == block == "virtual_ipaddress"):
                continue  # what is wrong with the virtual addresses among themselves is told by ADDR101
            whose = Sentence("the %(block)s above", block=of)
            if of == "virtual_ipaddress":
                whose = Sentence("%(name)s's addresses", name=one.name)
            message = Sentence(
                "%(found)s is not of the family of %(whose)s (IPv%(family)s): keepalived skips it",
                found=found,
                whose=whose,
                family=family,
            )
            yield Hit(node, message, word, related=(place,))


def _native(one: Instance, listed: list[tuple[Node, int, str]]) -> tuple[int, Node, str] | None:
    """native_ipv6, where it stands above all addresses: it says of which family the instance is."""
    native = one.block.get("native_ipv6")
    if native is None or (listed and one.node.children.index(native) > _place(one, listed[0][0])):
        return None
    return 6, native, "native_ipv6"


def _place(one: Instance, line: Node) -> int:
    return next(at for at, child in enumerate(one.node.children) if child is line or line in child.children)


def _addresses(one: Instance) -> Iterator[tuple[Node, int, str]]:
    """In the order of the file: the first of them says of which family the instance is."""
    for child in one.node.children:
        if child.name in ("unicast_peer", "virtual_ipaddress"):
            yield from ((line, 0, child.name) for line in child.children)
        elif child.name in ("unicast_src_ip", "mcast_src_ip", "mcast_dst_ip") and len(child.words) > 1:
            yield child, 1, child.name
        elif child.name == "use_ipvlan":
            yield from ((child, at, child.name) for at, word in enumerate(child.words) if is_ip(word.partition("/")[0]))


@rule(
    "UNICAST106",
    WARNING,
    "a peer twice",
    effect="Every advert is sent to it twice.",
    hint="remove one of the two lines; was another node meant?",
    bad=instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n    10.0.0.2\n}"),
    good=instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n    10.0.0.3\n}"),
    references=(_MAN,),
)
def peer_twice(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        seen: dict[str, Node] = {}
        for peer in one.peers:
            first = seen.setdefault(host_of(peer.name), peer)
            if first is not peer:
                yield Hit(
                    peer,
                    Sentence(
                        "%(name)s is a peer of %(instance)s already, at line %(line)s",
                        name=peer.name,
                        instance=one.name,
                        line=first.line,
                    ),
                    related=(first,),
                )


@rule(
    "UNICAST107",
    INFO,
    "unicast peers without a source address",
    effect="The kernel chooses the source: the interface's first address. A peer that lists another one, or checks the "
    "source, drops the adverts.",
    hint="add `unicast_src_ip` with this node's own address, as its peers list it",
    bad=instance("unicast_peer {\n    10.0.0.2\n}"),
    good=instance(PEERS),
    references=("man keepalived.conf: unicast_src_ip",),
)
def no_source(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        if one.peers and not one.source.value and not one.node.has("unicast_src_ip"):
            message = Sentence(
                "%(name)s has peers but no unicast_src_ip: the kernel chooses which address they see", name=one.name
            )
            yield Hit(one.node.all("unicast_peer")[0], message)


@rule(
    "UNICAST108",
    WARNING,
    "a multicast group that is not of the link",
    effect="Groups outside 224.0.0.0/24 are pruned by switches that snoop IGMP, and routed ones leave the network: "
    "adverts get lost, and there are two masters.",
    hint="use 224.0.0.18, VRRP's own group, or another in 224.0.0.0/24, the same on all peers",
    bad="global_defs {\n    vrrp_mcast_group4 239.1.1.1\n}\n" + instance(),
    good="global_defs {\n    vrrp_mcast_group4 224.0.0.18\n}\n" + instance(),
    references=("RFC 5771, 4: local network control block", "RFC 5798, 5.1.1.2"),
)
def group_of_the_link(model: Model) -> Iterator[Hit]:
    places = [model.global_defs.get("vrrp_mcast_group4"), *(one.block.get("mcast_dst_ip") for one in model.instances)]
    for node in places:
        found = address_of(node.arg()) if node is not None else None
        if node is not None and found is not None and found.version == 4 and found not in _LOCAL and found.is_multicast:
            yield Hit(
                node,
                Sentence(
                    "%(found)s is outside 224.0.0.0/24: switches and routers do not treat it as VRRP's", found=found
                ),
                1,
            )


@rule(
    "UNICAST109",
    WARNING,
    "a multicast setting with unicast peers",
    effect="Adverts go to the peers alone: the multicast group or source is not used.",
    hint="remove mcast_dst_ip; write unicast_src_ip for mcast_src_ip",
    bad=instance(f"{PEERS}\nmcast_dst_ip 224.0.0.19"),
    good=instance(PEERS),
    references=(_MAN,),
)
def multicast_with_peers(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        found = one.block.get("mcast_dst_ip")
        if found is not None and one.peers:
            yield Hit(
                found,
                Sentence("%(name)s has unicast peers: mcast_dst_ip is not used", name=one.name),
                related=(one.peers[0],),
            )


@rule(
    "UNICAST110",
    INFO,
    "a tracked source address that is not given",
    effect="keepalived drops track_src_ip: there is no address to watch.",
    hint="add unicast_src_ip or mcast_src_ip, or remove track_src_ip",
    bad=instance("track_src_ip"),
    good=instance(f"track_src_ip\n{PEERS}"),
    references=("man keepalived.conf: track_src_ip",),
)
def tracked_source(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        found = one.block.get("track_src_ip")
        if found is not None and not one.source.value:
            yield Hit(found, Sentence("%(name)s names no source address: track_src_ip does nothing", name=one.name))


@rule(
    "UNICAST111",
    INFO,
    "a virtual MAC with unicast peers",
    effect="Adverts to single peers cannot come from the virtual MAC's interface: keepalived adds vmac_xmit_base, and "
    "drops use_vmac where it does not know the interface.",
    hint="add vmac_xmit_base to say so, and write interface before use_vmac",
    bad=instance(f"use_vmac\n{PEERS}"),
    good=instance(f"use_vmac\nvmac_xmit_base\n{PEERS}"),
    references=("man keepalived.conf: vmac_xmit_base",),
)
def vmac_with_peers(model: Model) -> Iterator[Hit]:
    unicast = ("unicast_peer", "unicast_src_ip", "unicast_ttl", "check_unicast_src", "unicast_fault_no_peer")
    for one in model.instances:
        if one.uses_vmac is None or not any(one.node.has(name) for name in unicast):
            continue
        if one.block.get("vmac_xmit_base") is None:
            message = Sentence(
                "%(name)s uses a virtual MAC with unicast: its adverts leave by %(value)s itself",
                name=one.name,
                value=one.interface.value,
            )
            yield Hit(one.node, message, at_end=True, related=(one.uses_vmac,))


@rule(
    "UNICAST112",
    ERROR,
    "a source address that no host has",
    effect="keepalived cannot send from it: the node's adverts reach nobody, and every node becomes master.",
    hint="write the node's own address on this network",
    bad=instance("mcast_src_ip 224.0.0.18"),
    good=instance("mcast_src_ip 10.0.0.1"),
    references=("RFC 1122, 3.2.1.3",),
)
def impossible_source(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        found = address_of(one.source.value)
        if found is not None and (found.is_multicast or found.is_unspecified or found.is_loopback):
            yield Hit(
                one.source.node,
                Sentence(
                    "%(found)s is no node's address on a network: %(name)s cannot send from it",
                    found=found,
                    name=one.name,
                ),
                1,
            )


@rule(
    "UNICAST114",
    INFO,
    "a mask behind an address of adverts",
    effect="keepalived drops the mask without a word, and uses the address: one that was meant as a network, or as a "
    "range of peers, is a single host.",
    hint="write the address alone, and one line for each peer",
    bad=instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2/24\n}"),
    good=instance(PEERS),
    references=("measured with keepalived 2.2.7: its dump shows the address without the mask",),
)
def mask_of_peer(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        words = [(peer, 0, peer.name) for peer in one.peers]
        words += [(node, 1, node.arg()) for node in one.node.all("unicast_src_ip", "mcast_src_ip")]
        for node, word, text in words:
            host, slash, _ = text.partition("/")
            if slash and address_of(host) is not None:
                message = Sentence(
                    "keepalived takes %(host)s alone of %(text)s: the mask is dropped", host=host, text=text
                )
                yield Hit(node, message, word)


@rule(
    "UNICAST113",
    ERROR,
    "a peer that is no host",
    effect="No peer has this address, so no peer gets the adverts: it becomes master too.",
    hint="write the peers' own addresses, one a line; for multicast, leave unicast_peer out",
    bad=instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    224.0.0.18\n}"),
    good=instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n}"),
    references=("RFC 1122, 3.2.1.3", "measured with keepalived 2.2.7: it takes the address, and says nothing"),
)
def impossible_peer(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        if not one.peers:
            continue
        networks = (address.network for address in one.all_addresses)
        ends = {n.broadcast_address for n in networks if n is not None and n.version == 4 and n.prefixlen < 31}
        for line in one.peers:
            found = address_of(line.name)
            if found is None:
                continue
            if found.is_multicast or found.is_unspecified or found.is_loopback or str(found) == "255.255.255.255":
                yield Hit(
                    line,
                    Sentence(
                        "%(found)s is the address of no single host: %(name)s reaches no peer by it",
                        found=found,
                        name=one.name,
                    ),
                )
            elif found in ends:
                yield Hit(
                    line,
                    Sentence(
                        "%(found)s is a broadcast address: %(name)s reaches no peer by it", found=found, name=one.name
                    ),
                )
