"""Which controller is tried next, and when: pure."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

FIRST_S = 1.0
LONGEST_S = 30.0
GOOD_S = 30.0  # a stream that lived so long forgives what was before


def order_for(node: str, controllers: Sequence[str]) -> tuple[str, ...]:
    """The same list, begun at a place of the node's own: so agents spread, and a node comes back to the same one."""
    start = zlib.crc32(node.encode()) % len(controllers)
    return (*controllers[start:], *controllers[:start])


@dataclass(frozen=True)
class Rotation:
    """`at` is the controller in turn; `failures` counts those in a row."""

    controllers: tuple[str, ...]
    at: int = 0
    failures: int = 0

    @property
    def controller(self) -> str:
        """Whom to call now."""
        return self.controllers[self.at % len(self.controllers)]

    def failed(self, lived_s: float = 0.0) -> Rotation:
        """After a connection that could not be made, or broke after `lived_s` seconds: the next one is in turn."""
        before = 0 if lived_s >= GOOD_S else self.failures
        return replace(self, at=(self.at + 1) % len(self.controllers), failures=before + 1)

    def wait_s(self, jitter: float) -> float:
        """How long to wait before that call; `jitter` from 0 to 1.

        Doubled with each round of all controllers. Half of it at random, at first all of it: a thousand agents that
        lost the same controller must not come back together.
        """
        rounds = (self.failures - 1) // len(self.controllers)
        if self.failures == 0:
            return 0.0
        if rounds == 0:
            return FIRST_S * jitter
        return float(min(FIRST_S * 2.0 ** min(rounds, 16), LONGEST_S)) * (0.5 + 0.5 * jitter)
