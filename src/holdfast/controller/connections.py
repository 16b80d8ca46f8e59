"""Connections as uvicorn serves them, and what it lacks: the client's certificate, and an end to dawdling.

uvicorn tells an application nothing of TLS, and closes a connection only after a response: who connects and says
nothing, or says its request letter by letter, would hold it for good.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .identity import NodeAgent

CONNECTION = "holdfast.connection"  # below scope["extensions"]
HEAD_WITHIN_S = 15.0
CLOSED_WITHIN_S = 1.0
LARGEST_HEAD = 32_768  # bytes


@dataclass(slots=True)
class Connection:
    """One TLS connection: the certificate (DER) that the client showed, whose it is, and by whose word (`trusted`)."""

    certificate: bytes | None
    agent: NodeAgent | None = None
    trusted: object = None


class ControllerProtocol(H11Protocol):
    """HTTP/1.1 over TLS."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A handshake is complete."""
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        self.app = _told(self.app, Connection(tls.getpeercert(True) if tls else None))
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """A part of a request: its head has to be whole in time, its body is the application's business.

        What is left of a body whose request was answered is read and dropped, for as long as a head may take: to
        close at once would reset the connection, and the client would not see the answer.
        """
        super().data_received(data)
        answered = self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY
        if self.conn.their_state is h11.IDLE or answered:
            self._await_head()
        else:
            self._no_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._no_deadline()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The controller ends. A client that does not say goodbye in its turn is not waited for."""
        super().shutdown()
        if self.transport.is_closing():
            self.loop.call_later(CLOSED_WITHIN_S, self.transport.abort)

    def _await_head(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_WITHIN_S, self.transport.abort)

    def _no_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _told(app: Any, connection: Connection) -> ASGIApp:
    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("extensions", {})[CONNECTION] = connection
        await app(scope, receive, send)

    return told
