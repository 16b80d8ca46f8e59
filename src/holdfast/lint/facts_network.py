"""What the node's own network says about a configuration: interfaces, addresses, firewall, platform."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.keepalived.tree import Node
from holdfast.protocol import FirewallFacts, HostFacts
from holdfast.sentences import Sentence

from .facts_addresses import held
from .facts_samples import card, host, on
from .model import Model
from .model_values import address_of
from .rule import ERROR, INFO, WARNING, Hit, host_rule
from .samples import instance
from .unicast import PEERS

_NAMES = frozenset({"dev", "oif", "iif"})
# Firmware of machines whose network hands no multicast on, or only on request.
CLOUDS = (
    "amazon ec2",
    "google",
    "microsoft corporation virtual machine",
    "digitalocean",
    "alibaba",
    "tencent",
    "huawei cloud",
    "hetzner",
    "oracle",
    "vultr",
    "linode",
    "akamai",
    "ovh",
    "scaleway",
    "openstack",
)
MACHINES = (*CLOUDS, "vmware", "virtualbox", "microsoft corporation", "xen", "parallels")
_MULTICAST = "RFC 5798, 5.1.1.2"


def _named_interfaces(model: Model) -> Iterator[tuple[Node, int, str]]:
    """Every word of the configuration that names an interface."""
    made = {word for one in model.instances if one.uses_vmac is not None for word in one.uses_vmac.args}
    for one in model.instances:
        yield from ((node, 1, node.arg()) for node in one.node.all("interface") if node.arg())
        for tracker in one.trackers:
            if tracker.kind == "track_interface" and tracker.name not in made:
                yield tracker.node, 0, tracker.name
    for group in model.sync_groups:
        for tracker in group.trackers:
            if tracker.kind == "track_interface" and tracker.name not in made:
                yield tracker.node, 0, tracker.name
    lines = [address.node for one in model.instances for address in one.all_addresses]
    lines += [line for one in model.instances for line in one.node.listed("virtual_routes", "virtual_rules")]
    lines += model.root.listed("static_ipaddress", "static_routes", "static_rules")
    for line in model.root.listed("linkbeat_interfaces", "interface_up_down_delays"):
        yield line, 0, line.name
    for delayed in model.root.all("garp_group"):
        for line in (*delayed.listed("interfaces"), *delayed.all("interface")):
            first = 1 if line.name == "interface" else 0
            yield from ((line, at, word) for at, word in enumerate(line.words) if at >= first)
    for line in lines:
        for at, word in enumerate(line.words[:-1]):
            if word in _NAMES and line.words[at + 1] not in made:
                yield line, at + 1, line.words[at + 1]
    daemon = model.global_defs.get("lvs_sync_daemon")
    if daemon is not None and daemon.arg():
        yield daemon, 1, daemon.arg()


@host_rule(
    "HOST101",
    ERROR,
    "an interface that the node does not have",
    effect="keepalived refuses to run, or with dynamic_interfaces keeps the instance in FAULT: the node never becomes "
    "master.",
    hint="write the name that `ip link` shows on this node; names may differ from node to node",
    bad=on(instance("interface ens3"), host(), "interfaces"),
    good=on(instance("interface eth0"), host(), "interfaces"),
    references=("man keepalived.conf: interface, dynamic_interfaces",),
    anywhere=True,
)
def missing_interface(model: Model, facts: HostFacts) -> Iterator[Hit]:
    if not facts.interfaces:
        return
    known = {one.name for one in facts.interfaces}
    dynamic = model.global_defs.get("dynamic_interfaces") is not None
    there = ", ".join(sorted(known - {"lo"})[:8]) or Sentence("none but lo")
    for node, word, name in _named_interfaces(model):
        if name not in known:
            message = Sentence(
                "%(hostname)s has no interface %(name)s; it has %(there)s",
                hostname=facts.hostname,
                name=name,
                there=there,
            )
            yield Hit(node, message, word, severity=WARNING if dynamic else None)
    for one in model.instances:
        if one.uses_vmac is None or not one.peers or one.block.get("vmac_xmit_base") is None:
            continue  # without vmac_xmit_base, UNICAST111 tells of the line
        if one.interface.given and one.interface.value not in known:
            message = Sentence("without %(name)s, keepalived drops the virtual MAC too", name=one.interface.value)
            yield Hit(one.node, message, at_end=True, severity=WARNING, related=(one.uses_vmac,))
    for delayed in model.root.all("garp_group"):
        for listing in delayed.all("interfaces"):  # keepalived complains where the list ends
            absent = [word for line in listing.children for word in line.words if word not in known]
            if absent:
                message = Sentence(
                    "%(hostname)s has no interface %(absent)s: no adverts are delayed there",
                    hostname=facts.hostname,
                    absent=", ".join(absent[:8]),
                )
                yield Hit(listing, message, at_end=True, severity=WARNING)


@host_rule(
    "HOST102",
    WARNING,
    "an interface that is down",
    effect="The instance starts in FAULT, and stays there until the interface is up and has a carrier.",
    hint="bring the interface up (`ip link set NAME up`), or look at its cable",
    bad=on(instance(), host(interfaces=(card("eth0", "10.0.0.1/24", up=False),)), "interfaces"),
    good=on(instance(), host(), "interfaces"),
    references=("man keepalived.conf: interface",),
)
def down(model: Model, facts: HostFacts) -> Iterator[Hit]:
    for one in model.instances:
        found = facts.interface(one.interface.value)
        if found is not None and one.block.get("dont_track_primary") is None:
            if found.up is False:
                yield Hit(
                    one.interface.node,
                    Sentence(
                        "%(name)s is down on %(hostname)s: %(instance)s stays in FAULT",
                        name=found.name,
                        hostname=facts.hostname,
                        instance=one.name,
                    ),
                    1,
                )
            elif found.carrier is False:
                message = Sentence(
                    "%(name)s has no carrier on %(hostname)s: %(instance)s stays in FAULT",
                    name=found.name,
                    hostname=facts.hostname,
                    instance=one.name,
                )
                yield Hit(one.interface.node, message, 1)


@host_rule(
    "HOST106",
    ERROR,
    "a firewall that drops adverts",
    effect="The node hears no peer and becomes master beside the one that is: two masters.",
    hint="accept IP protocol 112 before what drops: `ip protocol vrrp accept` (nftables), `-p vrrp -j ACCEPT` "
    "(iptables)",
    bad=on(
        instance(),
        host(firewall=FirewallFacts(program="nftables", accepts_ipv4=False, decided_by="chain inet f in")),
        "firewall",
    ),
    good=on(instance(), host(), "firewall"),
    references=("keepalived issues 950, 2145, 2370", "IANA protocol numbers: 112, VRRP"),
)
def dropped(model: Model, facts: HostFacts) -> Iterator[Hit]:
    if facts.firewall is None:
        return
    for one in model.instances:
        accepts = facts.firewall.accepts_ipv6 if one.family == 6 else facts.firewall.accepts_ipv4
        if accepts is False:
            message = Sentence(
                "%(hostname)s drops IP protocol 112: %(name)s hears no peer", hostname=facts.hostname, name=one.name
            )
            if facts.firewall.decided_by:
                message = Sentence(
                    "%(hostname)s drops IP protocol 112 (%(decided_by)s): %(name)s hears no peer",
                    hostname=facts.hostname,
                    decided_by=facts.firewall.decided_by,
                    name=one.name,
                )
            yield Hit(one.node, message, 1)


@host_rule(
    "HOST107",
    WARNING,
    "multicast where it does not get through",
    effect="Networks of clouds hand no multicast on: each node hears nobody and becomes master. Most also deliver an "
    "address only to the machine that their own interface assigned it to.",
    hint="use unicast_peer and unicast_src_ip, and let a notify script tell the cloud where the address is",
    bad=on(instance(), host(platform="Amazon EC2 m5.large"), "platform"),
    good=on(instance(PEERS), host(platform="Amazon EC2 m5.large"), "platform"),
    references=("keepalived issues 950, 2145, 2370", _MULTICAST),
)
def cloud(model: Model, facts: HostFacts) -> Iterator[Hit]:
    if facts.platform.lower().startswith(CLOUDS):
        for one in model.instances:
            if not one.peers:
                message = Sentence(
                    "%(hostname)s is a machine of %(platform)s: adverts of %(name)s by multicast get lost",
                    hostname=facts.hostname,
                    platform=facts.platform,
                    name=one.name,
                )
                yield Hit(one.node, message, 1)


@host_rule(
    "HOST108",
    WARNING,
    "an interface without multicast",
    effect="Adverts cannot be sent to the group: peers hear nothing and become master.",
    hint="use unicast_peer on all nodes, or another interface",
    bad=on(instance(), host(interfaces=(card("eth0", "10.0.0.1/24", multicast=False),)), "interfaces"),
    good=on(instance(), host(), "interfaces"),
    references=(_MULTICAST,),
)
def no_multicast(model: Model, facts: HostFacts) -> Iterator[Hit]:
    for one in model.instances:
        found = facts.interface(one.interface.value)
        if found is not None and found.multicast is False and not one.peers:
            message = Sentence(
                "%(name)s carries no multicast on %(hostname)s: %(instance)s reaches nobody",
                name=found.name,
                hostname=facts.hostname,
                instance=one.name,
            )
            yield Hit(one.interface.node, message, 1)


@host_rule(
    "HOST109",
    ERROR,
    "IPv6 addresses where IPv6 is switched off",
    effect="The kernel refuses the address: nobody holds it.",
    hint="set net.ipv6.conf.INTERFACE.disable_ipv6 = 0, or remove the address",
    bad=on(
        instance("virtual_ipaddress_excluded {\n    2001:db8::100/64\n}"),
        host(sysctls={"net/ipv6/conf/eth0/disable_ipv6": "1"}),
        "sysctls",
    ),
    good=on(instance("virtual_ipaddress_excluded {\n    2001:db8::100/64\n}"), host(), "sysctls"),
    references=("Linux: Documentation/networking/ip-sysctl.rst, disable_ipv6",),
)
def no_ipv6(model: Model, facts: HostFacts) -> Iterator[Hit]:
    for one, address in held(model):
        off = facts.sysctls.get(f"net/ipv6/conf/{address.device}/disable_ipv6") == "1"
        if address.family == 6 and off:
            message = Sentence(
                "IPv6 is switched off on %(device)s of %(hostname)s: %(name)s cannot hold %(host)s",
                device=address.device,
                hostname=facts.hostname,
                name=one.name,
                host=address.host,
            )
            yield Hit(address.node, message)


@host_rule(
    "HOST111",
    WARNING,
    "a virtual MAC that the kernel's reverse path check drops",
    effect="Adverts arrive on the interface, but the address is on the virtual one: with rp_filter = 1 the kernel "
    "drops them, and both nodes become master.",
    hint="set net.ipv4.conf.all.rp_filter and that of the interface to 0 or 2",
    bad=on(instance("use_vmac"), host(sysctls={"net/ipv4/conf/all/rp_filter": "1"}), "sysctls"),
    good=on(instance("use_vmac"), host(), "sysctls"),
    references=("keepalived issue 364", "Linux: Documentation/networking/ip-sysctl.rst, rp_filter"),
)
def reverse_path(model: Model, facts: HostFacts) -> Iterator[Hit]:
    for one in model.instances:
        if one.uses_vmac is None or one.family != 4:
            continue
        for name in ("all", one.interface.value):
            if facts.sysctls.get(f"net/ipv4/conf/{name}/rp_filter") == "1":
                yield Hit(
                    one.uses_vmac,
                    Sentence(
                        "net.ipv4.conf.%(name)s.rp_filter is 1 on %(hostname)s: %(instance)s is deaf",
                        name=name,
                        hostname=facts.hostname,
                        instance=one.name,
                    ),
                )
                break


@host_rule(
    "HOST112",
    WARNING,
    "a virtual MAC on a virtual machine",
    effect="Hypervisors and clouds drop frames with a MAC that is not the machine's own: nobody reaches the address.",
    hint="allow forged transmits and MAC changes for this port, or remove use_vmac",
    bad=on(instance("use_vmac"), host(platform="VMware, Inc. VMware7,1"), "platform"),
    good=on(instance("use_vmac"), host(), "platform"),
    references=("keepalived issue 2512",),
)
def filtered_mac(model: Model, facts: HostFacts) -> Iterator[Hit]:
    if facts.platform.lower().startswith(MACHINES):
        for one in model.instances:
            if one.uses_vmac is not None:
                message = Sentence(
                    "%(hostname)s is a machine of %(platform)s: frames of a virtual MAC may be dropped",
                    hostname=facts.hostname,
                    platform=facts.platform,
                )
                yield Hit(one.uses_vmac, message)


@host_rule(
    "HOST113",
    WARNING,
    "a virtual_router_id that others use on this network",
    effect="Two clusters take each other's adverts for their peers': addresses flap, or nobody holds them.",
    hint="choose a virtual_router_id that is free on this network, on all nodes at once",
    bad=on(
        instance(PEERS),
        host(
            adverts=(
                {"interface": "eth0", "source": "10.0.0.77", "vrid": 51, "family": 4, "version": 2, "priority": 100},
            )
        ),
        "adverts",
    ),
    good=on(
        instance(PEERS),
        host(
            adverts=(
                {"interface": "eth0", "source": "10.0.0.77", "vrid": 52, "family": 4, "version": 2, "priority": 100},
            )
        ),
        "adverts",
    ),
    references=("RFC 5798, 5.2.3", "keepalived issue 2444"),
)
def heard_of_others(model: Model, facts: HostFacts) -> Iterator[Hit]:
    for one in model.instances:
        peers = {str(found) for peer in one.peers if (found := address_of(peer.name)) is not None}
        for advert in facts.adverts or ():
            same = (advert.interface, advert.vrid, advert.family) == (one.interface.value, one.vrid.value, one.family)
            if not same or advert.source in peers:
                continue
            if peers:
                message = Sentence(
                    "%(source)s, which is no peer of %(name)s, uses virtual_router_id %(vrid)s too",
                    source=advert.source,
                    name=one.name,
                    vrid=advert.vrid,
                )
                yield Hit(one.vrid.node, message, 1)
            elif advert.version != one.version.value:
                message = Sentence(
                    "%(source)s uses virtual_router_id %(vrid)s with VRRP version %(version)s, %(name)s speaks "
                    "%(value)s",
                    source=advert.source,
                    vrid=advert.vrid,
                    version=advert.version,
                    name=one.name,
                    value=one.version.value,
                )
                yield Hit(one.vrid.node, message, 1)
            else:
                message = Sentence(
                    "%(source)s uses virtual_router_id %(vrid)s: is it a peer of %(name)s?",
                    source=advert.source,
                    vrid=advert.vrid,
                    name=one.name,
                )
                yield Hit(one.vrid.node, message, 1, severity=INFO)
