"""Which of several controllers it is: asked one after the other without waiting long for one that says nothing.

As RFC 8305 does it for addresses: who fails makes room for the next at once, who is silent after a moment, and goes on
being waited for. The first that answers as it should ends the search.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from holdfast.errors import HoldfastError

T = TypeVar("T")
STAGGER_S = 0.25
MOST_AT_ONCE = 4  # each is sent a whole sample


async def first_found(
    places: Iterable[str],
    ask: Callable[[str], Awaitable[T | None]],
    let_go: Callable[[T], Awaitable[None]],
    stagger_s: float = STAGGER_S,
) -> T | None:
    """What `ask` finds at the first place where it finds something; what it finds elsewhere too late is let go.

    `ask` lets go itself of what it began when it is cancelled.
    """
    left, asking = deque(dict.fromkeys(places)), set[asyncio.Task[T | None]]()
    try:
        while left or asking:
            if left and len(asking) < MOST_AT_ONCE:
                asking.add(asyncio.ensure_future(ask(left.popleft())))
            soon = stagger_s if left and len(asking) < MOST_AT_ONCE else None
            done, _ = await asyncio.wait(asking, timeout=soon, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                found = task.result()
                asking.discard(task)
                if found is not None:
                    return found
        return None
    finally:
        await _ended(asking, let_go)


async def _ended(asking: Iterable[asyncio.Task[T | None]], let_go: Callable[[T], Awaitable[None]]) -> None:
    for task in asking:
        task.cancel()
    for task in asking:
        with suppress(asyncio.CancelledError, HoldfastError):
            found = await task
            if found is not None:
                await let_go(found)
