"""Of all controllers of a store one leads: it runs rollouts and clears up. The others serve, and wait for its lease."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from holdfast.errors import HoldfastError, LeaseLost, StoreError
from holdfast.store.holding import Held

from .context import Context

NAME = "leader"
_log = logging.getLogger(__name__)

Duties = Callable[[Held], Awaitable[None]]


class Leader:
    """Takes the lease whenever nobody has it, and does the duties for as long as it is kept.

    What is done under a lease is written with its guard, so that a leader that was paused, and does not know yet that
    another one has followed it, writes nothing.
    """

    def __init__(self, context: Context, duties: Duties) -> None:
        self._context = context
        self._duties = duties
        self._ttl = context.settings.leader_ttl_s
        self.leads = False

    async def run(self) -> None:
        """Until the controller stops."""
        while not self._context.stopping.begun:
            try:
                held = await self._context.store.holdings.acquire(NAME, self._context.settings.holder, self._ttl)
            except StoreError as error:
                _log.warning("who leads cannot be found out: %s", error.message)
                held = None
            if held is None:
                await self._pause(1.0)
                continue
            await self._lead(held)

    async def _lead(self, held: Held) -> None:
        self.leads = True
        _log.info("this controller leads", extra={"fencing": held.holding.fencing})
        duties = asyncio.ensure_future(self._duties(held))
        keeping = asyncio.ensure_future(self._keep(held))
        stopping = asyncio.ensure_future(self._context.stopping.wait())
        try:
            await asyncio.wait((duties, keeping, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (duties, keeping, stopping):
                task.cancel()
            ended = await asyncio.gather(duties, keeping, stopping, return_exceptions=True)
            self.leads = False
            await self._release(held)
        for error in ended:
            _tell(error)
        await self._pause(1.0)

    async def _keep(self, held: Held) -> None:
        """Keep the lease; ends when it is lost, or when nobody could be asked for its whole time."""
        clock = self._context.store.clock
        kept = clock.steady()
        while True:
            await asyncio.sleep(self._ttl / 4)
            began = clock.steady()
            try:
                async with asyncio.timeout(self._ttl / 2):
                    await self._context.store.holdings.keep(held)
                kept = began
            except LeaseLost:
                raise
            except (StoreError, TimeoutError):
                if clock.steady() - kept >= self._ttl:
                    raise LeaseLost("the lease of the leader could not be kept", "look at the store") from None

    async def _release(self, held: Held) -> None:
        try:
            async with asyncio.timeout(self._ttl):
                await self._context.store.holdings.release(held)
        except (StoreError, TimeoutError):
            _log.warning("the lease of the leader could not be given up; it ends by itself")

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._context.stopping.wait()
        except TimeoutError:
            return


def _tell(error: BaseException | None) -> None:
    """Why a lead ended: several duties may have found out at once, in a group."""
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            _tell(inner)
    elif isinstance(error, HoldfastError):
        _log.warning("this controller leads no more: %s", error.message)
    elif isinstance(error, Exception):
        _log.error("this controller leads no more: it failed at a duty", exc_info=error)
