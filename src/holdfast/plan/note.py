"""The classes of harm that a change may do, and a note that says which and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Hazard(StrEnum):
    """From harmless to harmful; each change has the worst that applies."""

    LIVE = "live"  # no reload
    RELOAD = "reload"  # a program reads its configuration anew: kept-alive connections may be closed between requests
    SIMULTANEOUS = "simultaneous reload"  # all members at once: until both have it, both hold the addresses
    MOVES_VIP = "moves a VIP"  # answers on their way are cut, unless new connections are held back first
    DROPS_CONNECTIONS = "drops connections"

    @property
    def rank(self) -> int:
        """0 for the most harmless, rising."""
        return list(Hazard).index(self)

    @property
    def slug(self) -> str:
        """How the command line calls it: `drops-connections`."""
        return self.value.lower().replace(" ", "-")


@dataclass(frozen=True)
class HazardNote:
    """One hazard of a node's change and its reason, in a sentence."""

    hazard: Hazard
    reason: str
