"""Errors that every engine raises in the same words."""

from __future__ import annotations

from holdfast.errors import Conflict, LeaseLost, StoreUnavailable

from .port import Check


def conflict(check: Check, present: int) -> Conflict:
    """The error of a check that does not hold."""
    happened = "is not there any more" if not present else "is there already" if not check.version else "was changed"
    return Conflict(
        f"{check.key} {happened}: somebody else was first (version {check.version} was expected, {present} is there)",
        "read it again and repeat what you did, if it still makes sense",
        key=check.key,
        expected=check.version,
        present=present,
    )


def lease_lost() -> LeaseLost:
    """The error of a lease that is not there."""
    return LeaseLost("the lease has ended, and with it everything that was held under it", "take a new one")


def closed() -> StoreUnavailable:
    """The error of an engine that was closed."""
    return StoreUnavailable("the store was closed", "open it again")
