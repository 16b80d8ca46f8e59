"""Every error that a user may meet goes over the API and comes out as what it was."""

from __future__ import annotations

import pytest

from holdfast import errors
from holdfast.errors import Conflict, HoldfastError, Outdated, SpecError, TooManyAttempts
from holdfast.findings import Finding, Severity
from holdfast.protocol.api.problems import Problem, code_of, error_of, problem_of

PLAIN = [
    kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, HoldfastError) and not name.startswith("_")
    and kind not in (Outdated, TooManyAttempts) and "findings" not in kind.__init__.__code__.co_varnames
]  # fmt: skip


def carried(error: HoldfastError) -> HoldfastError:
    """What comes out at the other end."""
    return error_of(Problem.model_validate_json(problem_of(error).model_dump_json()))


@pytest.mark.parametrize("kind", PLAIN, ids=lambda kind: kind.__name__)
def test_an_error_stays_what_it_was(kind: type[HoldfastError]) -> None:
    found = carried(kind("what happened", "what to do"))
    assert type(found) is kind
    assert (found.message, found.hint) == ("what happened", "what to do")


def test_findings_are_carried() -> None:
    finding = Finding(code="SPEC001", severity=Severity.ERROR, message="no such node")
    found = carried(SpecError("one mistake", [finding]))
    assert isinstance(found, SpecError)
    assert found.findings == (finding,)


def test_an_outdated_change_carries_both_diffs() -> None:
    found = carried(Outdated("made from 1, 3 is the newest", base=1, newest=3, theirs="+a\n", yours="+b\n"))
    assert isinstance(found, Outdated)
    assert (found.expected, found.present, found.theirs, found.yours) == (1, 3, "+a\n", "+b\n")


def test_how_long_to_wait_is_carried() -> None:
    found = carried(TooManyAttempts("too often", wait=12.5))
    assert isinstance(found, TooManyAttempts)
    assert found.wait == 12.5


def test_codes_are_words() -> None:
    assert code_of(Conflict("x")) == "conflict"
    assert code_of(TooManyAttempts("x")) == "too_many_attempts"


def test_an_error_of_a_newer_controller_is_told_as_it_is() -> None:
    problem = Problem.model_validate({"error": {"code": "from_the_future", "message": "m", "hint": "h", "more": 1}})
    found = error_of(problem)
    assert type(found) is HoldfastError
    assert found.message == "m"
