"""What a configuration says, taken apart into facts that can be compared one by one, whatever their order in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

Key = tuple[str, str, str]
How = Literal["added", "changed", "removed"]

# Where the first that fits wins, the order is a fact of its own.
_ORDERED = frozenset({"site.route"})

# What leaves with these is told all the same: they are no programs, and each of their settings does something else.
_TOLD_BESIDE = frozenset({"service.quiet"})


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement in the words of a spec.

    `kind` finds its row in the table of hazards; `where` and `what` say which one it is, `value` what may change about
    it. `within` are the facts that it goes with: it is told only where they stay. A `secret` value is never shown, and
    a `default` one holds as well where it is not written.
    """

    kind: str
    where: str
    what: str
    value: str = ""
    within: tuple[Key, ...] = ()
    file: str = ""
    secret: bool = False
    default: bool = False

    @property
    def key(self) -> Key:
        """What identifies it on both sides."""
        return self.kind, self.where, self.what


@dataclass(frozen=True, slots=True)
class Difference:
    """A fact of one side, or of both with different values."""

    old: Fact | None
    new: Fact | None

    @property
    def how(self) -> How:
        """Added, changed or removed."""
        return "added" if self.old is None else "removed" if self.new is None else "changed"

    @property
    def fact(self) -> Fact:
        """The newer of the two."""
        found = self.new or self.old
        assert found is not None, "a difference has a side"
        return found


def differences(old: Iterable[Fact], new: Iterable[Fact]) -> tuple[Difference, ...]:
    """What comes, changes and goes, in the order of the old facts, then of the new; parts of what comes or goes are
    left out."""
    before, after = _by_key(old), _by_key(new)
    found = [Difference(before.get(key), after.get(key)) for key in (before | after) if _differ(before, after, key)]
    come = {each.fact.key for each in found if each.how == "added"}
    gone = {each.fact.key for each in found if each.how == "removed" and each.fact.kind not in _TOLD_BESIDE}
    kept = [each for each in found if not (come | gone).intersection(each.fact.within)]
    return (*kept, *_reordered(before, after))


def _by_key(facts: Iterable[Fact]) -> dict[Key, Fact]:
    """What stands several times is told apart by a number: no one may hide another."""
    found: dict[Key, Fact] = {}
    for fact in facts:
        named, number = fact, 1
        while named.key in found and found[named.key].value != fact.value:
            number += 1
            named = replace(fact, what=f"{fact.what} #{number}")
        found[named.key] = named
    return found


def _differ(before: dict[Key, Fact], after: dict[Key, Fact], key: Key) -> bool:
    one, two = before.get(key), after.get(key)
    return one is None or two is None or one.value != two.value


def _reordered(before: dict[Key, Fact], after: dict[Key, Fact]) -> Iterator[Difference]:
    for kind, where in dict.fromkeys(key[:2] for key in before if key[0] in _ORDERED):
        one, two = (
            [key[2] for key in side if key[:2] == (kind, where) and key in before and key in after]
            for side in (before, after)
        )
        if one != two:
            file = after[kind, where, one[0]].file
            order = [
                Fact(f"{kind}.order", where, "order of the routes", "; ".join(side), (), file) for side in (one, two)
            ]
            yield Difference(order[0], order[1])
