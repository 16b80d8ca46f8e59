"""Joining and renewing over HTTPS: tries each controller in turn."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pydantic import ValidationError

from holdfast.agent.daemon.wire import Http
from holdfast.agent.enrolment import Identity, client_context, joining_context
from holdfast.errors import ControllerUnreachable, EnrolmentRefused, NotAuthenticated, NotTaken
from holdfast.protocol import JoinAnswer, JoinRequest, RenewAnswer, RenewRequest

T = TypeVar("T")


class HttpsEnrolment:
    """See EnrolmentTransport."""

    def __init__(self, controllers: Sequence[str]) -> None:
        self._controllers = tuple(controllers)

    async def authority(self) -> str:
        """See EnrolmentTransport. Nothing is trusted yet, so nothing is checked: the caller compares fingerprints."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE

        async def ask(url: str) -> str:
            async with Http(url, context) as http:
                return (await http.ask("GET", "/agent/v1/authority")).decode("ascii", "replace")

        return await self._first(ask)

    async def join(self, authority: str, request: JoinRequest) -> JoinAnswer:
        """See EnrolmentTransport."""
        context = joining_context(authority)

        async def ask(url: str) -> JoinAnswer:
            async with Http(url, context) as http:
                return _join_answer(url, await http.ask("POST", "/agent/v1/join", request.wire()))

        return await self._first(ask)

    async def renew(self, identity: Identity, request: RenewRequest) -> RenewAnswer:
        """See EnrolmentTransport."""
        context = client_context(identity)

        async def ask(url: str) -> RenewAnswer:
            async with Http(url, context) as http:
                body = await http.ask("POST", "/agent/v1/renew", request.model_dump_json().encode())
                return _renew_answer(url, body)

        return await self._first(ask)

    async def _first(self, ask: Callable[[str], Awaitable[T]]) -> T:
        """What the first controller says that says anything: a refusal counts, too."""
        silent: list[str] = []
        for url in self._controllers:
            try:
                return await ask(url)
            except (NotAuthenticated, NotTaken) as error:
                raise EnrolmentRefused(error.message, error.hint) from None
            except ControllerUnreachable as error:
                silent.append(error.message)
        raise ControllerUnreachable("; ".join(silent), "is a controller running, and is its address right?")


def _join_answer(url: str, body: bytes) -> JoinAnswer:
    try:
        return JoinAnswer.model_validate_json(body)
    except ValidationError:
        raise EnrolmentRefused(
            f"{url} answers what this agent does not understand", "are both of one version?"
        ) from None


def _renew_answer(url: str, body: bytes) -> RenewAnswer:
    try:
        return RenewAnswer.model_validate_json(body)
    except ValidationError:
        raise EnrolmentRefused(
            f"{url} answers what this agent does not understand", "are both of one version?"
        ) from None
