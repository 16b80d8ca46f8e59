"""How long a failed attempt makes the next one wait: pure arithmetic over counters in bounded memory.

Nobody is ever locked out for good, and strangers cannot lock out anybody else:

- Failures count for whom they came from (an address and a user together, and an address alone). These wait long.
- For the user alone they count too, against guessing from many addresses at once; but that wait stays short, and does
  not touch a browser that this user has logged in from before: it carries a mark, and is counted by that mark alone.

Counted is the beginning of an attempt, and taken back when it succeeds: a hundred attempts at the same moment are a
hundred. What the other controllers of a store have counted is learned before each attempt.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.errors import TooManyAttempts
from holdfast.sentences import Sentence

MOST_COUNTERS = 10_000  # of each kind


@dataclass(frozen=True, slots=True)
class Rule:
    """`free` failures cost nothing; the next makes wait `first` seconds, each further one twice that, up to `longest`.

    After `forget` seconds without a failure there were none.
    """

    free: int
    first: float
    longest: float
    forget: float


RULES = {
    "pair": Rule(free=5, first=1, longest=900, forget=3600),  # a user from an address
    "marked": Rule(free=5, first=1, longest=900, forget=3600),  # a user from a browser that is known
    "address": Rule(free=30, first=1, longest=900, forget=3600),  # one address, many users
    "user": Rule(free=50, first=1, longest=30, forget=900),  # one user, many addresses
    "join": Rule(free=10, first=1, longest=300, forget=3600),  # join tokens from an address
    "audit": Rule(free=200, first=60, longest=60, forget=3600),  # refusals of strangers that are worth a record
}
Counted = tuple[str, str]  # a kind out of RULES, and of what


@dataclass(frozen=True, slots=True)
class Failures:
    """How often something failed, and when for the last time (steady seconds)."""

    count: int
    last: float


def forgotten(failures: Failures, rule: Rule, now: float) -> bool:
    """Whether it is so long ago that it counts no more."""
    return now - failures.last >= rule.forget


def wait(failures: Failures | None, rule: Rule, now: float) -> float:
    """Seconds until the next attempt is looked at; 0: now."""
    if failures is None or failures.count < rule.free or forgotten(failures, rule, now):
        return 0.0
    doubled = min(failures.count - rule.free, 30)  # 2^30 is beyond every `longest`, and a float still
    return max(0.0, failures.last + min(rule.first * 2.0**doubled, rule.longest) - now)


def failed(failures: Failures | None, rule: Rule, now: float) -> Failures:
    """One more failure."""
    return Failures(1 if failures is None or forgotten(failures, rule, now) else failures.count + 1, now)


def network_of(address: str) -> str:
    """What counts as one address: for IPv6 its /64, which one machine has whole."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:100]
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def login_counters(user: str, address: str, mark: str | None) -> tuple[Counted, ...]:
    """What a login is counted by. `mark` is that of a browser which this user has proved to own, or None."""
    where = network_of(address)
    if mark is not None:
        return (("marked", f"{user}\n{mark}"),)
    return (("pair", f"{user}\n{where}"), ("address", where), ("user", user))


class Throttle:
    """The counters. Those that were not touched for longest go first when there are too many."""

    def __init__(self, most: int = MOST_COUNTERS) -> None:
        self._most = most
        self._counters: dict[str, OrderedDict[str, Failures]] = {kind: OrderedDict() for kind in RULES}

    def learn(self, known: Mapping[Counted, Failures]) -> None:
        """What others counted, where it is more than is known here."""
        for (kind, what), theirs in known.items():
            counters = self._counters[kind]
            ours = counters.get(what)
            if ours is None or ours.count < theirs.count:
                self._set(kind, what, Failures(theirs.count, max(theirs.last, ours.last if ours else theirs.last)))

    def begin(self, counted: Sequence[Counted], now: float) -> None:
        """Count an attempt as failed until it succeeds; TooManyAttempts if one of its counters says wait.

        An attempt that has to wait is not looked at and not counted: impatience alone never makes it longer.
        """
        longest = max(wait(self._counters[kind].get(what), RULES[kind], now) for kind, what in counted)
        if longest > 0:
            raise TooManyAttempts(
                "too many failed attempts",
                Sentence("try again in %(seconds)s s", seconds=math.ceil(longest)),
                wait=longest,
            )
        for kind, what in counted:
            self._set(kind, what, failed(self._counters[kind].get(what), RULES[kind], now))

    def _set(self, kind: str, what: str, failures: Failures) -> None:
        counters = self._counters[kind]
        counters[what] = failures
        counters.move_to_end(what)
        if len(counters) > self._most:
            counters.popitem(last=False)

    def succeeded(self, counted: Sequence[Counted]) -> None:
        """The attempt that began so was right: what is counted of this person is forgotten, of others one failure."""
        for kind, what in counted:
            before = self._counters[kind].pop(what, None)
            # An address or a name is shared with others, whose failures a success of one does not undo.
            if before and kind in ("address", "user") and before.count > 1:
                self._counters[kind][what] = Failures(before.count - 1, before.last)

    def taken_back(self, counted: Sequence[Counted]) -> None:
        """The attempt that began so was not looked at: it does not count, and what was counted before stays."""
        for kind, what in counted:
            before = self._counters[kind].pop(what, None)
            if before and before.count > 1:
                self._counters[kind][what] = Failures(before.count - 1, before.last)

    def size(self) -> int:
        """How many counters are kept."""
        return sum(len(counters) for counters in self._counters.values())
