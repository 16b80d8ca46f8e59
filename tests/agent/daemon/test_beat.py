"""Tasks that look now and then wake the processor together."""

from __future__ import annotations

import asyncio

import pytest
from tests.rollout.virtual import run

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
        woken: list[float] = []

        async def look(begin_s: float, every_s: float) -> None:
            await asyncio.sleep(begin_s)
            for _ in range(20):
                await beat.rest(every_s)
                woken.append((loop.time() + beat._begin_s) / 2)

        await asyncio.gather(look(0.0, 2.0), look(0.7, 4.0), look(5.3, 6.0))
        assert len(woken) == 60
        assert all(moment == pytest.approx(round(moment)) for moment in woken)

    run(scenario())
