"""Everything that Holdfast raises on purpose.

    HoldfastError                 what happened, where, and what to do; exit status 1
    ├── UsageError                the command was called wrongly; exit status 2
    │   └── SpecError             a spec (or scenario, or lock) with mistakes: carries findings; exit status 2
    ├── CompileError              the spec is sound, but a program cannot express it: carries findings
    ├── PlanRefused               a change that policy or safety forbids
    ├── StateForbids              how things are now does not allow it: there is one already, it has ended
    ├── ApplyError                a node could not be brought to the wanted state (it was put back)
    │   ├── PolicyRefused         the bundle asks for what this node's local policy does not allow
    │   ├── NotOurs               a file that Holdfast did not write is in the way
    │   ├── MissingModule         the kernel lacks a module that is needed
    │   ├── ValidationFailed      the program itself refused its configuration
    │   └── VerificationFailed    the program took it, but does not do what was expected
    ├── RolloutFailed             a rollout stopped; says which node and whether it was put back
    ├── LabError                  the lab could not be built or reached
    ├── StoreError                the store could not do what it was asked
    │   ├── Conflict              somebody else was first: carries the present version
    │   │   └── Outdated          a change made on a revision that is not the newest: carries both diffs
    │   ├── LeaseLost             the lease has expired or was given up
    │   ├── StoreUnavailable      locked, unreachable, without quorum: nothing was written; later it may work
    │   ├── StoreUnsure           the connection broke in the middle of a write: it may have happened or not
    │   ├── StoreFull             no space is left, or a record is larger than any may be
    │   └── StoreDamaged          what is there is no store, or cannot be read any more
    │       └── BundleNotWhole    what is kept of one bundle is not what was written
    ├── NotAuthenticated          who asks is not known: no or wrong password, token, session or certificate
    │   └── TooManyAttempts       … too often: carries the seconds to wait
    ├── NotPermitted              who asks is known, and may not do that
    ├── NotFound                  what was asked for is not there; exit status 2
    ├── EnrolmentRefused          a join token or a certificate request that is not accepted
    │   └── AuthorityChanged      a controller shows another certificate authority than the one that was pinned
    ├── ControllerUnreachable     no controller answered; everything on the node goes on as it was
    ├── NotTaken                  a controller does not take what an agent sent, however often it comes
    ├── SealBroken                something sealed cannot be opened with the key that is there, or the key is unfit
    ├── TableUnreadable           the kernel's IPVS table cannot be read: no IPVS, not permitted, or not understood
    └── MissingProgram            a program that is needed is not installed

Errors of other libraries are translated where they enter; nothing above the boundary sees them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.findings import Finding


class HoldfastError(Exception):
    """Root of the tree: `message` says what happened and where, `hint` what to do about it."""

    exit_status = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(HoldfastError):
    """The command was called wrongly."""

    exit_status = 2


class _WithFindings(HoldfastError):
    def __init__(self, message: str, findings: Sequence[Finding], hint: str = "") -> None:
        super().__init__(message, hint)
        self.findings: tuple[Finding, ...] = tuple(findings)


class SpecError(_WithFindings, UsageError):
    """A spec, scenario or lock with mistakes; `findings` names each with its line."""


class CompileError(_WithFindings):
    """The spec is sound, but one of the programs cannot express what it asks for."""


class PlanRefused(HoldfastError):
    """A change that policy or safety forbids, refused before anything was touched."""


class StateForbids(HoldfastError):
    """How things are now does not allow what was asked: there is one of that name already, or it has ended."""


class ApplyError(HoldfastError):
    """A node could not be brought to the wanted state; `program_line` quotes the program that refused, if one did."""

    def __init__(self, message: str, hint: str = "", program_line: str = "") -> None:
        super().__init__(message, hint)
        self.program_line = program_line


class PolicyRefused(ApplyError):
    """The bundle asks for something that the node's own policy does not allow."""


class NotOurs(ApplyError):
    """A file that Holdfast did not write, or that was changed by hand, is in the way."""


class MissingModule(ApplyError):
    """The node's kernel lacks a module, and cannot load it; nothing was touched."""


class ValidationFailed(ApplyError):
    """A program refused its new configuration; the old one was never touched."""


class VerificationFailed(ApplyError):
    """A program took its new configuration, but does not do what was expected of it."""


class RolloutFailed(HoldfastError):
    """A rollout stopped before its end."""


class LabError(HoldfastError):
    """The lab could not be built, reached or taken down."""


class StoreError(HoldfastError):
    """The store could not do what it was asked."""


class Conflict(StoreError):
    """A write that relied on a version which is not there any more. Nothing of it was written.

    `key` is what it relied on, `expected` the version that it took for granted, `present` the one that is there now;
    0 stands for "not there".
    """

    def __init__(self, message: str, hint: str = "", *, key: str = "", expected: int = 0, present: int = 0) -> None:
        super().__init__(message, hint)
        self.key = key
        self.expected = expected
        self.present = present


class Outdated(Conflict):
    """A change of a spec that was made on a revision which is not the newest. Nothing was written.

    `theirs` is what others changed since `base`, `yours` what the change makes of it, both as unified diffs.
    """

    def __init__(
        self, message: str, hint: str = "", *, base: int, newest: int, theirs: str = "", yours: str = ""
    ) -> None:
        super().__init__(message, hint, key="revision", expected=base, present=newest)
        self.theirs = theirs
        self.yours = yours


class LeaseLost(StoreError):
    """A lease has expired or was given up, and with it everything that was held under it."""


class StoreUnavailable(StoreError):
    """The store is locked, unreachable or without quorum. Nothing was written; the same may work later."""


class StoreUnsure(StoreError):
    """The connection broke in the middle of a write: it may have happened or not. Read before you repeat it."""


class StoreFull(StoreError):
    """No space is left, or a record is larger than any may be. Nothing was written."""


class StoreDamaged(StoreError):
    """What is there is no store, or one that cannot be read any more."""


class BundleNotWhole(StoreDamaged):
    """What is kept of a bundle is not what was written: to drop it loses nothing. Never what is only not understood."""


class NotAuthenticated(HoldfastError):
    """Who asks is not known. The message never says which part was wrong where a stranger could learn from it."""


class TooManyAttempts(NotAuthenticated):
    """Too many failed attempts; the next one is looked at after `wait` seconds."""

    def __init__(self, message: str, hint: str = "", *, wait: float = 0.0) -> None:
        super().__init__(message, hint)
        self.wait = wait


class NotPermitted(HoldfastError):
    """Who asks is known, and may not do that."""


class NotFound(HoldfastError):
    """What was asked for by its name or number is not there; to whoever gave it on a command line, a wrong call."""

    exit_status = 2


class EnrolmentRefused(HoldfastError):
    """A node does not get a certificate: the token or the request is not accepted. Nothing was changed."""


class AuthorityChanged(EnrolmentRefused):
    """A controller shows another certificate authority than the pinned one. No secret was sent to it."""


class ControllerUnreachable(HoldfastError):
    """No controller answered, or the connection broke. What runs on the node goes on; it is tried again."""


class NotTaken(HoldfastError):
    """A controller does not take what it was sent, or lacks what it was asked for; sending it again does not help."""


class SealBroken(HoldfastError):
    """Something sealed cannot be opened with the key that is there, or the file with the key is unfit."""


class TableUnreadable(HoldfastError):
    """The kernel's IPVS table, or a copy of it that another machine sent, could not be read or understood."""


class MissingProgram(HoldfastError):
    """A program that is needed is not installed."""
