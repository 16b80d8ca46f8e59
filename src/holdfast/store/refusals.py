"""Errors that every engine raises in the same words."""

from __future__ import annotations

from holdfast.errors import Conflict, LeaseLost, StoreUnavailable
from holdfast.sentences import Sentence

from .port import Check

_WENT, _CAME, _CHANGED = Sentence("is not there any more"), Sentence("is there already"), Sentence("was changed")


def conflict(check: Check, present: int) -> Conflict:
    """The error of a check that does not hold."""
    happened = _WENT if not present else _CAME if not check.version else _CHANGED
    return Conflict(
        Sentence(
            "%(key)s %(happened)s: somebody else was first (version %(version)s was expected, %(present)s is there)",
            key=check.key,
            happened=happened,
            version=check.version,
            present=present,
        ),
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
