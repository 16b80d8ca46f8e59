"""From keepalived.conf, one file a node, to the model that `failover` reckons with.

What keepalived corrects by itself is corrected here too: weights that a sync group or an owner ignores, `nopreempt`
beside `state MASTER`, addresses of a second family. Files do not say which interface is on which network: interfaces
of two nodes on which the same virtual_router_id is spoken are taken to be on one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from holdfast.failover.model import OWNER, Cluster, Instance, Node, Place, SyncGroup, Tracker, Watch, Watched
from holdfast.keepalived.tree import Configuration
from holdfast.keepalived.tree import Node as Tree
from holdfast.keepalived.values import is_ip4

from .taken import advert_of, fraction, is_master, is_taken, priority_of, text_of, whole
from .trackers import Definitions, blocked_by, definitions, own_trackers, sync_trackers

_ON = frozenset({"", "on", "true", "yes"})
_LONGEST_SECRET = 8  # what follows is ignored (measured)


@dataclass(frozen=True)
class Host:
    """What a file does not say of its host: interface → its first own addresses, and the network it is on, if known."""

    addresses: Mapping[str, tuple[str, ...]]
    networks: Mapping[str, str]


NOBODY = Host({}, {})


def cluster_of(files: Mapping[str, Configuration], hosts: Mapping[str, Host] | None = None) -> Cluster:
    """The cluster whose nodes read these files; `hosts` adds what is known of them."""
    known = hosts or {}
    nodes = {name: _node(name, read, known.get(name, NOBODY)) for name, read in files.items()}
    nodes = _with_sources(_with_networks(nodes, known))
    return Cluster(nodes, groups=_names(nodes))


def _node(name: str, read: Configuration, host: Host) -> Node:
    defined = definitions(read.root)
    groups = _sync_groups(read.root)
    trees = {tree.arg(): tree for tree in read.root.all("vrrp_sync_group")}
    in_group = {member: group for group in reversed(groups) for member in group.members}
    settings = _Settings(read.root)
    instances: list[Instance] = []
    for tree in read.root.all("vrrp_instance"):
        made = _instance(tree, settings, host)
        group = in_group.get(made.name)
        block = trees[group.name] if group is not None else None
        weighs = block is not None and (block.has("sync_group_tracking_weight") or block.has("global_tracking"))
        own = own_trackers(tree, defined, made, weighted=(block is None or weighs) and not made.owner)
        blocked = blocked_by(own, block, defined)
        instances.append(replace(made, trackers=sync_trackers(own, block, defined), blocked=blocked))
    instances = _without_owners_weights(instances, groups)
    if ends := _ends_at_once(instances):
        instances = [replace(made, blocked=ends) for made in instances]
    named = {made.name for made in instances}
    watches = _used(defined, instances)
    return Node(
        name=name,
        links=dict.fromkeys(_interfaces(instances), ""),
        instances=tuple(instances),
        sync_groups=tuple(group for group in groups if named & set(group.members)),
        watches=watches,
        services=tuple(dict.fromkeys(watch.service for watch in watches if watch.service)),
        startup_delay_s=settings.decimal("vrrp_startup_delay", 0.0),
    )


def _ends_at_once(instances: Iterable[Instance]) -> str:
    """Why keepalived ends as soon as it has started, and so runs none of the node's instances (measured)."""
    taken: dict[tuple[int, int, str], str] = {}
    for made in instances:
        why = ""
        if not made.vrid:
            why = f"{made.name} has no virtual_router_id from 1 to 255"
        elif not made.interface:
            why = f"{made.name} has no interface"
        elif (made.vrid, made.family, made.interface) in taken:
            other = taken[(made.vrid, made.family, made.interface)]
            why = f"{other} and {made.name} have virtual_router_id {made.vrid} on {made.interface}"
        if why:
            return f"{why}: keepalived ends at its start"
        taken[(made.vrid, made.family, made.interface)] = made.name
    return ""


class _Settings:
    """global_defs: several blocks count as one, the last word wins."""

    def __init__(self, root: Tree) -> None:
        lines = (line for block in root.all("global_defs") for line in block.children)
        self._lines = {line.name: line for line in lines if is_taken(line)}

    def text(self, name: str) -> str:
        """The first word behind a keyword, or nothing."""
        line = self._lines.get(name)
        return line.arg() if line is not None else ""

    def decimal(self, name: str, default: float) -> float:
        """A number of seconds."""
        return fraction(self.text(name), default)

    def on(self, name: str) -> bool:
        """Whether a switch is on."""
        line = self._lines.get(name)
        return line is not None and line.arg() in _ON


def _instance(tree: Tree, settings: _Settings, host: Host) -> Instance:
    own, excluded = _addresses(tree, "virtual_ipaddress"), _addresses(tree, "virtual_ipaddress_excluded")
    peers = frozenset(_bare(line.name) for line in tree.listed("unicast_peer"))
    family = _family([*own, *sorted(peers)])
    advertised = frozenset(address for address in own if _family([address]) == family)
    strict = _switch(tree, "strict_mode", settings.on("vrrp_strict"))
    master = is_master(tree)
    priority = priority_of(tree, master=master)
    master = (priority == OWNER) if strict or not tree.has("state") else master
    preempt = master or priority == OWNER or not _last_is(tree, "nopreempt", "preempt")
    interface = tree.value("interface")  # default_interface is for addresses alone (measured)
    source = next((_bare(text) for name in ("unicast_src_ip", "mcast_src_ip") if (text := tree.value(name))), "")
    version = whole(text_of(tree, "version"), 0) or (3 if family == 6 else whole(settings.text("vrrp_version"), 2))
    return Instance(
        name=tree.arg(),
        vrid=whole(text_of(tree, "virtual_router_id"), 0),
        interface=interface,
        priority=priority,
        addresses=tuple(dict.fromkeys([*own, *excluded])),
        advertised=advertised,
        advert_s=advert_of(tree, version),
        version=version,
        family=family,
        preempt=preempt,
        preempt_delay_s=0.0 if master or strict or not preempt else fraction(text_of(tree, "preempt_delay"), 0.0),
        source=source or next((a for a in host.addresses.get(interface, ()) if _family([a]) == family), ""),
        peers=peers,
        secret=_secret(tree) if version == 2 and not strict else "",
        down_adverts=_down_adverts(tree, settings, strict),
        answers_lower=not (strict or _switch(tree, "lower_prio_no_advert", settings.on("vrrp_lower_prio_no_advert"))),
        answers_higher=not strict
        and _switch(tree, "higher_prio_send_advert", settings.on("vrrp_higher_prio_send_advert")),
        reads_foreign_addresses=_switch(tree, "skip_check_adv_addr", settings.on("vrrp_skip_check_adv_addr")),
    )


def _down_adverts(tree: Tree, settings: _Settings, strict: bool) -> int:
    given = text_of(tree, "down_timer_adverts") or settings.text("vrrp_down_timer_adverts")
    return 3 if strict else whole(given, 3)


def _switch(tree: Tree, name: str, default: bool) -> bool:
    found = tree.get(name)
    return default if found is None else found.arg() in _ON


def _last_is(tree: Tree, wanted: str, other: str) -> bool:
    last = next((child.name for child in reversed(tree.children) if child.name in (wanted, other)), "")
    return last == wanted


def _secret(tree: Tree) -> str:
    block = tree.get("authentication")
    password = block.value("auth_pass") if block is not None else ""
    return f"{block.value('auth_type')} {password[:_LONGEST_SECRET]}" if block is not None and password else ""


def _addresses(tree: Tree, block: str) -> list[str]:
    """The addresses of a list; keepalived skips a line that does not begin with one."""
    return [address for line in tree.listed(block) if (address := _address(line.name))]


def _bare(text: str) -> str:
    """An address without its mask, in the one way that an IPv6 address is written; the text if it is none."""
    return _address(text) or text.partition("/")[0]


def _address(text: str) -> str:
    host = text.partition("/")[0]
    if is_ip4(host):  # of millions most are
        return host
    try:
        return str(ip_address(host))
    except ValueError:
        return ""


def _family(addresses: Iterable[str]) -> int:
    first = next(iter(addresses), "")
    return 6 if ":" in first else 4


def _sync_groups(root: Tree) -> tuple[SyncGroup, ...]:
    found = []
    for tree in root.all("vrrp_sync_group"):
        block = tree.get("group")
        members = [word for line in (block.children if block is not None else ()) for word in line.words]
        found.append(SyncGroup(tree.arg(), tuple(dict.fromkeys(members))))
    return tuple(found)


def _without_owners_weights(instances: list[Instance], groups: tuple[SyncGroup, ...]) -> list[Instance]:
    """In a group with an address owner the group's weighted trackers lose their weight: their loss is a FAULT."""
    owners = {made.name for made in instances if made.owner}
    owned = {member for group in groups if not owners.isdisjoint(group.members) for member in group.members}
    return [
        replace(made, trackers=tuple(replace(t, weight=0) for t in made.trackers)) if made.name in owned else made
        for made in instances
    ]


def _interfaces(instances: Iterable[Instance]) -> list[str]:
    named = [made.interface for made in instances]
    named += [t.name for made in instances for t in made.trackers if t.kind is Watched.INTERFACE]
    return sorted({name for name in named if name})


def _used(defined: Definitions, instances: Iterable[Instance]) -> tuple[Watch, ...]:
    used: dict[tuple[Watched, str], list[Tracker]] = {}
    for made in instances:
        for tracker in made.trackers:
            used.setdefault((tracker.kind, tracker.name), []).append(tracker)
    return tuple(_as_lost(watch, used[key]) for key, watch in defined.watches.items() if key in used)


def _as_lost(watch: Watch, trackers: Sequence[Tracker]) -> Watch:
    """What a file holds when it is lost: nobody can know, so it is what does the most harm that one step can do."""
    return replace(watch, lost=_harm(watch, trackers)) if watch.kind is Watched.FILE else watch


def _harm(watch: Watch, trackers: Sequence[Tracker]) -> int:
    for tracker in trackers:
        if tracker.weight == 0:
            return 0 if tracker.reverse else 1
    downwards = [t.weight * (-1 if t.reverse else 1) for t in trackers]
    return watch.well + (-1 if sum(weight > 0 for weight in downwards) * 2 >= len(downwards) else 1)


def _with_networks(nodes: Mapping[str, Node], hosts: Mapping[str, Host]) -> dict[str, Node]:
    """Interfaces that speak the same virtual_router_id are on one network, called after the interface."""
    leader: dict[tuple[str, str], tuple[str, str]] = {}
    first: dict[tuple[int, int], tuple[str, str]] = {}

    def find(link: tuple[str, str]) -> tuple[str, str]:
        while leader.get(link, link) != link:  # ends: each step leads to an earlier link
            link = leader[link]
        return link

    for node in nodes.values():
        for made in node.instances:
            link = find((node.name, made.interface))
            leader.setdefault(link, link)
            other = find(first.setdefault((made.vrid, made.family), link))
            leader[link] = other
    named: dict[str, Node] = {}
    for node in nodes.values():
        given = hosts.get(node.name, NOBODY).networks
        links = {i: given.get(i) or find((node.name, i))[1] for i in node.links}
        named[node.name] = replace(node, links=links)
    return named


def _with_sources(nodes: Mapping[str, Node]) -> dict[str, Node]:
    """A unicast source that is not said: the one address that all others name as a peer, and the node does not."""
    said: dict[tuple[int, int], list[tuple[str, frozenset[str]]]] = {}
    for node in nodes.values():
        for its in node.instances:
            if its.peers:
                said.setdefault((its.vrid, its.family), []).append((node.name, its.peers))
    done: dict[str, Node] = {}
    for node in nodes.values():
        made: list[Instance] = []
        for instance in node.instances:
            same = said.get((instance.vrid, instance.family), []) if instance.peers else []
            others = [peers for name, peers in same if name != node.name]
            common = frozenset.intersection(*others) - instance.peers if others and instance.peers else frozenset()
            guess = next(iter(common)) if len(common) == 1 and not instance.source else instance.source
            made.append(replace(instance, source=guess))
        done[node.name] = replace(node, instances=tuple(made))
    return done


def _names(nodes: Mapping[str, Node]) -> dict[Place, str]:
    """Place → a name for its virtual router: the instance's own, where all nodes call it the same and nothing else."""
    routers: dict[tuple[str, int, int], list[Place]] = {}
    for node in nodes.values():
        for made in node.instances:
            network = node.links.get(made.interface, "")
            routers.setdefault((network, made.family, made.vrid), []).append((node.name, made.name))
    names: dict[Place, str] = {}
    taken: set[str] = set()
    for (network, _, vrid), places in routers.items():
        called = {name for _, name in places}
        name = called.pop() if len(called) == 1 else f"vrid {vrid}"
        name = name if name not in taken else f"{name} on {network}"
        taken.add(name)
        names.update(dict.fromkeys(places, name))
    return names
