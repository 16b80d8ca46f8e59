"""What the order of lines means: an origin is written in one order, so what counts by its place is settled here."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

from holdfast.keepalived.keywords import Argument, Keyword
from holdfast.keepalived.tree import Configuration, Node
from holdfast.spec.values import as_address

from .families import METHODS, tell_families
from .lasting import FIRST, counted_weight, tell_lasting
from .losses import Losses

# Two keywords for one setting: what stands last counts.
_LAST = {
    "vrrp_instance": (("nopreempt", "preempt"), ("accept", "no_accept"), ("mcast_src_ip", "unicast_src_ip")),
    "virtual_server": (("lvs_sched", "lb_algo"), METHODS),
    "HTTP_GET": (("retry", "nb_get_retry"),),
    "SSL_GET": (("retry", "nb_get_retry"),),
    "global_defs": (
        ("checker_process_name", "lvs_process_name"),
        *((f"{process}_rlimit_rttime", f"{process}_rlimit_rtime") for process in ("vrrp", "checker", "bfd")),
    ),
    "bfd_instance": (("neighbor_ip", "neighbour_ip"), ("ttl", "hoplimit")),
}
# What stands below sets these again, whatever they say: the first of several where keepalived takes the first.
_SET_AGAIN = {
    "vrrp_track_process": ((("delay",), ("fork_delay", "terminate_delay")),),
    "global_defs": (
        (
            ("process_names",),
            ("vrrp_process_name", "checker_process_name", "lvs_process_name", "bfd_process_name"),
        ),
        (("nftables", "vrrp_iptables"), ("nftables_priority",)),
        (("nftables_ipvs",), ("nftables_ipvs_priority", "nftables_ipvs_start_fwmark")),
    ),
}
# How long a process may run at a stretch: a value that keepalived does not take is none at all, not the default.
_LIMITS = tuple(f"{process}_rlimit_{time}" for process in ("vrrp", "checker", "bfd") for time in ("rttime", "rtime"))
# A value that it does not take sets these back, whatever stands above it (measured).
_SET_BACK = frozenset(
    {
        "priority", "state", "preempt_delay", "garp_master_refresh", "vrrp_garp_master_refresh", "hysteresis",
        "vrrp_priority", "checker_priority", "bfd_priority", *_LIMITS, "persistence_granularity",
    }
)  # fmt: skip
_SET_BACK_IN = {"virtual_server": frozenset({"quorum"}), "vrrp_script": frozenset({"weight"})}  # or used as it stands
_LEADING = re.compile(r"[+-]?[0-9]")
_NUMBERS = {
    "int": re.compile(r"[+-]?[0-9]+"),
    "uint": re.compile(r"[+-]?[0-9]+"),
    "num": re.compile(r"[+-]?[0-9]*\.?[0-9]*"),
}
_NO_MOST = 2**32 - 1
_FIRST_TAKEN = ("digest", "version")  # of several, the first that it takes
_ONE_WORD = ("snmp_name", "regex")
_GARPS = {"vrrp_garp_master_delay": (5,), "vrrp_garp_master_repeat": (5,), "vrrp_garp_master_refresh_repeat": (0, 1)}
_SCHEDULERS = ("lvs_sched", "lb_algo")
_METHODS = frozenset({*METHODS, "sorry_server_lvs_method"})
_OF_SCHEDULER = {"sh-port": "sh", "sh-fallback": "sh", "mh-port": "mh", "mh-fallback": "mh"}
_TUNNELS = frozenset({"ipip", "gue", "gre"})
_SUMS = frozenset({"nocsum", "csum", "remcsum"})
_STATIC = frozenset({"static_ipaddress", "static_routes", "static_rules"})
_PIPES = frozenset({"notify_fifo", "vrrp_notify_fifo", "lvs_notify_fifo"})
_RUN = frozenset({f"{name}_script" for name in ("startup", "shutdown", *_PIPES)})


def as_counted(tree: Node, losses: Losses, unfit: Mapping[Node, str]) -> Node:
    """The block without the statements that keepalived leaves out for where they stand; each is noted."""
    left_out = {**dict(_left_out(tree)), **{child: unfit[child] for child in tree.children if child in unfit}}
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
    for child in tree.all(*_ONE_WORD):
        if not _is_taken(child):
            yield child, "keepalived takes one word, and none at all where there are more"
    for pair in _LAST.get(tree.name, ()):
        both = [child for child in tree.all(*pair) if _is_taken(child)]
        last = both[-1].name if both else ""
        yield from ((child, f"{last} stands below it, and counts") for child in both if child.name != last)
    yield from _set_again(tree)
    if tree.name in FIRST and (counted := counted_weight(tree)) is not None:
        reason = f"the weight that counts stands in line {counted.line}"
        yield from ((child, reason) for child in tree.all("weight") if child is not counted)
    if tree.name == "vrrp_instance":
        yield from _states(tree)
        yield from _late_family(tree)
    elif tree.name == "vrrp_track_process":
        yield from _quorums(tree)
    elif tree.name == "virtual_server":
        yield from _early(tree)


def _not_taken(tree: Node) -> Iterator[tuple[Node, str]]:
    """A setting that is given again with a value that keepalived does not take: the earlier one stays in force."""
    several: dict[str, list[Node]] = {}
    set_back = _SET_BACK | _SET_BACK_IN.get(tree.name, frozenset())
    for child in tree.children:
        if child.keyword is not None and _is_scalar(child.keyword) and child.name not in set_back:
            several.setdefault(child.name, []).append(child)
    for name, found in several.items():
        refused = [child for child in found if not _is_taken(child)] if len(found) > 1 else []
        if refused and len(refused) < len(found):
            order = found if found[0].keyword and found[0].keyword.repeat == "first" else found[::-1]
            last = next(child for child in order if _is_taken(child))
            reason = f"keepalived does not take it: {name} stays as line {last.line} says"
            yield from ((child, reason) for child in refused)


def _is_scalar(keyword: Keyword) -> bool:
    counts = keyword.repeat == "last" or keyword.name in _FIRST_TAKEN
    return counts and not keyword.block and keyword.listed is None and bool(keyword.arguments)


def _is_taken(child: Node) -> bool:
    """Whether keepalived takes its value at all: what it does not take leaves an earlier one in force."""
    if child.name in _ONE_WORD and len(child.args) > 1:
        return False
    argument = child.keyword.arguments[0] if child.keyword and child.keyword.arguments else None
    if argument is None or (argument.optional and not child.args) or _is_odd(argument, child.arg()):
        return True
    if argument.kind == "password" and child.arg():  # one that is too long is cut
        return True
    return not argument.check(child.arg())


def _is_odd(argument: Argument, text: str) -> bool:
    """A number with something behind it: keepalived takes the number for some keywords, so it is never passed over."""
    number = _NUMBERS.get(argument.kind)
    return number is not None and _LEADING.match(text) is not None and not number.fullmatch(text)


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
    """`delay` sets both delays of a process, also those that a line above it sets; others alike."""
    for setters, names in _SET_AGAIN.get(tree.name, ()):
        found = [child for child in tree.all(*setters) if _is_taken(child)]
        counted = found[:1] + [one for one in found[1:] if one.keyword and one.keyword.repeat != "first"]
        last = counted[-1] if counted else tree
        for child in tree.children if counted else ():
            if child is last:
                break
            if child.name in names:
                yield child, f"{last.name} stands below it, and sets it again"


def _quorums(tree: Node) -> Iterator[tuple[Node, str]]:
    """A quorum above quorum_max, or a quorum_max below quorum, is not taken: each is held against the other so far."""
    quorum, most = 1, _NO_MOST
    for child in tree.all("quorum", "quorum_max"):
        if not _is_taken(child):
            yield child, "keepalived does not take it"
            continue
        number = int(child.arg()) if child.arg().isdigit() else quorum
        if child.name == "quorum" and number > most:
            yield child, f"keepalived does not take it: quorum_max is {most} where it stands"
        elif child.name == "quorum":
            quorum = number
        elif number < quorum and (number or quorum > 1):
            yield child, f"keepalived does not take it: quorum is {quorum} where it stands"
        else:
            quorum, most = (quorum or 1) if number else 0, number


def _early(tree: Node) -> Iterator[tuple[Node, str]]:
    """Flags that belong to a scheduler of which keepalived has not read yet."""
    scheduler = ""
    for child in tree.children:
        if child.name in _SCHEDULERS and _is_taken(child):
            scheduler = child.arg()
        if child.name in _OF_SCHEDULER and _OF_SCHEDULER[child.name] != scheduler:
            yield child, f"the scheduler is not {_OF_SCHEDULER[child.name]} where it stands"


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
    _settings(read.root, losses)
    tell_families(read.root, losses)
    tell_lasting(read.root, losses)
    for tree in read.root.all("vrrp_instance"):
        families = dict(_families(tree))
        if len(set(families.values())) > 1:
            losses.lost(tree, "addresses of two families decide by their order which one its adverts are of")
        _interfaces(tree, losses)
    for tree in read.root.all("virtual_server"):
        schedulers = [child.arg() for child in tree.all(*_SCHEDULERS) if _is_taken(child)]
        early = {child for child, _ in _early(tree)}
        for child in tree.all(*_OF_SCHEDULER):
            if child not in early and schedulers[-1:] != [_OF_SCHEDULER[child.name]]:
                losses.lost(child, "another scheduler stands below it: name one alone")


def _interfaces(tree: Node, losses: Losses) -> None:
    """Of several use_vmac each adds to the others; a vrf counts only above the interface, where no spec has it."""
    several = tree.all("use_vmac")
    if any(child.args != several[-1].args for child in several):
        losses.lost(several[-1], "what use_vmac says above holds too: say it once")
    both = tree.all("vrf", "interface")
    if both and both[0].name == "vrf" and both[-1].name == "interface":
        losses.lost(both[0], "it counts above the interface, and not below it, where a spec has it: name one of them")


def _settings(root: Node, losses: Losses) -> None:
    """Settings of global_defs that stand several times, and of which not only the last counts."""
    children = [child for block in root.all("global_defs") for child in block.children]
    for process in ("vrrp", "checker", "bfd"):
        limits = [child for child in children if child.name in _LIMITS and child.name.startswith(process)]
        if limits and not _is_taken(limits[-1]):
            losses.lost(limits[-1], "keepalived takes it for 0, which no spec can say: write how many microseconds")
    for names in (("lvs_timeouts",), ("vrrp_garp_extra_if", "vrrp_vmac_garp_intvl")):
        several = [child for child in children if child.name in names]
        for child in several[:-1]:
            more = {word for word in child.args if not word.isdigit()} - set(several[-1].args)
            if more:
                losses.lost(child, f"{', '.join(sorted(more))} of it stays in force: write all on one line")
    _garps(children, losses)


def _garps(children: Sequence[Node], losses: Losses) -> None:
    """vrrp_min_garp changes what has its default value where it stands, and stays once it is said."""
    least = [child for child in children if child.name == "vrrp_min_garp" and _is_on(child)]
    if not least:
        return
    if not _is_on([child for child in children if child.name == "vrrp_min_garp"][-1]):
        losses.lost(least[-1], "it stays in force although a line below says otherwise: remove that line")
    for child in itertools.dropwhile(lambda node: node is not least[-1], children):
        if child.arg().isdigit() and int(child.arg()) in _GARPS.get(child.name, ()):
            losses.lost(child, "vrrp_min_garp stands above it, and would change it where it stood below: write it last")


def _is_on(child: Node) -> bool:
    return child.arg() in ("", "on", "true", "yes")


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
    for name in ("mcast_src_ip", "unicast_src_ip", "mcast_dst_ip", "use_ipvlan"):
        words = [word for child in tree.all(name) for word in child.args]
        for address in (as_address(word.partition("/")[0]) for word in words):
            if address is not None:
                yield f"{name} {address}", address.version
    for name in ("unicast_peer", "virtual_ipaddress"):
        lines = (as_address(line.name.partition("/")[0]) for line in tree.listed(name))
        if (first := next((address for address in lines if address is not None), None)) is not None:
            yield name, first.version
