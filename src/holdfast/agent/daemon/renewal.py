"""Renews the node's certificate in time: at a moment of its own, and again after every failure."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from holdfast.agent.credentials import Standing, renewal_moment, retry_after
from holdfast.agent.daemon.log import LOG
from holdfast.errors import EnrolmentRefused, HoldfastError

# The clock is looked at at least so often: clocks are set, and machines sleep, without any timer hearing of it.
_LOOK_EVERY = timedelta(hours=1)
_WITHIN_S = 180.0
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "SSL_CERT_FILE")


class Certificate(Protocol):
    """The node's own. Methods block, and raise EnrolmentRefused."""

    def look(self) -> Standing | None:
        """How it is; None where this node has not joined."""

    def renew(self) -> Standing:
        """Ask a controller for the next one, and keep that."""


class CertificateProcess:
    """By a process that ends again, and takes the memory with it that this needs."""

    def __init__(self, path: Path, controllers: Sequence[str] = ()) -> None:
        self._path = path
        self._controllers = tuple(controllers)

    def look(self) -> Standing | None:
        """See Certificate."""
        return self._run("look", str(self._path))

    def renew(self) -> Standing:
        """See Certificate."""
        found = self._run("renew", str(self._path), *self._controllers)
        if found is None:
            raise EnrolmentRefused("this node has not joined a cluster", "holdfast agent join TOKEN --controller URL")
        return found

    def _run(self, *words: str) -> Standing | None:
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "holdfast.agent.daemon.certificate", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                timeout=_WITHIN_S,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                check=False,
            )
            said = json.loads(done.stdout)
            if done.returncode == 0:
                return None if said is None else Standing.model_validate(said, strict=False)
            raise EnrolmentRefused(str(said["error"]["message"]), str(said["error"]["hint"]))
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EnrolmentRefused(f"the certificate cannot be looked at: {error}", "look at the agent's log") from None
        except (ValueError, KeyError, TypeError, ValidationError):
            raise EnrolmentRefused("the certificate cannot be looked at", "look at the agent's log") from None


class Renewal:
    """`now` is the wall clock: certificates go by it."""

    def __init__(
        self, certificate: Certificate, standing: Standing, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._certificate = certificate
        self.standing = standing
        self._now = now
        self._jitter = random.random()
        self._failures = 0
        self._not_before: datetime | None = None

    async def keep(self, renewed: Callable[[], None]) -> None:
        """Until cancelled; `renewed` is called after each renewal, to connect with the new certificate."""
        while True:  # ends: cancelled
            wait = self.due_in()
            if wait > timedelta():
                await asyncio.sleep(min(wait, _LOOK_EVERY).total_seconds())
            elif await self._renew():
                renewed()

    def due_in(self) -> timedelta:
        """How long until the next attempt; 0 or less: now."""
        now = self._now()
        wait = renewal_moment(self.standing.begins, self.standing.expires, self._jitter) - now
        if self._not_before is not None:
            # Never longer than a failure asks for: the clock may have been set back meanwhile.
            wait = max(wait, min(self._not_before - now, _LOOK_EVERY))
        return wait

    async def _renew(self) -> bool:
        try:
            self.standing = await asyncio.to_thread(self._certificate.renew)
        except HoldfastError as error:
            self._failures += 1
            self._not_before = self._now() + retry_after(self._failures, random.random())
            LOG.error(
                "the certificate is not renewed",
                extra={"why": error.message, "hint": error.hint, "expires": self.standing.expires.isoformat()},
            )
            return False
        self._failures, self._not_before, self._jitter = 0, None, random.random()
        LOG.info("the certificate is renewed", extra={"expires": self.standing.expires.isoformat()})
        return True
