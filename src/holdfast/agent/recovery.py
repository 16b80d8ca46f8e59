"""What an interrupted attempt needs: a pure decision over the journal's entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from holdfast.agent.journal import (
    Begin,
    Ended,
    Entry,
    NetworkBefore,
    NftablesBefore,
    RollingBack,
    Swapping,
    SysctlsBefore,
    Touching,
    UnitsBefore,
    Validated,
    Verified,
)


@dataclass(frozen=True)
class Nothing:
    """No attempt is open."""


@dataclass(frozen=True)
class Attempt:
    """What an open attempt may have done to the node. Everything here may have happened, or not quite yet."""

    begin: Begin
    sysctls: SysctlsBefore | None = None
    network: NetworkBefore | None = None
    units: UnitsBefore | None = None
    swapping: Swapping | None = None
    nftables: NftablesBefore | None = None
    touched: tuple[Touching, ...] = ()
    verified: bool = False
    failed: str = ""


@dataclass(frozen=True)
class Finish:
    """The new state was verified: only the book-keeping is missing."""

    attempt: Attempt


@dataclass(frozen=True)
class RollBack:
    """Put back everything that `attempt` names, the last service touched first; doing it twice is harmless."""

    attempt: Attempt


Action = Nothing | Finish | RollBack


def decide(entries: Sequence[Entry]) -> Action:
    """Total over any prefix of a journal: finish what was verified, roll back what was not, else nothing.

    An attempt that began to roll back never turns round: it is not in the new state any more.
    """
    attempt: Attempt | None = None
    for entry in entries:
        if isinstance(entry, Begin):
            attempt = Attempt(entry)
        elif isinstance(entry, Ended):
            attempt = None
        elif attempt is not None:
            attempt = _with(attempt, entry)
    if attempt is None:
        return Nothing()
    if attempt.verified and not attempt.failed:
        return Finish(attempt)
    return RollBack(attempt)


def is_staged(entries: Sequence[Entry]) -> bool:
    """Whether an attempt is open that every program has accepted, and that has not touched one of them yet."""
    return bool(entries) and isinstance(entries[-1], Validated)


def _with(attempt: Attempt, entry: Entry) -> Attempt:
    match entry:
        case SysctlsBefore():
            return replace(attempt, sysctls=entry)
        case NetworkBefore():
            return replace(attempt, network=entry)
        case UnitsBefore():
            return replace(attempt, units=entry)
        case Swapping():
            return replace(attempt, swapping=entry)
        case NftablesBefore():
            return replace(attempt, nftables=entry)
        case Touching():
            # Only what was true before the attempt counts: a service touched twice keeps its first entry.
            known = any(touched.service is entry.service for touched in attempt.touched)
            return attempt if known else replace(attempt, touched=(*attempt.touched, entry))
        case Verified():
            return replace(attempt, verified=True)
        case RollingBack():
            return replace(attempt, failed=attempt.failed or entry.reason)
        case _:
            return attempt
