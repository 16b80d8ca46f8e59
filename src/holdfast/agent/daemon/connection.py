"""Keeps a stream from one of the controllers open, whatever becomes of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime

from pydantic import ValidationError

from holdfast.agent.daemon.log import LOG
from holdfast.agent.daemon.outbox import Outbox
from holdfast.agent.daemon.rotation import LONGEST_S, Rotation
from holdfast.agent.daemon.wire import Controller
from holdfast.errors import ControllerUnreachable, HoldfastError, NotAuthenticated
from holdfast.protocol import TO_AGENT, Desired, Order, Ping
from holdfast.protocol.realtime import Watch
from holdfast.sentences import Sentence

Handle = Callable[[Controller, Desired | Order | Watch], Awaitable[None]]


class Connection:
    """`connect` opens a controller by its address, with the identity that the node has then."""

    def __init__(
        self,
        rotation: Rotation,
        connect: Callable[[str], Controller],
        handle: Handle,
        outbox: Outbox,
        changed: Callable[[], None],
    ) -> None:
        self._rotation = rotation
        self._connect = connect
        self._handle = handle
        self._outbox = outbox
        self._changed = changed
        self._again = False
        self._reading: asyncio.Future[None] | None = None
        self.controller: str | None = None  # whose stream is open
        self.since: datetime | None = None  # … or was closed

    async def keep(self) -> None:
        """Until cancelled."""
        while True:  # ends: cancelled
            url, started = self._rotation.controller, time.monotonic()
            least_s = 0.0
            self._again = False
            try:
                await self._once(url)
            except NotAuthenticated as error:
                least_s = LONGEST_S / 2  # an administrator's work, not a moment's
                LOG.error("a controller does not know this node", extra={"why": error.message, "hint": error.hint})
            except HoldfastError as error:
                LOG.warning("no stream from a controller", extra={"why": error.message})
            self._connected(None)
            if self._again:
                continue
            self._rotation = self._rotation.failed(time.monotonic() - started)
            await asyncio.sleep(max(least_s, self._rotation.wait_s(random.random())))

    async def _once(self, url: str) -> None:
        async with self._connect(url) as controller, controller.stream() as lines:
            LOG.info("connected", extra={"controller": url})
            self._connected(url)
            self._reading = asyncio.ensure_future(self._read(controller, lines))
            tasks = {self._reading, asyncio.ensure_future(self._outbox.deliver(controller))}
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await _end(tasks)
            for task in done:
                if not task.cancelled():  # by again()
                    task.result()
        raise ControllerUnreachable(Sentence("%(url)s ended the stream", url=url), "it stops, or starts again")

    def again(self) -> None:
        """Close the stream and open it anew, at the same controller and at once: with another certificate."""
        if self._reading is not None:
            self._again = True
            self._reading.cancel()

    def _connected(self, url: str | None) -> None:
        if url != self.controller:
            self.controller, self.since = url, datetime.now(UTC)
            self._changed()

    async def _read(self, controller: Controller, lines: AsyncIterator[bytes]) -> None:
        async for line in lines:
            message = understood(line)
            if message is not None:
                await self._handle(controller, message)


async def _end(tasks: Collection[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, HoldfastError):
            await task


def understood(line: bytes) -> Desired | Order | Watch | None:
    """The message in a line; None for a ping, and for what only a newer agent understands."""
    try:
        message = TO_AGENT.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise ControllerUnreachable("what was sent is no JSON", "is it a controller?") from None
        where = ".".join(map(str, first["loc"]))
        LOG.error("a message that this agent does not understand", extra={"where": where, "why": first["msg"]})
        return None
    return None if isinstance(message, Ping) else message
