"""Two people's changes brought together: what only one changed is taken, what both changed is shown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.controller.operations import merging
from holdfast.controller.operations.merging import BEGIN, END, MIDDLE, merged
from holdfast.errors import UsageError

BASE = "a\nb\nc\nd\ne\nf\n"


@pytest.mark.parametrize(
    ("yours", "theirs", "both"),
    [
        (BASE, BASE, BASE),
        (BASE.replace("b", "B"), BASE, BASE.replace("b", "B")),
        (BASE, BASE.replace("b", "B"), BASE.replace("b", "B")),
        (BASE.replace("b", "B"), BASE.replace("e", "E"), "a\nB\nc\nd\nE\nf\n"),
        (BASE.replace("b\n", ""), BASE.replace("e\n", "e\ne2\n"), "a\nc\nd\ne\ne2\nf\n"),
        (BASE.replace("b", "B"), BASE.replace("b", "B"), BASE.replace("b", "B")),
        (f"0\n{BASE}", f"{BASE}g\n", f"0\n{BASE}g\n"),
        ("", BASE, ""),
    ],
)
def test_what_does_not_touch_is_brought_together(yours: str, theirs: str, both: str) -> None:
    found = merged(BASE, yours, theirs, "revision 2")
    assert (found.text, found.conflicts) == (both, 0)


def test_what_both_changed_stands_twice_between_marks() -> None:
    found = merged(BASE, BASE.replace("c", "mine"), BASE.replace("c", "theirs"), "revision 2")
    assert found.conflicts == 1
    marked = [f"{BEGIN} yours", "mine", MIDDLE, "theirs", f"{END} revision 2"]
    assert found.text.splitlines() == ["a", "b", *marked, "d", "e", "f"]


def test_a_last_line_without_an_end_does_not_run_into_a_mark() -> None:
    found = merged("a\nb", "a\nmine", "a\ntheirs", "x")
    assert f"mine\n{MIDDLE}\ntheirs\n{END} x" in found.text


def test_what_would_take_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "_MOST_LINES", 5)
    with pytest.raises(UsageError, match="too long"):
        merged(BASE, f"0\n{BASE}1\n", BASE, "x")
    assert merged(BASE * 100, BASE * 100 + "mine\n", BASE * 100, "x").conflicts == 0  # what is the same does not count


def test_what_is_compared_is_over_soon() -> None:
    with pytest.raises(UsageError, match="too long"):
        merged("".join(f"{n}\n" for n in range(4000)), "mine\n", "theirs\n", "x")


TEXTS = st.lists(st.sampled_from("abc"), max_size=12).map(lambda lines: "".join(f"{line}\n" for line in lines))


@settings(max_examples=100, deadline=None, database=None)
@given(TEXTS, TEXTS, TEXTS)
def test_who_changes_nothing_gets_the_others_and_sides_are_alike(base: str, yours: str, theirs: str) -> None:
    assert merged(base, base, theirs, "x").text == theirs
    assert merged(base, yours, base, "x").text == yours
    assert merged(base, yours, yours, "x").text == yours
    assert merged(base, yours, theirs, "x").conflicts == merged(base, theirs, yours, "x").conflicts
