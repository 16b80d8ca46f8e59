"""A long history is written beside everything else that the controller does."""

from __future__ import annotations

import asyncio

from tests.controller.operations.world import SPEC, new_desk, request, run

from holdfast.controller.operations import revisions
from holdfast.controller.operations.realtime import text_of
from holdfast.controller.realtime.seen import Seen
from holdfast.protocol.api.realtime import RealtimeView
from holdfast.protocol.realtime import MOST_SERIES, POINTS, Sample, WebKind, WebRow


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


def test_servers_are_told_as_the_spec_writes_them() -> None:
    async def story() -> None:
        desk = await new_desk()
        await revisions.apply(desk, "shop", request(SPEC, 0))
        seen = Seen("shop", "lb01")
        row = WebRow(engine="haproxy", kind=WebKind.SERVER, name="web01-80", pool="app.cookie")
        stray = row.model_copy(update={"name": "stray-80"})
        pool = row.model_copy(update={"kind": WebKind.POOL, "name": "app.cookie", "pool": ""})
        seen.sample = Sample(node="lb01", controller="one", web=(row, stray, pool))
        said = RealtimeView.model_validate_json(await text_of(desk.store, seen)).sample
        assert said is not None
        assert [one.name for one in said.web] == ["web01:80", "stray-80", "app.cookie"]

    run(story())
