"""When tasks that look now and then do so: in the same moments, so that the processor is woken once for all of them."""

from __future__ import annotations

import asyncio
import random

_TOO_SOON = 0.1  # of a time: a timer may end a little early


class Beat:
    """Of one process: another one on the same machine looks in other moments."""

    def __init__(self) -> None:
        self._begin_s = random.random()

    async def rest(self, every_s: float) -> None:
        """Until the next multiple of `every_s`."""
        await asyncio.sleep(left_s(asyncio.get_running_loop().time() + self._begin_s, every_s))


def left_s(now_s: float, every_s: float) -> float:
    """Seconds until the next multiple; not to one that has just begun, or is about to."""
    left = every_s - now_s % every_s
    return left if left > _TOO_SOON * every_s else left + every_s
