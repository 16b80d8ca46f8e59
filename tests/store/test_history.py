"""The check of histories finds what it should: a check that cannot fail proves nothing."""

from __future__ import annotations

import pytest
from tests.store.history import Attempt, check_history


def good() -> list[Attempt]:
    return [
        Attempt(1, "1 a", version=2),
        Attempt(1, "1 b", refused=True),
        Attempt(2, "2 b", unsure=True),
        Attempt(3, "3 a", version=4),
    ]


def test_a_good_history_passes() -> None:
    check_history("0 start", good(), "3 a")
    check_history("0 start", [Attempt(1, "1 a", unsure=True)], "1 a")
    check_history("0 start", [Attempt(1, "1 a", unsure=True)], "0 start")


@pytest.mark.parametrize(
    ("attempts", "last"),
    [
        ([Attempt(1, "1 a", version=2), Attempt(1, "1 b", version=3)], "1 b"),  # one overwrote the other
        ([Attempt(1, "1 a", version=2), Attempt(2, "2 b", version=3)], "1 a"),  # a successful write is gone
        ([Attempt(1, "1 a", version=2), Attempt(2, "3 b", version=3)], "3 b"),  # a hole
        ([Attempt(1, "1 a", refused=True)], "1 a"),  # refused, and yet there
        ([Attempt(1, "1 a", version=2), Attempt(3, "1 b", version=4)], "1 b"),  # the count went back
    ],
)
def test_a_lost_update_is_found(attempts: list[Attempt], last: str) -> None:
    with pytest.raises(AssertionError):
        check_history("0 start", attempts, last)
