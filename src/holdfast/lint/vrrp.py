"""What goes wrong with a VRRP instance: its identity, its interface, its state, and when it preempts."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.sentences import Sentence

from .model import Model
from .model_values import address_of
from .model_vrrp import OWNER, Instance
from .rule import ERROR, INFO, WARNING, Hit, rule
from .samples import instance

_MAN = "man keepalived.conf: vrrp_instance"
_RFC = "RFC 5798, 6.1: parameters of a virtual router"


@rule(
    "VRRP101",
    WARNING,
    "nopreempt with state MASTER",
    effect="keepalived drops nopreempt: the instance takes its addresses back as soon as it returns.",
    hint="write `state BACKUP` on every node; the priority decides who comes first",
    bad=instance("nopreempt", state="MASTER"),
    good=instance("nopreempt", state="BACKUP"),
    references=(f"{_MAN}, nopreempt", _RFC),
)
def nopreempt_of_a_master(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        if one.nopreempt is not None and one.state.value == "MASTER":
            message = Sentence(
                "%(name)s says state MASTER, so keepalived drops nopreempt: it will preempt when it returns",
                name=one.name,
            )
            yield Hit(one.nopreempt, message, related=(one.state.node,))


@rule(
    "VRRP102",
    ERROR,
    "no virtual_router_id",
    effect="keepalived ends its VRRP process over it: nobody holds the addresses, of this or any other instance.",
    hint="add `virtual_router_id`, 1 to 255: the same on all peers, and no other cluster's on this network",
    bad=instance().replace("    virtual_router_id 51\n", ""),
    good=instance(),
    references=(f"{_MAN}, virtual_router_id",),
)
def no_vrid(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        if one.block.get("virtual_router_id") is None:
            yield Hit(
                one.node,
                Sentence("%(name)s has no virtual_router_id: keepalived cannot run it, nor the others", name=one.name),
            )


@rule(
    "VRRP103",
    ERROR,
    "no interface",
    effect="keepalived does not know where to send adverts and cannot run the instance.",
    hint="add `interface`, the one whose network the peers share",
    bad=instance().replace("    interface eth0\n", ""),
    good=instance(),
    references=(f"{_MAN}, interface",),
)
def no_interface(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        if not one.interface.value:
            message = Sentence(
                "%(name)s has no interface: keepalived cannot run it (default_interface is not for instances)",
                name=one.name,
            )
            yield Hit(one.node, message)


@rule(
    "VRRP104",
    WARNING,
    "no virtual address",
    effect="The instance elects a master that holds nothing; VRRPv3, IPv6 and strict mode refuse to run it.",
    hint="list what it is to hold in `virtual_ipaddress`",
    bad=instance("virtual_ipaddress_excluded {\n    10.0.0.100/24\n}").replace(
        "    virtual_ipaddress {\n        10.0.0.100/24\n    }\n", ""
    ),
    good=instance(),
    references=(f"{_MAN}, virtual_ipaddress",),
)
def nothing_to_hold(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        if any(address.family for address in one.addresses):
            continue
        needed = one.version.value == 3 or one.strict is not None
        if needed:
            message = Sentence(
                "%(name)s has no address in virtual_ipaddress: keepalived refuses to run it", name=one.name
            )
            yield Hit(one.node, message, severity=ERROR)
        elif not one.node.has("no_virtual_ipaddress"):
            yield Hit(
                one.node,
                Sentence("%(name)s has no address in virtual_ipaddress: its adverts claim nothing", name=one.name),
                severity=INFO if any(True for _ in one.notifies) else None,  # a cloud's address is moved by a script
            )


@rule(
    "VRRP105",
    WARNING,
    "state MASTER without a priority",
    effect="keepalived takes it for the owner of the addresses, priority 255: no peer can be preferred, and weights "
    "do not count.",
    hint="write a `priority` from 1 to 254",
    bad=instance(state="MASTER").replace("    priority 100\n", ""),
    good=instance(state="MASTER"),
    references=(f"{_MAN}, priority", "RFC 5798, 5.2.4"),
)
def master_without_priority(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        if one.state.value == "MASTER" and one.block.get("priority") is None:
            message = Sentence(
                "%(name)s is MASTER without a priority: keepalived gives it %(owner)s, that of an address owner",
                name=one.name,
                owner=OWNER,
            )
            yield Hit(one.state.node, message)


@rule(
    "VRRP106",
    WARNING,
    "priority 255 is that of an owner",
    effect="Priority 255 says that the addresses are the host's own: it starts as master, always preempts, and weights "
    "of trackers are ignored.",
    hint="use 254 or less, unless the addresses are configured on this host's interface themselves",
    bad=instance("priority 255\nnopreempt"),
    good=instance("priority 254\nnopreempt"),
    references=(f"{_MAN}, priority", "RFC 5798, 6.1: 255 is reserved for the address owner"),
)
def owner(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        if not one.priority.given or one.priority.value != OWNER:
            continue
        if one.nopreempt is not None:
            message = Sentence(
                "%(name)s has priority 255, the address owner's: keepalived drops nopreempt", name=one.name
            )
            yield Hit(one.nopreempt, message, related=(one.priority.node,))
        elif one.state.given and one.state.value == "BACKUP":
            message = Sentence(
                "%(name)s has priority 255, the address owner's: it will be master at once, whatever its state",
                name=one.name,
            )
            yield Hit(one.priority.node, message, 1, related=(one.state.node,))


@rule(
    "VRRP107",
    WARNING,
    "preempt_delay that does not count",
    effect="keepalived resets preempt_delay: it needs an instance that starts as BACKUP and preempts.",
    hint="remove preempt_delay, or write `state BACKUP` without nopreempt",
    bad=instance("nopreempt\npreempt_delay 10"),
    good=instance("preempt_delay 10"),
    references=(f"{_MAN}, preempt_delay",),
)
def delay_without_preemption(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        delay = one.block.get("preempt_delay")
        if delay is None or not one.block.decimal("preempt_delay", 0).value:
            continue
        if one.state.value == "MASTER":
            why = "state MASTER"
        elif one.nopreempt is not None:
            why = "nopreempt"
        elif one.strict is not None:
            why = Sentence("strict mode")
        else:
            continue
        yield Hit(
            delay,
            Sentence(
                "keepalived resets preempt_delay of %(name)s: it does not go with %(why)s", name=one.name, why=why
            ),
        )


@rule(
    "VRRP108",
    ERROR,
    "one virtual_router_id twice on an interface",
    effect="keepalived refuses to run: both instances would send adverts as the same virtual router.",
    hint="give each instance on an interface its own virtual_router_id",
    bad=instance() + instance(name="mail", address="10.0.0.101/24"),
    good=instance() + instance(name="mail", vrid=52, address="10.0.0.101/24"),
    references=(f"{_MAN}, virtual_router_id", "RFC 5798, 5.2.3"),
)
def vrid_twice(model: Model) -> Iterator[Hit]:
    seen: dict[tuple[str, int, int], Instance] = {}
    for one in model.instances:
        if not one.vrid.given or not one.interface.value:
            continue
        first = seen.setdefault((one.interface.value, one.vrid.value, one.family), one)
        if first is not one:
            message = Sentence(
                "%(name)s and %(first)s both use virtual_router_id %(value)s for IPv%(family)s on %(interface)s: "
                "keepalived refuses to run",
                name=one.name,
                first=first.name,
                value=one.vrid.value,
                family=one.family,
                interface=one.interface.value,
            )
            yield Hit(one.vrid.node, message, 1, related=(first.vrid.node,))


@rule(
    "VRRP109",
    WARNING,
    "an interval that its VRRP version cannot say",
    effect="keepalived rounds it: version 2 counts whole seconds, version 3 hundredths up to 40.95 s. A peer that "
    "rounds another way rejects the adverts, and both become master.",
    hint="use whole seconds, or `version 3` on all peers",
    bad=instance("advert_int 0.5"),
    good=instance("version 3\nadvert_int 0.5"),
    references=("RFC 3768, 5.3.7; RFC 5798, 5.2.7", "keepalived issue 1615"),
)
def interval(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        seconds = one.advert_int
        if not seconds.given:
            continue
        if one.version.value == 2 and seconds.value % 1:
            rounded = max(1, int(seconds.value + 0.5))
            message = Sentence(
                "VRRP version 2 counts whole seconds: %(name)s will send adverts every %(rounded)s s",
                name=one.name,
                rounded=rounded,
            )
            yield Hit(seconds.node, message, 1)
        elif one.version.value == 3 and seconds.value > 40.95:
            message = Sentence(
                "VRRP version 3 counts to 40.95 s: %(name)s will send adverts every 40.95 s", name=one.name
            )
            yield Hit(seconds.node, message, 1)
        elif one.version.value == 3 and abs(seconds.value * 100 - round(seconds.value * 100)) > 1e-6:
            message = Sentence(
                "VRRP version 3 counts hundredths of a second: keepalived rounds %(value)s s",
                value=f"{seconds.value:g}",
            )
            yield Hit(seconds.node, message, 1, hint=Sentence("write a multiple of 0.01"))


@rule(
    "VRRP114",
    WARNING,
    "no_accept",
    effect="The master drops what is sent to the virtual addresses themselves: services on them cannot be reached, "
    "only packets that it routes pass.",
    hint="remove no_accept, or write `accept`; on a mere router, whose addresses are gateways and serve nothing, "
    "suppress this with a reason",
    bad=instance("version 3\nno_accept"),
    good=instance("version 3\naccept"),
    references=("RFC 5798, 6.1: Accept_Mode", f"{_MAN}, accept, no_accept"),
)
def not_accepting(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        said = next((child for child in reversed(one.node.children) if child.name in ("accept", "no_accept")), None)
        if said is None or said.name != "no_accept" or one.strict is not None or one.priority.value == OWNER:
            continue
        yield Hit(
            said,
            Sentence("%(name)s drops packets to its own addresses: nobody reaches a service on them", name=one.name),
        )


@rule(
    "VRRP110",
    INFO,
    "the instance does not watch its own interface",
    effect="With dont_track_primary the node stays master when its interface loses its link: clients lose the address "
    "until the link is back, and a backup that hears no adverts becomes a second master.",
    hint="remove dont_track_primary; on a direct cable between two nodes, where it is meant for, keep it",
    bad=instance("dont_track_primary"),
    good=instance(),
    references=(f"{_MAN}, dont_track_primary",),
)
def untracked(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        found = one.block.get("dont_track_primary")
        if found is not None:
            message = Sentence(
                "%(name)s stays master when %(interface)s loses its link",
                name=one.name,
                interface=one.interface.value or Sentence("its interface"),
            )
            yield Hit(found, message)


@rule(
    "VRRP111",
    WARNING,
    "a virtual MAC that is not used",
    effect="keepalived ignores what makes sense only with use_vmac, or only without.",
    hint="add use_vmac, or remove the keyword",
    bad=instance("vmac_xmit_base"),
    good=instance("use_vmac\nvmac_xmit_base"),
    references=(f"{_MAN}, use_vmac",),
)
def half_a_vmac(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        for name in ("vmac_xmit_base", "use_vmac_addr"):
            found = one.block.get(name)
            if found is not None and one.block.get("use_vmac") is None:
                yield Hit(
                    found,
                    Sentence("%(name)s of %(instance)s does nothing: it has no use_vmac", name=name, instance=one.name),
                )
        secondaries = one.block.get("promote_secondaries")
        if secondaries is not None and one.uses_vmac is not None:
            message = Sentence(
                "promote_secondaries of %(name)s does nothing: interfaces with a virtual MAC have it anyway",
                name=one.name,
            )
            yield Hit(secondaries, message, hint=Sentence("remove promote_secondaries"))


@rule(
    "VRRP112",
    ERROR,
    "one name for two virtual interfaces, or two names for one",
    effect="keepalived ignores the second one, and makes one up where it has none: what firewalls and sysctls say of "
    "that name is lost.",
    hint="give each use_vmac one name of its own, or none",
    bad=instance("use_vmac vrrp51") + instance("use_vmac vrrp51", name="mail", vrid=52, address="10.0.0.101/24"),
    good=instance("use_vmac vrrp51") + instance("use_vmac vrrp52", name="mail", vrid=52, address="10.0.0.101/24"),
    references=(f"{_MAN}, use_vmac",),
)
def vmac_name_twice(model: Model) -> Iterator[Hit]:
    seen: dict[str, Instance] = {}
    for one in model.instances:
        found = one.uses_vmac
        if found is None:
            continue
        words = list(found.args)
        skipped = {"netlink_notify_msg", "bridge", "private", "vepa", "name", "group"}
        groups = {index + 1 for index, word in enumerate(words) if word == "group"}
        names = [
            (index, word)
            for index, word in enumerate(words)
            if word not in skipped and index not in groups and ":" not in word
            if found.name == "use_vmac" or address_of(word) is None
        ]
        for index, name in names[1:2]:
            message = Sentence(
                "%(name)s has the virtual interface %(names)s already: keepalived ignores %(keyword)s",
                name=one.name,
                names=names[0][1],
                keyword=name,
            )
            yield Hit(found, message, index + 1)
        for index, name in names[:1]:
            first = seen.setdefault(name, one)
            if first is not one:
                message = Sentence(
                    "%(name)s uses the interface %(keyword)s already: keepalived ignores the name in %(instance)s",
                    name=first.name,
                    keyword=name,
                    instance=one.name,
                )
                yield Hit(found, message, index + 1, related=(first.node,))


@rule(
    "VRRP113",
    WARNING,
    "state MASTER with a low priority",
    effect="All instances of a host that start as MASTER claim their addresses before they have heard a peer: after "
    "each restart they take the addresses from a healthy peer and give them back at once if its priority is higher.",
    hint="write `state BACKUP` on every node; the priority decides who comes first, after one round of adverts",
    bad=instance("priority 90", state="MASTER"),
    good=instance("priority 90", state="BACKUP"),
    references=(f"{_MAN}, state", "RFC 5798, 6.4.1: only an owner starts as master"),
    alone=True,
)
def master_of_low_priority(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        if one.state.value == "MASTER" and one.priority.given and one.priority.value < 100:
            message = Sentence(
                "%(name)s starts as MASTER with priority %(value)s, below the usual 100: it may take the addresses "
                "from a better peer at each start",
                name=one.name,
                value=one.priority.value,
            )
            yield Hit(one.state.node, message, 1, related=(one.priority.node,))


@rule(
    "VRRP115",
    WARNING,
    "a vrf beside an interface",
    effect="keepalived ignores vrf: the interface says already to which routing domain the adverts belong.",
    hint="remove vrf; it is for unicast instances that have no interface",
    bad=instance("vrf blue"),
    good=instance(),
    references=(f"{_MAN}, vrf", "measured with keepalived 2.2.7: 'Cannot specify VRF interface and interface'"),
)
def vrf_and_interface(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        for found in one.node.all("vrf"):
            if one.interface.given:
                yield Hit(
                    found,
                    Sentence(
                        "%(name)s has an interface: keepalived ignores its vrf %(found)s",
                        name=one.name,
                        found=found.arg(),
                    ),
                )
