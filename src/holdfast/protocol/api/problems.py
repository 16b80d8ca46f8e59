"""What the API answers when something was not done: one shape for every error, and the errors that it stands for."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from holdfast import errors
from holdfast.errors import Conflict, HoldfastError, Outdated, TooManyAttempts
from holdfast.findings import Finding

from .base import Count, Saying, Told

_MOST_FINDINGS = 1000


class OutdatedDetails(Told):
    """A change was made on a revision that is not the newest: what both sides changed since, as unified diffs."""

    base: Count
    newest: Count
    theirs: str = Field(description="What others changed since `base`.")
    yours: str = Field(description="What this change makes of `base`.")


class ProblemDetails(Told):
    """`code` is stable and made of the error's name: `outdated`, `plan_refused`, `not_permitted`."""

    code: str = Field(examples=["outdated"])
    message: Saying = Field(examples=["this was made from revision 3, but revision 4 is the newest"])
    hint: Saying = ""
    findings: Annotated[tuple[Finding, ...], Field(max_length=_MOST_FINDINGS)] = ()
    outdated: OutdatedDetails | None = None
    wait_s: float | None = Field(default=None, description="Seconds until it is worth trying again.")


class Problem(Told):
    """The body of every answer with a status of 400 or more."""

    error: ProblemDetails


def code_of(error: HoldfastError) -> str:
    """`PlanRefused` → `plan_refused`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(error).__name__).lower()


def problem_of(error: HoldfastError) -> Problem:
    """An error as the API says it."""
    findings: tuple[Finding, ...] = tuple(getattr(error, "findings", ()))[:_MOST_FINDINGS]
    details = ProblemDetails(
        code=code_of(error),
        message=error.message,
        hint=error.hint,
        findings=findings,
        outdated=_outdated(error),
        wait_s=error.wait if isinstance(error, TooManyAttempts) else None,
    )
    return Problem(error=details)


def _outdated(error: HoldfastError) -> OutdatedDetails | None:
    if not isinstance(error, Outdated):
        return None
    return OutdatedDetails(base=error.expected, newest=error.present, theirs=error.theirs, yours=error.yours)


def error_of(problem: Problem) -> HoldfastError:
    """The error that a problem stands for; one of a kind that is not known here is a plain HoldfastError."""
    said = problem.error
    kind = _KINDS.get(said.code, HoldfastError)
    if issubclass(kind, errors.SpecError | errors.CompileError):
        return kind(said.message, said.findings, said.hint)
    if issubclass(kind, Outdated) and said.outdated is not None:
        about = said.outdated
        return kind(
            said.message, said.hint, base=about.base, newest=about.newest, theirs=about.theirs, yours=about.yours
        )
    if issubclass(kind, TooManyAttempts):
        return kind(said.message, said.hint, wait=said.wait_s or 0.0)
    if issubclass(kind, Outdated):
        return Conflict(said.message, said.hint)
    return kind(said.message, said.hint)


def _all(kind: type[HoldfastError]) -> list[type[HoldfastError]]:
    return [kind, *(inner for each in kind.__subclasses__() for inner in _all(each))]


_KINDS: dict[str, type[HoldfastError]] = {
    re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.__name__).lower(): kind
    for kind in _all(HoldfastError)
    if kind.__module__ == errors.__name__
} | {"invalid_request": errors.UsageError}  # refused before any of ours was raised: it does not fit the document
