"""Two specs compared: as difflib says it, without what is the same, and never for longer than somebody waits."""

from __future__ import annotations

import difflib
import threading
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controller.operations.agents import report
from tests.controller.operations.world import MORE_WEIGHT, SPEC, end_rollout, new_desk, request, run

from holdfast.controller.operations import proposals, revisions
from holdfast.controller.operations.proposals import text_diff
from holdfast.errors import Outdated

LINES = st.lists(st.sampled_from("abcd"), max_size=14).map(lambda lines: "".join(f"{line}\n" for line in lines))


def whole(old: str, new: str) -> str:
    """The same with nothing left out before."""
    lines = difflib.unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), "old", "new")
    return "".join(lines)


def applied(old: str, diff: str) -> str:
    """A text after a unified diff of it, whose places have to be right."""
    lines, found, at = old.splitlines(keepends=True), list[str](), 0
    for line in diff.splitlines(keepends=True)[2:]:
        if line.startswith("@@"):
            start, _, count = line.split()[1][1:].partition(",")
            begin = int(start) - (count != "0")
            found += lines[at:begin]
            at = begin
        elif line.startswith("+"):
            found.append(line[1:])
        else:
            assert lines[at] == line[1:]
            found += [lines[at]] if line.startswith(" ") else []
            at += 1
    return "".join(found + lines[at:])


@settings(max_examples=100, deadline=None, database=None)
@given(LINES, LINES, LINES, LINES)
def test_a_diff_leads_from_one_text_to_the_other(head: str, old: str, new: str, tail: str) -> None:
    before, after = head * 3 + old + tail, head * 3 + new + tail
    assert applied(before, text_diff(before, after, "old", "new")) == after


def test_places_and_context_are_those_of_the_whole_texts() -> None:
    base = "".join(f"line {n}\n" for n in range(100))
    changed = base.replace("line 40\n", "forty\n").replace("line 60\n", "")
    assert text_diff(base, changed, "old", "new") == whole(base, changed)
    assert text_diff(base, f"{base}end", "old", "new").endswith("+end\n\\ No newline at end\n")
    assert text_diff(base, base, "old", "new") == ""


def test_texts_that_would_take_too_long_are_not_compared_but_a_small_change_of_a_long_one_is() -> None:
    long = "".join(f"{n % 150}\n" for n in range(200_000))
    assert "too long to be compared" in text_diff(long, "".join(f"{n % 149}\n" for n in range(200_000)), "old", "new")
    small = text_diff(f"{long}a\n{long}", f"{long}b\n{long}", "old", "new")
    assert small.splitlines()[2] == "@@ -199998,7 +199998,7 @@"
    assert text_diff("", long, "old", "new").startswith("--- old\n+++ new\n@@ -0,0 +1,200000 @@\n")


def test_nothing_is_compared_where_everybody_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    where: list[threading.Thread] = []

    def noted(*texts: str) -> str:
        where.append(threading.current_thread())
        return text_diff(*texts)

    async def story() -> None:
        desk = await new_desk()
        await revisions.apply(desk, "shop", request(SPEC, 0))
        await proposals.propose(desk, "shop", MORE_WEIGHT)
        with pytest.raises(Outdated) as told:
            await proposals.propose(desk, "shop", MORE_WEIGHT, 0)
        assert told.value.yours

    monkeypatch.setattr(proposals, "text_diff", noted)
    run(story())
    assert len(where) >= 3
    assert threading.main_thread() not in where


def test_a_plan_names_the_nodes_whose_agents_are_too_old_for_what_they_would_get() -> None:
    async def story() -> None:
        desk = await new_desk()
        assert (await proposals.propose(desk, "shop", SPEC)).plan.too_old == ()  # nobody has told anything
        await report(desk, "lb01")
        await report(desk, "lb02", knows_lists=True)
        assert (await proposals.propose(desk, "shop", SPEC)).plan.too_old == ("lb01",)
        await end_rollout(desk, await revisions.apply(desk, "shop", request(SPEC, 0)))
        assert (await proposals.propose(desk, "shop", SPEC)).plan.too_old == ()  # it gets nothing
        assert (await proposals.propose(desk, "shop", MORE_WEIGHT)).plan.too_old == ("lb01",)
        await report(desk, "lb01", desk.now() + timedelta(seconds=1), knows_lists=True)
        assert (await proposals.propose(desk, "shop", MORE_WEIGHT)).plan.too_old == ()

    run(story())
