"""Tasks that look now and then wake the processor together."""

from __future__ import annotations

import asyncio

import pytest

from holdfast.agent.daemon.beat import Beat, left_s


@pytest.mark.parametrize(
    ("now_s", "every_s", "left"),
    [(10.0, 3.0, 2.0), (11.5, 3.0, 0.5), (12.0, 3.0, 3.0), (11.9999, 3.0, 3.0001), (12.0001, 3.0, 2.9999), (5.0, 2, 1)],
)
def test_the_next_moment_is_a_multiple_and_none_that_is_just_there(now_s: float, every_s: float, left: float) -> None:
    assert left_s(now_s, every_s) == pytest.approx(left)


def test_who_looks_at_different_times_looks_in_the_same_moments() -> None:
    async def scenario() -> None:
        loop, beat = asyncio.get_running_loop(), Beat()
        woken: dict[float, list[float]] = {0.1: [], 0.2: [], 0.3: []}

        async def look(every_s: float) -> None:
            for _ in range(round(0.6 / every_s)):
                await beat.rest(every_s)
                woken[every_s].append((loop.time() + beat._begin_s) / 0.1 % 1)

        await asyncio.gather(*(look(every_s) for every_s in woken))
        at = [moment for each in woken.values() for moment in each]
        assert len(at) == 11
        assert sum(min(moment, 1 - moment) < 0.3 for moment in at) > 8  # a busy machine may be late, now and then

    asyncio.run(scenario())
