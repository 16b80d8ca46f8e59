"""The gate before all operations: who calls, how much, how often, in time; and a line in the log for each request."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Mapping
from typing import Any

from fastapi import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.errors import HoldfastError
from holdfast.protocol.api.problems import ProblemDetails
from holdfast.sentences import Sentence

from .callers import CALLER, Caller, find_caller
from .console import problems as console_problems
from .context import Context
from .identity import NodeAgent
from .identity.sealing import Randomness
from .problems import answer, plain
from .settings import Limits, Rate

_log = logging.getLogger(__name__)
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'"),
    (b"strict-transport-security", b"max-age=31536000"),
)
_CLOSE = {"connection": "close"}  # what is left of the body is not waited for
_LENGTH = re.compile(rb"[0-9]{1,15}")


class Gate:
    """ASGI middleware around everything."""

    def __init__(self, app: ASGIApp, context: Context, randomness: Randomness) -> None:
        self._app = app
        self._context = context
        self._randomness = randomness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Request(self._context, scope, receive, send, self._randomness(8).hex())
        await request.run(self._app)


class _Request:
    """One request on its way through the gate."""

    def __init__(self, context: Context, scope: Scope, receive: Receive, send: Send, number: str) -> None:
        self._context = context
        self._scope = scope
        self._receive = receive
        self._send = send
        self._number = number
        self._status = 0
        self._left = 0
        self._began = context.store.clock.steady()

    async def run(self, app: ASGIApp) -> None:
        """Let it through, or answer at once."""
        caller = await find_caller(self._context, self._scope)
        self._scope[CALLER] = caller
        try:
            refused = self._refusal(caller)
            if refused is None:
                await app(self._scope, self._body, self._told)
            else:
                await refused(self._scope, self._receive, self._told)
        except HoldfastError as error:  # raised beyond the application's own handlers
            await self._instead(answer(error))
        except Exception:  # noqa: BLE001  # the loop's edge: whatever it is, it ends this request alone
            _log.exception("a request failed", extra={"request": self._number})
            hint = Sentence("look for %(number)s in the controller's log", number=self._number)
            await self._instead(self._said(500, Sentence("the controller failed at this request"), hint, "internal"))
        finally:
            self._logged(caller)

    def _said(
        self, status: int, message: str, hint: str, code: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        request = Request(self._scope)
        if console_problems.is_shown(request):
            return console_problems.bare(
                request, status, ProblemDetails(code=code, message=message, hint=hint), headers
            )
        return plain(status, message, hint, code, headers)

    def _refusal(self, caller: Caller) -> Response | None:
        body, rate = _limits(caller, self._context.settings.limits)
        wait = self._context.rates.take(caller.key, rate, self._context.store.clock.steady())
        if wait > 0:
            headers = {"Retry-After": str(math.ceil(wait))}
            hint = Sentence("wait %(s)s s", s=f"{wait:.1f}")
            return self._said(429, Sentence("too many requests"), hint, "too_many_requests", headers)
        length = next((value for name, value in self._scope["headers"] if name == b"content-length"), b"0")
        if not _LENGTH.fullmatch(length) or int(length) > body:
            said = Sentence("the request is larger than %(most)s bytes", most=body)
            return self._said(413, said, Sentence("send less"), "too_large")
        self._left = body
        return None

    async def _body(self) -> Message:
        """What the application reads: counted, and in time."""
        if self._left < 0 or self._status:
            return await self._receive()
        waiting = self._began + self._context.settings.limits.body_within_s - self._context.store.clock.steady()
        try:
            async with asyncio.timeout(max(0.1, waiting)):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, "the request's body did not come in time", _CLOSE) from None
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise HTTPException(413, "the request is larger than it may be")
            if not message.get("more_body", False):
                self._left = -1  # what comes now is only ever the end of the connection, for which nobody hurries
        return message

    async def _told(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = list(message.get("headers", []))
            names = {name for name, _ in headers}
            headers += [pair for pair in _HEADERS if pair[0] not in names]
            headers.append((b"x-request-id", self._number.encode()))
            message = {**message, "headers": headers}
        await self._send(message)

    async def _instead(self, response: Response) -> None:
        if not self._status:
            await response(self._scope, self._receive, self._told)
            return
        raise ConnectionAbortedError("a response broke off")  # uvicorn closes the connection: it must not look whole

    def _logged(self, caller: Caller) -> None:
        told: dict[str, Any] = {
            "request": self._number,
            "method": self._scope["method"],
            "path": self._scope["path"][:300],
            "status": self._status,
            "who": caller.principal.actor if caller.principal else "stranger",
            "source": caller.source,
            "ms": round((self._context.store.clock.steady() - self._began) * 1000, 1),
        }
        _log.info("%s %s %s", told["method"], told["path"], told["status"], extra=told)


def _limits(caller: Caller, limits: Limits) -> tuple[int, Rate]:
    if caller.principal is None:
        return limits.stranger_body, limits.stranger_rate
    if isinstance(caller.principal, NodeAgent):
        return limits.node_body, limits.node_rate
    return limits.person_body, limits.person_rate
