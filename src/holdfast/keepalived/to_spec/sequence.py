"""What the order of lines means: an origin is written in one order, so what counts by its place is settled here."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from holdfast.keepalived.keywords import Keyword
from holdfast.keepalived.tree import Configuration, Node
from holdfast.spec.values import as_address

from .losses import Losses

# Two keywords for one setting: what stands last counts.
_LAST = {
    "vrrp_instance": (("nopreempt", "preempt"), ("accept", "no_accept"), ("mcast_src_ip", "unicast_src_ip")),
    "virtual_server": (("lvs_sched", "lb_algo"), ("lvs_method", "lb_kind")),
}
# A value that it does not take sets these back, whatever stands above it (measured).
_SET_BACK = frozenset(
    {
        "priority", "state", "preempt_delay", "garp_master_refresh", "vrrp_garp_master_refresh", "hysteresis",
        "vrrp_priority", "checker_priority", "bfd_priority", "vrrp_rlimit_rttime", "checker_rlimit_rttime",
        "bfd_rlimit_rttime",
    }
)  # fmt: skip
_SCHEDULERS = ("lvs_sched", "lb_algo")
_METHODS = frozenset({"lvs_method", "lb_kind", "sorry_server_lvs_method"})
_OF_SCHEDULER = {"sh-port": "sh", "sh-fallback": "sh", "mh-port": "mh", "mh-fallback": "mh"}
_OF_SORRY = frozenset({"sorry_server_inhibit", "sorry_server_lvs_method"})
_TUNNELS = frozenset({"ipip", "gue", "gre"})
_SUMS = frozenset({"nocsum", "csum", "remcsum"})
_STATIC = frozenset({"static_ipaddress", "static_routes", "static_rules"})
_PIPES = frozenset({"notify_fifo", "vrrp_notify_fifo", "lvs_notify_fifo"})
_RUN = frozenset({f"{name}_script" for name in ("startup", "shutdown", *_PIPES)})


def as_counted(tree: Node, losses: Losses) -> Node:
    """The block without the statements that keepalived leaves out for where they stand; each is noted."""
    left_out = dict(_left_out(tree))
    if not left_out:
        return tree
    for child in tree.children:
        if child in left_out:
            losses.ignored(child, left_out[child])
    copy = Node(tree.words, tree.source, tree.line, tree.start, tree.origin, tree.keyword)
    copy.end, copy.children = tree.end, [child for child in tree.children if child not in left_out]
    return copy


def _left_out(tree: Node) -> Iterator[tuple[Node, str]]:
    yield from _not_taken(tree)
    for child in tree.all("snmp_name"):
        if not _is_taken(child):
            yield child, "keepalived takes one word, and no name where there are more"
    for pair in _LAST.get(tree.name, ()):
        both = [child for child in tree.all(*pair) if _is_taken(child)]
        last = both[-1].name if both else ""
        yield from ((child, f"{last} stands below it, and counts") for child in both if child.name != last)
    if tree.name == "vrrp_instance":
        yield from _states(tree)
        yield from _late_family(tree)
    elif tree.name == "vrrp_track_process":
        yield from _set_again(tree)
    elif tree.name == "virtual_server":
        yield from _early(tree)


def _not_taken(tree: Node) -> Iterator[tuple[Node, str]]:
    """A setting that is given again with a value that keepalived does not take: the earlier one stays in force."""
    several: dict[str, list[Node]] = {}
    set_back = _SET_BACK | ({"quorum"} if tree.name == "virtual_server" else set())
    for child in tree.children:
        if child.keyword is not None and _is_scalar(child.keyword) and child.name not in set_back:
            several.setdefault(child.name, []).append(child)
    for name, found in several.items():
        refused = [child for child in found if not _is_taken(child)] if len(found) > 1 else []
        if refused and len(refused) < len(found):
            last = next(child for child in reversed(found) if _is_taken(child))
            reason = f"keepalived does not take it: {name} stays as line {last.line} says"
            yield from ((child, reason) for child in refused)


def _is_scalar(keyword: Keyword) -> bool:
    return not keyword.block and keyword.listed is None and keyword.repeat == "last" and bool(keyword.arguments)


def _is_taken(child: Node) -> bool:
    """Whether keepalived takes its value at all: what it does not take leaves an earlier one in force."""
    if child.name == "snmp_name" and len(child.args) > 1:
        return False
    argument = child.keyword.arguments[0] if child.keyword and child.keyword.arguments else None
    if argument is None or (argument.optional and not child.args):
        return True
    return not argument.check(child.arg())


def _states(tree: Node) -> Iterator[tuple[Node, str]]:
    """Once MASTER, BACKUP is ignored; a word that is neither makes it a BACKUP."""
    master: Node | None = None
    for child in tree.all("state"):
        if child.arg() == "BACKUP" and master is not None:
            yield child, "it is MASTER by a line above, which keepalived keeps"
        else:
            master = child if child.arg() == "MASTER" else None


def _late_family(tree: Node) -> Iterator[tuple[Node, str]]:
    """native_ipv6 below what made the instance one of IPv4."""
    version = 0
    for child in tree.children:
        if child.name in ("virtual_ipaddress", "unicast_peer", "mcast_src_ip", "unicast_src_ip") and not version:
            words = [line.name for line in child.children] or [child.arg()]
            found = (as_address(word.partition("/")[0]) for word in words)
            version = next((address.version for address in found if address is not None), 0)
        elif child.name == "native_ipv6" and version == 4:
            yield child, "the instance is one of IPv4 by a line above"


def _set_again(tree: Node) -> Iterator[tuple[Node, str]]:
    """`delay` sets both delays of a process, also those that a line above it sets."""
    both = [child for child in tree.all("delay") if _is_taken(child)]
    if both:
        for child in itertools.takewhile(lambda node: node is not both[-1], tree.children):
            if child.name in ("fork_delay", "terminate_delay"):
                yield child, "delay stands below it, and sets it again"


def _early(tree: Node) -> Iterator[tuple[Node, str]]:
    """Flags that belong to a scheduler or a sorry server of which keepalived has not read yet."""
    scheduler, sorry = "", False
    for child in tree.children:
        if child.name in _SCHEDULERS and _is_taken(child):
            scheduler = child.arg()
        sorry = sorry or child.name == "sorry_server"
        if child.name in _OF_SCHEDULER and _OF_SCHEDULER[child.name] != scheduler:
            yield child, f"the scheduler is not {_OF_SCHEDULER[child.name]} where it stands"
        elif child.name in _OF_SORRY and not sorry:
            yield child, "no sorry_server stands above it"


def untracked(root: Node) -> frozenset[Node]:
    """Lines of static addresses, routes and rules whose track_group is not defined above: it tracks nothing."""
    known: set[str] = set()
    found: list[Node] = []
    for tree in root.children:
        if tree.name == "track_group":
            known.add(tree.arg())
        elif tree.name in _STATIC:
            found += [line for line in tree.children if _option(line, "track_group") not in ("", *known)]
    return frozenset(found)


def _option(line: Node, name: str) -> str:
    return line.words[line.words.index(name) + 1] if name in line.words[:-1] else ""


def tunnel_mistake(found: Node) -> str:
    """Why keepalived takes the method alone of a statement, and not the options behind it; empty where it takes all."""
    if found.name not in _METHODS:
        return ""
    words, kind, port, total = list(found.args[1:]), "ipip", "", "nocsum"
    while words:
        word = words.pop(0)
        if word in _SUMS:
            total = word
        elif word not in ("type", "port") or not words:
            return f"{word} is no option of a tunnel" if word not in ("type", "port") else f"{word} says nothing"
        elif word == "type":
            kind = words.pop(0)
        else:
            port = words.pop(0)
    if kind not in _TUNNELS:
        return f"there is no tunnel of type {kind}"
    if port and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        return f"{port} is no port"
    if (kind == "gue") != bool(port):
        return "a gue tunnel needs a port, and no other takes one"
    if (kind, total) in (("ipip", "csum"), ("ipip", "remcsum"), ("gre", "remcsum")):
        return f"a tunnel of type {kind} takes no {total}"
    return ""


def tell_order(read: Configuration, losses: Losses) -> None:
    """What depends on an order that an origin does not keep, and that its words cannot say."""
    _users(read.root, losses)
    for tree in read.root.all("vrrp_instance"):
        families = dict(_families(tree))
        if len(set(families.values())) > 1:
            losses.lost(tree, "addresses of two families decide by their order which one its adverts are of")
    for tree in read.root.all("virtual_server"):
        above = [child for child in itertools.takewhile(_is_no_sorry_server, tree.children) if child.name in _METHODS]
        below = [child for child in tree.all("lvs_method", "lb_kind") if child not in above]
        if above and below and tree.has("sorry_server") and not tree.has("sorry_server_lvs_method"):
            losses.lost(below[0], "the sorry server above it has the method that was named before: name it once")


def _is_no_sorry_server(child: Node) -> bool:
    return child.name != "sorry_server"


def user_stands_last(root: Node) -> bool:
    """Whether script_user stands below all of global_defs that takes a user: none of that runs as it."""
    above, below = _around_user(root)
    return bool(above) and not below


def _users(root: Node, losses: Losses) -> None:
    """What global_defs runs has the user that is named above it; everything else is read once that is known.

    A reload reads it again in the order of the file: what stands above script_user then has another one.
    """
    users = _users_named(root)
    if not users:
        return
    above, below = _around_user(root)
    if above and (below or len(users) > 1):
        losses.lost(users[0], "of global_defs some stand above it and do not run as this user: write it above them")
    before = itertools.takewhile(lambda node: node is not users[0], root.walk())
    if any(_is_script(node.keyword) and not _takes_user(node) for node in before):
        reason = "scripts stand above it, which lose this user at a reload: compiled, they keep it"
        losses.differs(users[0], reason)


def _around_user(root: Node) -> tuple[list[Node], list[Node]]:
    """What global_defs runs or opens without saying as whom: above the first script_user, and below it."""
    above: list[Node] = []
    below: list[Node] = []
    known = False
    for node in (child for block in root.all("global_defs") for child in block.children):
        known = known or node.name == "script_user"
        if _takes_user(node) and len(node.args) < 2:
            (below if known else above).append(node)
    return (above, below) if known else ([], [])


def _users_named(root: Node) -> list[Node]:
    return [child for block in root.all("global_defs") for child in block.all("script_user")]


def _takes_user(node: Node) -> bool:
    """Whether it is a command or a pipe of global_defs."""
    return node.keyword is not None and (node.name in _PIPES or (node.name in _RUN and _is_script(node.keyword)))


def _is_script(keyword: Keyword | None) -> bool:
    return keyword is not None and any(argument.kind == "script" for argument in keyword.arguments)


def _families(tree: Node) -> Iterator[tuple[str, int]]:
    """What sets the family of an instance, and which one it would be."""
    for name in ("mcast_src_ip", "unicast_src_ip"):
        if (address := as_address(tree.value(name).partition("/")[0])) is not None:
            yield name, address.version
    for name in ("unicast_peer", "virtual_ipaddress"):
        lines = (as_address(line.name.partition("/")[0]) for line in tree.listed(name))
        if (first := next((address for address in lines if address is not None), None)) is not None:
            yield name, first.version
