"""Which entries of a long list show what is inside them: as its address says, or by how much there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

OPEN_BY_ITSELF = 60  # entries inside: of more, only what somebody opens is shown
ALL, NONE = "*", "-"


@dataclass(frozen=True, slots=True)
class Opened:
    """What is open; `query` says it again, and `toggled` what the address is with one more or less."""

    names: frozenset[str]
    known: tuple[str, ...]
    inside: int

    @property
    def query(self) -> str:
        """As an address says it."""
        return _query(self.known, self.names)

    def toggled(self, name: str) -> str:
        """As an address says it with this one opened or closed."""
        return _query(self.known, self.names ^ {name})

    @property
    def all(self) -> str:
        """With all of them open."""
        return urlencode({"open": ALL})

    @property
    def none(self) -> str:
        """With none of them open."""
        return urlencode({"open": NONE})

    @property
    def is_all(self) -> bool:
        """Whether all are open."""
        return len(self.names) == len(self.known)


def opened(entries: Sequence[tuple[str, int]], wanted: Sequence[str] | None) -> Opened:
    """Of entries with how much is inside each: those that `wanted` names, or all if that is not too much."""
    known, inside = tuple(name for name, _ in entries), sum(count for _, count in entries)
    if not wanted:
        names = frozenset(known) if inside <= OPEN_BY_ITSELF else frozenset()
    elif ALL in wanted:
        names = frozenset(known)
    else:
        names = frozenset(wanted) & frozenset(known)
    return Opened(names, known, inside)


def _query(known: tuple[str, ...], names: frozenset[str]) -> str:
    if not names:
        return urlencode({"open": NONE})
    if len(names) == len(known):
        return urlencode({"open": ALL})
    return urlencode([("open", name) for name in known if name in names])
