"""Groups and virtual servers that get another name, which alone changes nothing.

keepalived knows a group by its VRID and interface, and a virtual server by its socket or its mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from holdfast.bundle import Bundle
from holdfast.keepalived.tree import Configuration

from .facts import Fact

_OF_SERVER = re.compile(r"(virtual server |track file )([^ ,/]+)(?=$|[ ,/])")  # the place of a fact, and the name in it
_NAMES_WEIGHT_FILE = frozenset({"FILE_CHECK.track_file", "track_file.file", "node.state"})
_WEIGHT_FILE = re.compile(r"(^|/weight/)([^ /]+)/")  # what is drained by, in a folder of the virtual server's name


def renames(old: Configuration | None, new: Configuration | None) -> dict[str, str]:
    """Old name → new name of each group of a node that is the same otherwise."""
    before, after = _identities(old), _identities(new)
    gone = {identity: name for name, identity in before.items() if name not in after}
    come = {identity: name for name, identity in after.items() if name not in before}
    return {name: come[identity] for identity, name in gone.items() if identity in come}


def one_name(trees: Mapping[str, Configuration | None]) -> dict[str, dict[str, str]]:
    """Node → its own name of a group → the name that all members' groups go by.

    On the wire a group is its VRID: files that nobody compiled may call it differently on each node. Two groups of one
    node, or one name that stands for another VRID elsewhere, keep their names.
    """
    known = {
        node: {name: vrid for name, (vrid, _) in _identities(tree).items()} for node, tree in sorted(trees.items())
    }
    first: dict[str, str] = {}
    for names in known.values():
        for name, vrid in names.items():
            first.setdefault(vrid, name)
    return {
        node: {
            name: first[vrid]
            for name, vrid in names.items()
            if name != first[vrid] and first[vrid] not in names and list(names.values()).count(vrid) == 1
        }
        for node, names in known.items()
    }


def _identities(tree: Configuration | None) -> dict[str, tuple[str, str]]:
    found = tree.root.all("vrrp_instance") if tree is not None else []
    return {node.arg(): (node.value("virtual_router_id"), node.value("interface")) for node in found}


def new_names_of_servers(old: Bundle | None, new: Bundle | None) -> dict[str, str]:
    """Old name → new name of each virtual server of a node that the kernel knows by the same socket, or mark."""
    before, after = _sockets(old), _sockets(new)
    return {name: after[socket] for socket, name in before.items() if after.get(socket, name) != name}


def _sockets(bundle: Bundle | None) -> dict[tuple[object, ...], str]:
    found = bundle.expected.virtual_servers if bundle is not None else ()
    return {(vs.address, vs.port, vs.mark, vs.family, vs.protocol): vs.name for vs in found}


def under_new_names(facts: Iterable[Fact], groups: Mapping[str, str], servers: Mapping[str, str]) -> Iterator[Fact]:
    """Facts of the old state as if their groups and virtual servers had their new names already."""
    where = {f"group {old}": f"group {new}" for old, new in groups.items()}

    def now(text: str) -> str:
        found = _OF_SERVER.match(text) if servers else None
        if found is not None and found[2] in servers:
            return f"{found[1]}{servers[found[2]]}{text[found.end() :]}"
        return where.get(text, text)

    def weight_file(text: str) -> str:
        return _WEIGHT_FILE.sub(lambda found: f"{found[1]}{servers.get(found[2], found[2])}/", text)

    for fact in facts:
        within = tuple((key[0], now(key[1]), key[2]) for key in fact.within)
        made = replace(fact, where=now(fact.where), within=within) if groups or servers else fact
        if servers and fact.kind in _NAMES_WEIGHT_FILE:
            made = replace(made, what=weight_file(made.what), value=weight_file(made.value))
        yield made
