"""A long history is written beside everything else that the controller does."""

from __future__ import annotations

import asyncio

from tests.controller.operations.world import new_desk, run

from holdfast.controller.operations.realtime import text_of
from holdfast.controller.realtime.seen import Seen
from holdfast.protocol.api.realtime import RealtimeView
from holdfast.protocol.realtime import MOST_SERIES, POINTS


def test_while_a_history_is_written_others_are_served_and_samples_come_in() -> None:
    async def story() -> None:
        desk = await new_desk()
        seen = Seen("shop", "lb01")
        for number in range(POINTS):
            seen.ring.add(number, {f"server {each}": (1.5, 2.5, 3.5, float(number)) for each in range(MOST_SERIES)})
        writing = asyncio.create_task(text_of(desk.store, seen, history=True))
        turns = 0
        while not writing.done():
            turns += 1
            if turns == 2:  # in the middle
                seen.ring.add(POINTS, {"new": (1.0, 1.0, 1.0, 1.0)})
            await asyncio.sleep(0.001)
        assert turns > 10
        history = RealtimeView.model_validate_json(await writing).history
        assert [one.number for one in history] == list(range(POINTS))
        assert all(len(one.values) == MOST_SERIES for one in history)

    run(story())
