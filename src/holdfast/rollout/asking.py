"""Many nodes asked how they are, a bounded number at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from holdfast.errors import HoldfastError, StoreError

from .orders import Looked, Orders

_MOST_ASKED = 32  # at a time, each at a watch of its own: all that change in one moment, MOST_TOGETHER, are among them


class Asking:
    """By `orders`; a question is good for `ask_s` seconds, unless told otherwise."""

    def __init__(self, orders: Orders, ask_s: float) -> None:
        self._orders = orders
        self._ask_s = ask_s
        self._asking = asyncio.Semaphore(_MOST_ASKED)

    async def looks(self, nodes: Iterable[str], within_s: float | None = None) -> Mapping[str, Looked | HoldfastError]:
        """Each node as it is, or why that is not known. StoreError is raised: that is no node's fault."""
        names = tuple(nodes)
        found = await asyncio.gather(*(self.look(node, within_s) for node in names))
        return dict(zip(names, found, strict=True))

    async def look(self, node: str, within_s: float | None = None) -> Looked | HoldfastError:
        """One of them."""
        try:
            async with self._asking:
                return await self._orders.look(node, within_s or self._ask_s)
        except StoreError:
            raise
        except HoldfastError as error:
            return error
