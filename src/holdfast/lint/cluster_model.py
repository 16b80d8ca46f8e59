"""Which instances of several nodes are one virtual router: recognised by virtual_router_id, addresses, names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TypeVar

from holdfast.keepalived.tree import Node

from .model import Model
from .model_vrrp import Address, Instance
from .rule import Example, example

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
_ENOUGH = 4  # a shared address, or a shared virtual_router_id with anything else in common


@dataclass(frozen=True)
class Member:
    """An instance of one node."""

    model: Model
    instance: Instance

    @property
    def node(self) -> str:
        """The node's name, or its file's."""
        return label(self.model)

    @cached_property
    def advertised(self) -> frozenset[str]:
        """The addresses in its adverts."""
        return hosts(self.instance.addresses)

    @cached_property
    def held(self) -> frozenset[str]:
        """All addresses that it holds."""
        return hosts(self.instance.all_addresses)

    @property
    def multicast(self) -> bool:
        """Whether its adverts go to the group rather than to peers."""
        return not self.instance.peers


@dataclass
class Router:
    """A virtual router: its members, one a node at most, in the order of the nodes."""

    members: list[Member] = field(default_factory=list)

    @property
    def name(self) -> str:
        """As the first node calls it."""
        return self.members[0].instance.name


def label(model: Model) -> str:
    """A node as sentences name it."""
    return model.node or model.file


def global_place(model: Model) -> Node:
    """Where a setting of the whole node is missing: its global_defs, or what stands first."""
    return next(iter(model.root.all("global_defs")), next(iter(model.root.children), model.root))


def hosts(addresses: tuple[Address, ...]) -> frozenset[str]:
    """Addresses without masks; what is no address is left out."""
    return frozenset(address.host for address in addresses if address.family)


@lru_cache(maxsize=1)  # each rule over peers asks for those of the same files
def routers(models: tuple[Model, ...]) -> tuple[Router, ...]:
    """All virtual routers; those of one node alone too.

    Each node's instances go to the routers with which they have most in common, the best matches first.
    """
    found: list[Router] = []
    index: dict[Hashable, list[int]] = {}
    for model in models:
        matches: list[tuple[int, int, int]] = []
        members = [Member(model, instance) for instance in model.instances]
        for place, member in enumerate(members):
            candidates = {at for key in _keys(member) for at in index.get(key, ())}
            scored = ((at, max(_likeness(member, one) for one in found[at].members)) for at in candidates)
            matches += [(-score, place, at) for at, score in scored if score >= _ENOUGH]
        placed: dict[int, int] = {}
        for _, place, at in sorted(matches):
            if place not in placed and at not in placed.values():
                placed[place] = at
        for place, member in enumerate(members):
            at = placed.get(place, len(found))
            if at == len(found):
                found.append(Router())
            found[at].members.append(member)
            for key in _keys(member):
                index.setdefault(key, []).append(at)
    return tuple(found)


def shared(models: tuple[Model, ...]) -> Iterator[Router]:
    """Virtual routers of two nodes or more; who has nothing but the number in common with the first is left out."""
    for router in routers(models):
        first = router.members[0]
        akin = [member for member in router.members if not foreign(member, first)]
        if len(akin) > 1:
            yield Router(akin)


def foreign(one: Member, other: Member) -> bool:
    """Whether two instances with one virtual_router_id are of two clusters, as far as one can see."""
    return not (one.held & other.held) and one.instance.name != other.instance.name


def _keys(member: Member) -> Iterator[Hashable]:
    if member.instance.vrid.given:
        yield ("vrid", member.instance.vrid.value)
    yield from member.held


def _likeness(one: Member, other: Member) -> int:
    """How much two instances have in common."""
    common = one.held & other.held
    places = one.instance.interface.value == other.instance.interface.value
    names = one.instance.name == other.instance.name
    networks = bool(_networks(one) & _networks(other))
    score = places + names + networks
    if common:
        score += 8 if one.held == other.held else 5
    ids = one.instance.vrid.value == other.instance.vrid.value and one.instance.vrid.given
    if ids and one.instance.family == other.instance.family:
        score += 3
    elif not common:
        return 0
    return score


def _networks(member: Member) -> frozenset[str]:
    return frozenset(
        str(address.network) for address in member.instance.all_addresses if address.network and address.family
    )


def deviants(members: list[Member], value: Callable[[Member], K]) -> Iterator[tuple[Member, Member]]:
    """(one that differs, one of the majority): the majority is what most have; of two, the first is the measure."""
    values = [value(member) for member in members]
    counts = Counter(values)
    usual = max(counts, key=lambda one: (counts[one], -values.index(one)))
    reference = members[values.index(usual)]
    for member, found in zip(members, values, strict=True):
        if found != usual:
            yield member, reference


def named(items: list[str] | frozenset[str], most: int = 4) -> str:
    """A list as a sentence has it, cut where it grows long."""
    ordered = sorted(items)
    rest = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(ordered[:most]) + rest


def pair(first: str, second: str) -> Example:
    """The files of two nodes, lb1 and lb2, for examples."""
    return example({"lb1": first, "lb2": second})
