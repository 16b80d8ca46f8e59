"""Groups that get another name: keepalived knows them by VRID and interface, so a name alone changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from holdfast.keepalived.tree import Configuration

from .facts import Fact, Key


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


def under_new_names(facts: Iterable[Fact], names: Mapping[str, str]) -> Iterator[Fact]:
    """Facts of the old state as if their groups had their new names already."""
    where = {f"group {old}": f"group {new}" for old, new in names.items()}

    def renamed(key: Key) -> Key:
        return key[0], where.get(key[1], key[1]), key[2]

    for fact in facts:
        within = tuple(renamed(key) for key in fact.within)
        yield replace(fact, where=where.get(fact.where, fact.where), within=within) if names else fact
