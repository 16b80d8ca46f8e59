"""What goes wrong between peers whose interfaces do not correspond: names may differ, but each has one counterpart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.keepalived.tree import Node
from holdfast.sentences import Sentence

from .cluster_model import Member, label, pair, shared
from .model import Model
from .rule import WARNING, Hit, cluster_rule
from .samples import instance

_INNER = instance("interface eth1", name="inner", vrid=52, address="10.1.0.100/24")
_TURNED = instance("interface eth0", name="inner", vrid=52, address="10.1.0.100/24")


@dataclass(frozen=True)
class _Match:
    """An interface of one node, and the one that does the same on another: where that is said."""

    theirs: str
    ours: str
    node: Node
    word: int
    other: Node


@cluster_rule(
    "PEER131",
    WARNING,
    "interfaces that do not correspond",
    effect="What peers say to each other on one network goes out on another here: they do not hear each other, and "
    "both hold the addresses; or an address is set where nobody looks for it.",
    hint="use the interface that is on the same network as the peer's",
    bad=pair(instance() + _INNER, instance() + _TURNED),
    good=pair(instance() + _INNER, instance() + _INNER),
    references=("man keepalived.conf: interface, virtual_ipaddress",),
)
def no_counterpart(models: tuple[Model, ...]) -> Iterator[Hit]:
    found: dict[tuple[int, int], list[_Match]] = {}
    for router in shared(models):
        first = router.members[0]
        for member in router.members[1:]:
            found.setdefault((id(first.model), id(member.model)), []).extend(_matches(first, member))
    names = {id(model): label(model) for model in models}
    for (first_model, _), matches in found.items():
        told: set[int] = set()
        for one in (*_odd(matches, turned=False), *_odd(matches, turned=True)):
            if id(one.node) in told:
                continue
            told.add(id(one.node))
            message = Sentence(
                "%(ours)s stands for %(theirs)s of %(names)s here, and not so elsewhere in this file",
                ours=one.ours,
                theirs=one.theirs,
                names=names[first_model],
            )
            yield Hit(one.node, message, one.word, related=(one.other,))


def _matches(first: Member, member: Member) -> Iterator[_Match]:
    theirs, ours = first.instance.interface, member.instance.interface
    if theirs.given and ours.given:
        yield _Match(theirs.value, ours.value, ours.node, ours.word, theirs.node)
    known = {address.host: address for address in first.instance.all_addresses if address.family}
    for address in member.instance.all_addresses:
        other = known.get(address.host)
        if other is not None and address.option("dev") and other.option("dev"):
            word = address.node.words.index("dev") + 1
            yield _Match(other.device, address.device, address.node, word, other.node)


def _odd(matches: list[_Match], *, turned: bool) -> Iterator[_Match]:
    """Of an interface with several counterparts: all but the usual one; of equals the one of the same name."""
    sides: dict[str, list[_Match]] = {}
    for one in matches:
        sides.setdefault(one.ours if turned else one.theirs, []).append(one)
    for name, group in sides.items():
        counts = Counter(one.theirs if turned else one.ours for one in group)
        usual = max(counts, key=lambda other: (counts[other], other == name))
        yield from (one for one in group if (one.theirs if turned else one.ours) != usual)
