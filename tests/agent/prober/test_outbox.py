"""When the prober sends mail: whatever happens, few mails, every change told once or counted, nothing without end."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.agent.prober.outbox import (
    AT_MOST,
    BURST,
    INTERVAL_S,
    RETRY_S,
    SETTLE_S,
    SLOW_INTERVAL_S,
    WINDOW_S,
    Batch,
    Change,
    Outbox,
    added,
    delivered,
    due,
    failed,
    retry_after,
    taken,
)

DOWN = Change("web", "web01-80", "10.0.0.7:80", False, "2026-01-02T03:04:05.678+00:00", "HTTP 503", False, 2, 3)


def numbered(number: int) -> Change:
    return replace(DOWN, server=f"web{number}")


@given(st.lists(st.tuples(st.floats(0, 40), st.sampled_from(["took", "took", "later"])), min_size=1, max_size=120))
def test_every_change_is_told_once_in_its_order_and_mails_are_few(story: list[tuple[float, str]]) -> None:
    """A change each so many seconds; how the mail server takes what is due in between."""
    box, now, told, moments = Outbox(), 0.0, [], []
    came: dict[str, float] = {}
    failures = 0
    for number, (pause, outcome) in enumerate(story):
        until = now + pause
        while (moment := due(box)) is not None and moment <= until:
            now = max(now, moment)
            batch, box = taken(box)
            assert due(box) is None
            if outcome == "later":
                box = failed(box, batch, now)
                failures += 1
                assert due(box) == pytest.approx(max(now + retry_after(box.failures - 1), due(box) or 0))
                assert (due(box) or 0) > now
            else:
                told += batch.changes
                moments.append(now)
                box = delivered(box, now)
                if not failures:
                    assert all(now - came[change.server] <= SETTLE_S + SLOW_INTERVAL_S for change in batch.changes)
        now = until
        came[f"web{number}"] = now
        box = added(box, numbered(number), now)
    told += taken(box)[0].changes
    assert [change.server for change in told] == [f"web{number}" for number in range(len(story))]
    assert all(later - earlier >= INTERVAL_S - 1e-6 for earlier, later in pairwise(moments))
    for start in moments:
        within = [moment for moment in moments if start <= moment < start + WINDOW_S]
        assert len(within) <= BURST + WINDOW_S / SLOW_INTERVAL_S + 1


def test_what_comes_within_a_moment_is_in_one_mail() -> None:
    box = Outbox()
    for number, now in enumerate((100.0, 100.1, 100.0 + SETTLE_S - 0.1)):
        box = added(box, numbered(number), now)
    assert due(box) == pytest.approx(100.0 + SETTLE_S)
    batch, box = taken(box)
    assert len(batch.changes) == 3
    box = added(delivered(box, 103.0), DOWN, 103.5)
    assert due(box) == pytest.approx(103.0 + INTERVAL_S)


def test_nothing_waits_without_end_and_what_is_left_out_is_counted() -> None:
    box = Outbox()
    for number in range(AT_MOST + 7):
        box = added(box, numbered(number), 1.0)
    assert len(box.waiting.changes) == AT_MOST
    assert (box.waiting.left_out, box.waiting.changes[-1].server) == (7, f"web{AT_MOST + 6}")
    batch, box = taken(box)
    box = failed(added(added(box, DOWN, 2.0), DOWN, 2.0), batch, 3.0)
    assert (len(box.waiting.changes), box.waiting.left_out) == (AT_MOST, 9)
    batch, box = taken(box)
    assert delivered(box, 9.0).waiting == Batch(())


@given(st.integers(0, 10_000))
def test_a_mail_server_that_is_away_is_asked_more_and_more_seldom(failures: int) -> None:
    assert RETRY_S[0] <= retry_after(failures) <= retry_after(failures + 1) <= RETRY_S[1]
    assert retry_after(9) == RETRY_S[1]
