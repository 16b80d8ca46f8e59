"""What is lost when a peer takes over: addresses, routes, trackers, groups and scripts that it does not have."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.keepalived.tree import Node
from holdfast.sentences import Sentence

from .cluster_model import DEFAULT, Member, deviants, label, named, pair, shared
from .model import Model
from .model_vrrp import NOTIFIES, Address
from .rule import INFO, WARNING, Hit, cluster_rule
from .samples import SCRIPTS, instance, script

_TRACKED = "track_script {\n    check_web\n}"
_INNER = instance(name="inner", vrid=52, address="10.1.0.100/24").replace("eth0", "eth1")
_GROUP = "vrrp_sync_group both {\n    group {\n        web\n        inner\n    }\n}\n"


@cluster_rule(
    "PEER121",
    WARNING,
    "peers that hold different addresses",
    effect="After a failover the addresses that the peer does not have are gone.",
    hint="list the same addresses in virtual_ipaddress_excluded on all nodes; they may be added one node after the "
    "other",
    bad=pair(instance("virtual_ipaddress_excluded {\n    10.0.0.101/24\n}"), instance()),
    good=pair(
        instance("virtual_ipaddress_excluded {\n    10.0.0.101/24\n}"),
        instance("virtual_ipaddress_excluded {\n    10.0.0.101/24\n}"),
    ),
    references=("man keepalived.conf: virtual_ipaddress_excluded",),
)
def different_excluded(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        for member in router.members:
            for other in router.members:
                lost = member.held - other.held
                if other is member or not lost:
                    continue
                lines = [one for one in member.instance.excluded if one.host in lost]
                if lines:
                    message = Sentence(
                        "%(node)s does not hold %(named)s when it takes over",
                        node=other.node,
                        named=named([one.host for one in lines]),
                    )
                    yield Hit(lines[0].node, message, related=(other.instance.node,))


@cluster_rule(
    "PEER122",
    WARNING,
    "an address that peers set in different ways",
    effect="After a failover the address has another mask, interface or scope: routes and answers go another way than "
    "before.",
    hint="write the same mask, and the same options, on all nodes",
    bad=pair(instance(address="10.0.0.100/24"), instance(address="10.0.0.100/16")),
    good=pair(instance(address="10.0.0.100/24"), instance(address="10.0.0.100/24")),
    references=("man keepalived.conf: virtual_ipaddress",),
)
def set_otherwise(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        first: dict[str, tuple[Member, Address]] = {}
        for member in router.members:
            for address in member.instance.all_addresses:
                known, other = first.setdefault(address.host, (member, address))
                if known is not member and address.family and _way(address) != _way(other):
                    message = Sentence(
                        "%(host)s is set as %(said)s here, but as %(theirs)s on %(node)s",
                        host=address.host,
                        said=_said(address),
                        theirs=_said(other),
                        node=known.node,
                    )
                    yield Hit(address.node, message, related=(other.node,))


def _way(address: Address) -> tuple[str, bool, str]:
    """What matters about how an address is set; interfaces may be called differently on each node."""
    mask = address.node.name.partition("/")[2]
    full = "32" if address.family == 4 else "128"
    return mask or full, bool(address.option("dev")), address.option("scope")


def _said(address: Address) -> str:
    mask, elsewhere, scope = _way(address)
    words = [f"/{mask}", f"dev {address.device}" if elsewhere else "", f"scope {scope}" if scope else ""]
    return " ".join(word for word in words if word)


@cluster_rule(
    "PEER123",
    WARNING,
    "peers with different virtual routes or rules",
    effect="After a failover packets go another way, or none.",
    hint="write the same virtual_routes and virtual_rules on all nodes",
    bad=pair(instance("virtual_routes {\n    192.0.2.0/24 via 10.0.0.254 dev eth0\n}"), instance()),
    good=pair(
        instance("virtual_routes {\n    192.0.2.0/24 via 10.0.0.254 dev eth0\n}"),
        instance("virtual_routes {\n    192.0.2.0/24 via 10.0.0.254 dev eth0\n}"),
    ),
    references=("man keepalived.conf: virtual_routes",),
)
def different_routes(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        for one, other in deviants(router.members, lambda member: frozenset(_ways(member))):
            more = {key: node for key, node in _ways(one).items() if key not in _ways(other)}
            less = {key: node for key, node in _ways(other).items() if key not in _ways(one)}
            for key, node in list(more.items())[:1]:
                yield Hit(
                    node,
                    Sentence(
                        "%(node)s has no such %(kind)s: %(words)s", node=other.node, kind=key[0], words=" ".join(key[1])
                    ),
                )
            for key, node in list(less.items())[:1]:
                yield Hit(
                    one.instance.node,
                    Sentence(
                        "a %(kind)s of %(node)s is missing: %(words)s",
                        kind=key[0],
                        node=other.node,
                        words=" ".join(key[1]),
                    ),
                    related=(node,),
                )


def _ways(member: Member) -> dict[tuple[str, tuple[str, ...]], Node]:
    """Routes and rules without the names of interfaces, which may differ."""
    found: dict[tuple[str, tuple[str, ...]], Node] = {}
    for block, what in (("virtual_routes", Sentence("route")), ("virtual_rules", Sentence("rule"))):
        for line in member.instance.node.listed(block):
            words = line.words
            kept = tuple(
                word for at, word in enumerate(words) if at == 0 or words[at - 1] not in ("dev", "oif", "iif", "src")
            )
            found[what, kept] = line
    return found


@cluster_rule(
    "PEER124",
    WARNING,
    "a tracker that a peer does not have",
    effect="The peer does not notice that failure: it takes over, or stays master, with the service dead.",
    hint="track the same things on all nodes",
    bad=pair(SCRIPTS + script("weight 0") + instance(_TRACKED), instance()),
    good=pair(SCRIPTS + script("weight 0") + instance(_TRACKED), SCRIPTS + script("weight 0") + instance(_TRACKED)),
    references=("man keepalived.conf: track_script",),
)
def untracked_on_peer(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        for member in router.members:
            for other in router.members:
                if other is member:
                    continue
                missing = {key: node for key, node in _tracked(member).items() if key not in _tracked(other)}
                yield from _interfaces_untracked(member, other)
                # Names are each node's own business: where both track as much, they may mean the same.
                alike = len(_tracked(member)) == len(_tracked(other))
                for key, node in list(missing.items())[:1]:
                    message = Sentence(
                        "%(node)s does not track %(kind)s: %(name)s there misses its failure",
                        node=other.node,
                        kind=key[1],
                        name=member.instance.name,
                    )
                    yield Hit(node, message, severity=INFO if alike else None, related=(other.instance.node,))


def _interfaces_untracked(member: Member, other: Member) -> Iterator[Hit]:
    """Interfaces are told by their number alone: each node calls its own as it likes."""
    ours, theirs = _tracked_interfaces(member), _tracked_interfaces(other)
    if len(ours) > len(theirs):
        message = Sentence(
            "%(node)s tracks %(count)s interfaces for %(name)s, %(other)s %(theirs)s",
            node=member.node,
            count=len(ours),
            name=member.instance.name,
            other=other.node,
            theirs=len(theirs),
        )
        yield Hit(ours[-1], message, related=(other.instance.node,))


def _tracked_interfaces(member: Member) -> list[Node]:
    group = member.model.group_of(member.instance)
    trackers = (*member.instance.trackers, *(group.trackers if group else ()))
    return [one.node for one in trackers if one.kind == "track_interface"]


def _tracked(member: Member) -> dict[tuple[str, str], Node]:
    """What an instance and its group track, but for interfaces."""
    group = member.model.group_of(member.instance)
    found: dict[tuple[str, str], Node] = {}
    for tracker in (*member.instance.trackers, *(group.trackers if group else ())):
        if tracker.kind != "track_interface":
            found[tracker.kind, tracker.name] = tracker.node
    return found


@cluster_rule(
    "PEER125",
    INFO,
    "a script that peers run in different ways",
    effect="The same failure is noticed at another time, counts another weight, or is not seen at all, depending on "
    "the node.",
    hint="write the same program, interval, fall, rise, timeout and weight on all nodes",
    bad=pair(
        SCRIPTS + script("fall 2\nweight 0") + instance(_TRACKED),
        SCRIPTS + script("fall 5\nweight 0") + instance(_TRACKED),
    ),
    good=pair(
        SCRIPTS + script("fall 2\nweight 0") + instance(_TRACKED),
        SCRIPTS + script("fall 2\nweight 0") + instance(_TRACKED),
    ),
    references=("man keepalived.conf: vrrp_script",),
)
def scripts_otherwise(models: tuple[Model, ...]) -> Iterator[Hit]:
    first: dict[str, tuple[Model, Node]] = {}
    for model in models:
        for one in model.scripts:
            known, other = first.setdefault(one.name, (model, one.node))
            if known is model:
                continue
            for name in ("interval", "fall", "rise", "timeout", "weight"):
                ours, theirs = one.node.value(name), other.value(name)
                if ours != theirs:
                    message = Sentence(
                        "%(script)s has %(name)s %(ours)s here, %(theirs)s on %(label)s",
                        script=one.name,
                        name=name,
                        ours=ours or DEFAULT,
                        theirs=theirs or DEFAULT,
                        label=label(known),
                    )
                    yield Hit(one.node.get(name) or one.node, message, related=(other,))
            yield from _other_program(one.node, other, known)


def _other_program(ours: Node, theirs: Node, known: Model) -> Iterator[Hit]:
    """Another program under one name; arguments may be each node's own."""
    here, there = ours.get("script"), theirs.get("script")
    if here is None or there is None:
        return
    first, second = ("".join(one.command[:1]).split() for one in (here, there))
    if first[:1] != second[:1]:
        runs = [words[0] if words else Sentence("nothing") for words in (first, second)]
        message = Sentence(
            "%(name)s runs %(ours)s here, %(theirs)s on %(label)s",
            name=ours.arg(),
            ours=runs[0],
            theirs=runs[1],
            label=label(known),
        )
        yield Hit(here, message, 1, related=(there,))


@cluster_rule(
    "PEER126",
    WARNING,
    "peers with different sync groups",
    effect="Instances that move together on one node move alone on the other: after a failover one node may hold the "
    "outer address and another one the inner.",
    hint="write the same vrrp_sync_group on all nodes",
    bad=pair(_GROUP + instance() + _INNER, instance() + _INNER),
    good=pair(_GROUP + instance() + _INNER, _GROUP + instance() + _INNER),
    references=("man keepalived.conf: vrrp_sync_group",),
)
def different_sync_groups(models: tuple[Model, ...]) -> Iterator[Hit]:
    together = list(shared(models))
    names = {(id(member.model), member.instance.name): router.name for router in together for member in router.members}
    for router in together:

        def companions(member: Member) -> frozenset[str]:
            group = member.model.group_of(member.instance)
            known = [names.get((id(member.model), one.value)) for one in group.members] if group else []
            return frozenset(name for name in known if name)

        for one, other in deviants(router.members, companions):
            ours, theirs = (_moves(named(companions(member))) for member in (one, other))
            message = Sentence(
                "%(name)s moves %(ours)s on %(node)s, but %(theirs)s on %(other)s",
                name=one.instance.name,
                ours=ours,
                node=one.node,
                theirs=theirs,
                other=other.node,
            )
            groups = [member.model.group_of(member.instance) for member in (one, other)]
            place = groups[0].node if groups[0] is not None else one.instance.node
            yield Hit(place, message, related=(groups[1].node,) if groups[1] is not None else ())


def _moves(names: str) -> Sentence:
    return Sentence("with %(names)s", names=names) if names else Sentence("alone")


@cluster_rule(
    "PEER127",
    WARNING,
    "peers with different notify scripts",
    effect="What has to happen when the addresses arrive or leave happens on one node only.",
    hint="write the same notify keywords on all nodes",
    bad=pair(SCRIPTS + instance('notify_master "/etc/keepalived/up.sh"'), SCRIPTS + instance()),
    good=pair(
        SCRIPTS + instance('notify_master "/etc/keepalived/up.sh"'),
        SCRIPTS + instance('notify_master "/etc/keepalived/up.sh"'),
    ),
    references=("man keepalived.conf: notify_master",),
)
def different_notifies(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        for one, other in deviants(router.members, lambda member: frozenset(_notifies(member))):
            more, less = (_notifies(a).keys() - _notifies(b).keys() for a, b in ((one, other), (other, one)))
            for name in sorted(more)[:1]:
                yield Hit(
                    _notifies(one)[name],
                    Sentence(
                        "%(node)s has no %(name)s for %(instance)s",
                        node=other.node,
                        name=name,
                        instance=other.instance.name,
                    ),
                )
            for name in sorted(less)[:1]:
                message = Sentence(
                    "%(name)s has no %(keyword)s, as it has on %(node)s",
                    name=one.instance.name,
                    keyword=name,
                    node=other.node,
                )
                yield Hit(one.instance.node, message, related=(_notifies(other)[name],))
        for one, other in deviants(router.members, lambda member: tuple(sorted(_commands(member).items()))):
            ours, theirs = _commands(one), _commands(other)
            for name in sorted(ours.keys() & theirs.keys()):
                if ours[name] != theirs[name]:
                    message = Sentence(
                        "%(name)s of %(instance)s is another command than on %(node)s",
                        name=name,
                        instance=one.instance.name,
                        node=other.node,
                    )
                    yield Hit(_notifies(one)[name], message, severity=INFO, related=(_notifies(other)[name],))


def _notifies(member: Member) -> dict[str, Node]:
    """Keyword → statement, of the instance and its group."""
    group = member.model.group_of(member.instance)
    nodes = [*(group.node.all(*NOTIFIES) if group else ()), *member.instance.notifies]
    return {node.name: node for node in reversed(nodes)}


def _commands(member: Member) -> dict[str, tuple[str, ...]]:
    return {name: node.args for name, node in _notifies(member).items()}


@cluster_rule(
    "PEER129",
    WARNING,
    "a virtual MAC on some peers only",
    effect="With each failover the address changes its MAC: what the virtual MAC is meant to spare the network happens "
    "after all, and switches may take the moving MAC for a loop.",
    hint="write use_vmac on all nodes, or on none",
    bad=pair(instance("use_vmac"), instance()),
    good=pair(instance("use_vmac"), instance("use_vmac")),
    references=("man keepalived.conf: use_vmac", "RFC 5798, 7.3"),
)
def vmac_on_some(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        for one, other in deviants(router.members, lambda member: member.instance.uses_vmac is not None):
            has, lacks = (one, other) if one.instance.uses_vmac is not None else (other, one)
            if has.instance.uses_vmac is not None:
                message = Sentence(
                    "%(name)s has a virtual MAC on %(node)s, but not on %(other)s",
                    name=has.instance.name,
                    node=has.node,
                    other=lacks.node,
                )
                yield Hit(has.instance.uses_vmac, message, related=(lacks.instance.node,))
