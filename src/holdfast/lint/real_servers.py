"""What goes wrong with real servers: ports, duplicates, servers that are the director itself, servers unchecked."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network

from holdfast.sentences import Sentence

from .model import Model
from .model_lvs import RealServer, VirtualServer
from .model_values import address_of, host_of, whole
from .rule import ERROR, INFO, WARNING, Hit, rule
from .samples import instance, virtual
from .virtual_server_groups import hosts_of
from .virtual_servers import TWO

_MAN = "man keepalived.conf: real_server"
MOST_WEIGHT = MOST_PORT = 65_535


@rule(
    "REAL101",
    ERROR,
    "another port behind DR or TUN",
    effect="Only NAT changes ports: keepalived sends clients to the virtual server's port, where the real server does "
    "not listen.",
    hint="use the virtual server's port, or `lb_kind NAT`",
    bad=virtual(server="10.0.0.11 8080") + instance(),
    good=virtual("lb_kind NAT", server="10.0.0.11 8080") + instance(),
    references=("man ipvsadm: --gatewaying", "measured with keepalived 2.2.7: 'ports don't match - resetting'"),
)
def other_port(model: Model) -> Iterator[Hit]:
    for virtual_server in model.virtual_servers:
        if virtual_server.kind == "fwmark":
            continue
        if virtual_server.kind == "address" and not _counts(virtual_server):
            continue  # it is told itself
        ports = {virtual_server.port: virtual_server.node}
        if virtual_server.kind == "group":
            group = model.virtual_server_groups.get(virtual_server.node.arg(1))
            ports = {whole(line.arg()) or 0: line for line in (group.lines if group else ()) if any(hosts_of(line))}
        told: set[int] = set()
        for real in virtual_server.real_servers:
            method = virtual_server.method_of(real)
            others = [port for port in ports if port != real.port]
            if not real.port or not others or method.value == "NAT":
                continue
            message = Sentence(
                "%(value)s cannot change ports: clients of %(label)s come to port %(others)s of %(host)s, not to "
                "%(port)s",
                value=method.value,
                label=virtual_server.label,
                others=others[0],
                host=real.host,
                port=real.port,
            )
            if real.port not in ports:
                yield Hit(real.node, message, 2, related=(virtual_server.node, method.node))
            elif others[0] not in told:  # the server is right for the group's other entries
                told.add(others[0])
                yield Hit(ports[others[0]], message, 1, related=(real.node, method.node))


def _counts(virtual_server: VirtualServer) -> bool:
    return 0 <= virtual_server.port <= MOST_PORT and address_of(virtual_server.host) is not None


@rule(
    "REAL102",
    WARNING,
    "a real server twice",
    effect="keepalived removes the second one, with its weight and its checks.",
    hint="remove one of the two; was another server meant?",
    bad=virtual(TWO.replace("10.0.0.12", "10.0.0.11")) + instance(),
    good=virtual(TWO) + instance(),
    references=("measured with keepalived 2.2.7: 'is duplicated - removing second rs'",),
)
def twice(model: Model) -> Iterator[Hit]:
    for virtual_server in model.virtual_servers:
        seen: dict[tuple[str, int], RealServer] = {}
        for real in virtual_server.real_servers:
            first = seen.setdefault((real.host, real.port), real)
            if first is not real:
                message = Sentence(
                    "%(host)s:%(port)s is a real server of %(label)s already",
                    host=real.host,
                    port=real.port,
                    label=virtual_server.label,
                )
                yield Hit(real.node, message, 1, related=(first.node,))


@rule(
    "REAL103",
    WARNING,
    "a virtual address as real server",
    effect="The address is that of whichever director holds it, and of no other host: what is given to this real "
    "server stays on that director.",
    hint="use the real server's own address",
    bad=virtual(server="10.0.0.100 80") + instance(),
    good=virtual() + instance(),
    references=(_MAN,),
)
def virtual_address(model: Model) -> Iterator[Hit]:
    for virtual_server, real in model.real_servers():
        if real.host == virtual_server.host:
            if real.port != virtual_server.port and virtual_server.method_of(real).value == "NAT":
                continue  # a service of the director's own, perhaps: it is not known to be a mistake
            yield Hit(real.node, Sentence("%(host)s is the virtual server's own address", host=real.host), 1)
        elif real.host in model.held:
            held = model.held[real.host]
            message = Sentence(
                "%(host)s is a virtual address: its holder sends the connections to itself", host=real.host
            )
            yield Hit(real.node, message, 1, related=(held.node,))


@rule(
    "REAL104",
    WARNING,
    "a director that is its own real server",
    effect="After a failover the new director sends part of the connections to the old one, which balances them again: "
    "they may go round between the two.",
    hint="use servers that are no directors, or mark what comes from the other director and balance only the rest",
    bad=virtual(TWO.replace("0.0.11", "0.0.1")) + instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n}"),
    good=virtual(TWO) + instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n}"),
    references=("keepalived issues 2213, 2450",),
)
def own_director(model: Model) -> Iterator[Hit]:
    directors = {one.source.value: one.source.node for one in model.instances if one.source.value}
    for one in model.instances:
        directors.update({host_of(peer.name): peer for peer in one.peers})
    if not directors:
        return
    for virtual_server, real in model.real_servers():
        if real.host in directors and virtual_server.method_of(real).value != "NAT":
            message = Sentence(
                "%(host)s is a director itself: connections to %(label)s may go round",
                host=real.host,
                label=virtual_server.label,
            )
            yield Hit(real.node, message, 1, related=(directors[real.host],))


@rule(
    "REAL105",
    WARNING,
    "a real server that nobody checks",
    effect="It stays in the table when it dies: every so many connections get no answer.",
    hint="add a check: HTTP_GET, TCP_CHECK …",
    bad=virtual(real="weight 1") + instance(),
    good=virtual() + instance(),
    references=(_MAN,),
)
def unchecked(model: Model) -> Iterator[Hit]:
    for virtual_server, real in model.real_servers():
        if not real.checks:
            message = Sentence(
                "%(host)s:%(port)s of %(label)s has no check: it stays when it dies",
                host=real.host,
                port=real.port,
                label=virtual_server.label,
            )
            yield Hit(real.node, message)


@rule(
    "REAL106",
    WARNING,
    "thresholds that contradict each other",
    effect="A server that reached its upper threshold is only used again below the lower one: at or above the upper "
    "one "
    "it makes no sense, and the kernel counts another.",
    hint="write a lthreshold below the uthreshold, or leave it out (three quarters of the upper one)",
    bad=virtual(real="uthreshold 10\nlthreshold 20\nTCP_CHECK {\n}") + instance(),
    good=virtual(real="uthreshold 20\nlthreshold 10\nTCP_CHECK {\n}") + instance(),
    references=("man ipvsadm: --u-threshold, --l-threshold",),
)
def thresholds(model: Model) -> Iterator[Hit]:
    for _, real in model.real_servers():
        lower = real.get("lthreshold")
        if lower is None:
            continue
        low, high = real.number("lthreshold", 0), real.number("uthreshold", 0)
        if low.value and low.value >= high.value:
            if high.value:
                message = Sentence(
                    "lthreshold %(value)s of %(host)s is not below its uthreshold %(high)s",
                    value=low.value,
                    host=real.host,
                    high=high.value,
                )
            else:
                message = Sentence("lthreshold of %(host)s does nothing: it has no uthreshold", host=real.host)
            yield Hit(lower, message, 1)


@rule(
    "REAL107",
    WARNING,
    "a loopback address as real server",
    effect="DR and TUN cannot reach it, NAT does not translate what is local already: only a server of this very node "
    "may answer, and only while it is master.",
    hint="use the server's address on the network",
    bad=virtual("lb_kind NAT", server="127.0.0.1 80") + instance(),
    good=virtual("lb_kind NAT") + instance(),
    references=(_MAN,),
)
def loopback(model: Model) -> Iterator[Hit]:
    for virtual_server, real in model.real_servers():
        if real.host.startswith("127.") or real.host == "::1":
            yield Hit(
                real.node,
                Sentence(
                    "%(host)s of %(label)s is every node's own loopback", host=real.host, label=virtual_server.label
                ),
                1,
            )


@rule(
    "REAL108",
    INFO,
    "a real server that gets nothing",
    effect="Weight 0 takes no new connections: its checks run, its connections end, nothing new comes.",
    hint="give it a weight when it should serve again; is it meant to be drained for good?",
    bad=virtual(TWO.replace("    TCP_CHECK", "    weight 0\n    TCP_CHECK", 1)) + instance(),
    good=virtual(TWO) + instance(),
    references=("man ipvsadm: --weight",),
)
def drained(model: Model) -> Iterator[Hit]:
    for virtual_server in model.virtual_servers:
        if virtual_server.get("persistence_timeout") is not None:
            continue  # LVS112: it goes on getting some
        for real in virtual_server.drained:
            weight = virtual_server.weight_of(real)
            yield Hit(
                weight.node,
                Sentence("%(host)s:%(port)s has weight 0: it gets no new connections", host=real.host, port=real.port),
                weight.word,
            )


@rule(
    "REAL109",
    ERROR,
    "an address that no real server has",
    effect="Nothing answers there: the address is multicast, or no host's at all.",
    hint="use the real server's own address",
    bad=virtual(server="0.0.0.0 80") + instance(),
    good=virtual() + instance(),
    references=("RFC 1122, 3.2.1.3",),
)
def impossible(model: Model) -> Iterator[Hit]:
    for _, real in model.real_servers():
        if real.host.startswith(("0.", "22", "23", "255.", "ff", "::")):
            found = address_of(real.host)
            if found is not None and (found.is_unspecified or found.is_multicast or str(found) == "255.255.255.255"):
                yield Hit(real.node, Sentence("%(found)s is no host's address: nothing answers there", found=found), 1)
    ends = {str(one.broadcast_address): one for one in networks_of(model) if one.version == 4}
    for _, real in model.real_servers():
        if real.host in ends:
            yield Hit(
                real.node,
                Sentence(
                    "%(host)s is the broadcast address of %(ends)s: no server has it",
                    host=real.host,
                    ends=ends[real.host],
                ),
                1,
            )


@rule(
    "REAL110",
    ERROR,
    "a real server of another family than its group",
    effect="keepalived leaves the server out: only a tunnel carries one family over the other.",
    hint="use servers of the family of the group's addresses (or of ip_family), or `lb_kind TUN`",
    bad="virtual_server_group web {\n    10.0.0.100 80\n}\n"
    + virtual(address="group web", server="fd00::11 80")
    + instance(),
    good="virtual_server_group web {\n    10.0.0.100 80\n}\n" + virtual(address="group web") + instance(),
    references=("man ipvsadm: --ipip", "measured with keepalived 2.2.7: 'Address family … don't match'"),
)
def other_family(model: Model) -> Iterator[Hit]:
    for virtual_server in model.virtual_servers:
        family = _family(model, virtual_server)
        if not family:
            continue
        for real in virtual_server.real_servers:
            found = address_of(real.node.arg())
            if found is not None and found.version != family and virtual_server.method_of(real).value != "TUN":
                message = Sentence(
                    "%(found)s is not of the family of %(label)s (IPv%(family)s): it is left out",
                    found=found,
                    label=virtual_server.label,
                    family=family,
                )
                yield Hit(real.node, message, at_end=True, related=(virtual_server.node,))


def _family(model: Model, virtual_server: VirtualServer) -> int:
    """4 or 6, of a virtual server that has no address itself; 0 where nothing says it."""
    if virtual_server.kind == "address":
        return 0
    said = {"inet": 4, "inet6": 6}.get(virtual_server.text("ip_family").value, 0)
    if said:
        return said
    if virtual_server.kind == "fwmark":  # the first server that it names says what family it is
        named = [virtual_server.sorry_server, *(real.node for real in virtual_server.real_servers)]
        known = (address_of(host_of(node.arg())) for node in named if node is not None)
        return next((host.version for host in known if host is not None), 0)
    group = model.virtual_server_groups.get(virtual_server.node.arg(1))
    hosts = [address_of(line.name.partition("-")[0]) for line in (group.lines if group is not None else ())]
    families = {host.version for host in hosts if host is not None}
    return families.pop() if len(families) == 1 else 0


@rule(
    "REAL111",
    WARNING,
    "a weight that no other tool takes",
    effect="keepalived passes it on, but ipvsadm and the schedulers that multiply weights count to 65535.",
    hint="scale the weights down: only their ratio counts",
    bad=virtual(real="weight 70000\nTCP_CHECK {\n}") + instance(),
    good=virtual(real="weight 700\nTCP_CHECK {\n}") + instance(),
    references=("man ipvsadm: --weight (0 to 65535)",),
)
def heavy(model: Model) -> Iterator[Hit]:
    for _, real in model.real_servers():
        weight = real.weight
        if weight.given and weight.value > MOST_WEIGHT:
            yield Hit(
                weight.node, Sentence("the weight of %(host)s is beyond %(most)s", host=real.host, most=MOST_WEIGHT), 1
            )


@rule(
    "REAL112",
    WARNING,
    "a real server behind DR that is not on the segment",
    effect="DR changes the Ethernet address alone: what lies behind a router is not reached, and the packets go to the "
    "router, which sends them back.",
    hint="use a server of the director's own segment, `lb_kind TUN` or NAT; a director with another interface there "
    "may suppress this, with that as its reason",
    bad=virtual(server="172.16.5.11 80") + instance(),
    good=virtual() + instance(),
    references=("man ipvsadm: --gatewaying",),
)
def far_away(model: Model) -> Iterator[Hit]:
    near = networks_of(model)
    for virtual_server in model.virtual_servers:
        own = address_of(virtual_server.host)
        if own is None or not any(own in one for one in near if one.version == own.version):
            continue  # where the address is of no known network, nothing tells what the segment is
        for real in virtual_server.real_servers:
            found = address_of(real.host)
            if found is None or found.version != own.version or found.is_loopback or found.is_unspecified:
                continue
            if virtual_server.method_of(real).value == "DR" and not any(found in one for one in near):
                message = Sentence(
                    "%(found)s is on none of the networks that this file's addresses are of: DR does not reach it",
                    found=found,
                )
                yield Hit(real.node, message, 1)


def networks_of(model: Model) -> list[IPv4Network | IPv6Network]:
    """The networks that the masks of a node's addresses tell, each once."""
    addresses = [*(held for one in model.instances for held in one.all_addresses), *model.static_addresses]
    found = {address.network for address in addresses}
    return [one for one in found if one is not None and one.num_addresses > 2]
