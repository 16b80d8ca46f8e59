"""Renews the node's certificate in time: at a moment of its own, and again after every failure."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from holdfast.agent.daemon.log import LOG
from holdfast.agent.enrolment import EnrolmentTransport, Identity, read_identity, renew, renewal_time
from holdfast.agent.enrolment.identity import retry_after
from holdfast.errors import HoldfastError

# It is looked at the clock at least so often: clocks are set, and machines sleep, without any timer hearing of it.
_LOOK_EVERY = timedelta(hours=1)


class Renewal:
    """Of the identity in `path`. `now` is the wall clock: certificates go by it."""

    def __init__(
        self,
        path: Path,
        transport: EnrolmentTransport,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._path = path
        self._transport = transport
        self._now = now
        self._jitter = random.random()
        self._failures = 0
        self._not_before: datetime | None = None

    async def keep(self, renewed: Callable[[], None]) -> None:
        """Until cancelled; `renewed` is called after each renewal, to connect with the new certificate."""
        while True:  # ends: cancelled
            identity = await asyncio.to_thread(self._identity)
            wait = self.due_in(identity) if identity is not None else _LOOK_EVERY
            if identity is not None and wait <= timedelta():
                if await self._renew(identity):
                    renewed()
                continue
            await asyncio.sleep(min(wait, _LOOK_EVERY).total_seconds())

    def due_in(self, identity: Identity) -> timedelta:
        """How long until the next attempt; 0 or less: now."""
        now = self._now()
        wait = renewal_time(identity, self._jitter) - now
        if self._not_before is not None:
            # Never longer than a failure asks for: the clock may have been set back meanwhile.
            wait = max(wait, min(self._not_before - now, timedelta(hours=1)))
        return wait

    async def _renew(self, identity: Identity) -> bool:
        try:
            new = await renew(identity, self._transport, self._path, self._now())
        except HoldfastError as error:
            self._failures += 1
            self._not_before = self._now() + retry_after(self._failures, random.random())
            LOG.error(
                "the certificate is not renewed",
                extra={"why": error.message, "hint": error.hint, "expires": identity.expires.isoformat()},
            )
            return False
        self._failures, self._not_before, self._jitter = 0, None, random.random()
        LOG.info("the certificate is renewed", extra={"expires": new.expires.isoformat()})
        return True

    def _identity(self) -> Identity | None:
        try:
            return read_identity(self._path)
        except HoldfastError as error:
            LOG.error("this node's identity cannot be read", extra={"why": error.message, "hint": error.hint})
            return None
