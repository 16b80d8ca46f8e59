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
