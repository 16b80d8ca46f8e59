"""Which instances of several nodes are one virtual router: recognised by virtual_router_id, addresses, names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import islice
from typing import TypeVar

from holdfast.keepalived.tree import Node
from holdfast.sentences import Sentence

from .model import Model
from .model_vrrp import Address, Instance
from .rule import Example, example

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
DEFAULT = Sentence("(default)")  # what a setting is that a file does not say
_ENOUGH = 4  # a shared address, or a shared virtual_router_id with anything else in common
_MOST_ALIKE = 64  # routers with one number, or one address, that are looked at: more is a mistake of another kind


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

    @cached_property
    def networks(self) -> frozenset[str]:
        """The networks that the masks of its addresses say."""
        addresses = (address for address in self.instance.all_addresses if address.family)
        return frozenset(str(address.network) for address in addresses if address.network)

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

    Each node's instances go to the routers with which they have most in common, the best matches first: first by
    their addresses, then, of what is left, by virtual_router_id.
    """
    found: list[Router] = []
    index: dict[Hashable, dict[int, None]] = {}  # key → routers of which a member has it
    for model in models:
        members = [Member(model, instance) for instance in model.instances]
        placed: dict[int, int] = {}
        for keys in (_by_address, _by_number):
            left = [(place, member) for place, member in enumerate(members) if place not in placed]
            _place(left, keys, placed, found, index)
        for place, member in enumerate(members):
            at = placed.get(place, len(found))
            if at == len(found):
                found.append(Router())
            found[at].members.append(member)
            for key in (*_by_address(member), *_by_number(member)):
                index.setdefault(key, {})[at] = None
    return tuple(found)


def _place(
    left: list[tuple[int, Member]],
    keys: Callable[[Member], Iterable[Hashable]],
    placed: dict[int, int],
    found: list[Router],
    index: dict[Hashable, dict[int, None]],
) -> None:
    """Give each of these members the router that it fits best, each router one of them."""
    taken = set(placed.values())
    matches: list[tuple[int, int, int]] = []
    for place, member in left:
        candidates = {at for key in keys(member) for at in islice(index.get(key, ()), _MOST_ALIKE)}
        scored = ((at, max(_likeness(member, one) for one in found[at].members)) for at in candidates - taken)
        matches += [(-score, place, at) for at, score in scored if score >= _ENOUGH]
    for _, place, at in sorted(matches):
        if place not in placed and at not in taken:
            placed[place] = at
            taken.add(at)


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


def _by_address(member: Member) -> Iterable[Hashable]:
    return member.held


def _by_number(member: Member) -> Iterable[Hashable]:
    vrid = member.instance.vrid
    return ((vrid.value, member.instance.family),) if vrid.given else ()


def _likeness(one: Member, other: Member) -> int:
    """How much two instances have in common."""
    common = one.held & other.held
    places = one.instance.interface.value == other.instance.interface.value
    names = one.instance.name == other.instance.name
    networks = bool(one.networks & other.networks)
    score = places + names + networks
    if common:
        score += 8 if one.held == other.held else 5
    ids = one.instance.vrid.value == other.instance.vrid.value and one.instance.vrid.given
    if ids and one.instance.family == other.instance.family:
        score += 3
    elif not common:
        return 0
    return score


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
    names = ", ".join(ordered[:most])
    if len(ordered) <= most:
        return names
    return Sentence("%(names)s and %(count)s more", names=names, count=len(ordered) - most)


def pair(first: str, second: str) -> Example:
    """The files of two nodes, lb1 and lb2, for examples."""
    return example({"lb1": first, "lb2": second})
