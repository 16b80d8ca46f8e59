"""An event loop whose time passes only when nobody has anything to do: patience of minutes costs a test nothing.

What waits for time does not depend on how quick the machine is, so the order of what happens is always the same.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from unittest.mock import patch

T = TypeVar("T")

_STUCK_S = 20.0  # of real time
_LONGEST_S = 20_000.0  # of virtual time


class _Selector(selectors.SelectSelector):
    """Does not wait, but tells the loop that it would have."""

    jump: Callable[[float], None]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            ready = super().select(_STUCK_S)
            assert ready, "everybody waits, and nothing will ever happen"
            return ready
        if timeout > 0:
            self.jump(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """As asyncio's own, but for time."""

    def __init__(self) -> None:
        self._now = 0.0
        selector = _Selector()
        selector.jump = self._jump
        super().__init__(selector)

    def time(self) -> float:
        return self._now

    def _jump(self, seconds: float) -> None:
        self._now += seconds


async def _here(function: Callable[..., T], /, *args: Any, **named: Any) -> T:
    """Other threads know nothing of virtual time."""
    return function(*args, **named)


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """Run a test's coroutine."""

    async def bounded() -> T:
        async with asyncio.timeout(_LONGEST_S):
            return await scenario

    with patch("asyncio.to_thread", _here), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(bounded())
