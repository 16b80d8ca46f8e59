"""What a controller listens with: sockets, its own certificate or a given one, and uvicorn between them and the app."""

from __future__ import annotations

import asyncio.sslproto
import contextlib
import logging
import socket
import ssl
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import uvicorn
from cryptography import x509
from starlette.types import ASGIApp

from holdfast.errors import UsageError

from .connections import LARGEST_HEAD, ControllerProtocol
from .identity import Authorities
from .identity.tls import renew_context, server_context

ENDED_WITHIN_S = 10  # requests that take longer are cut off at a stop
_BACKLOG = 2048
_log = logging.getLogger(__name__)
# asyncio gives each TLS connection a buffer to read into, of 256 KiB unless told otherwise: most of what a connected
# agent would cost, which sends a few kB a minute. A larger body is read in more steps. TLS has records of 16 KiB.
_TLS_BUFFER = 16 * 1024
# A peer that is gone without a word, as a node that lost its power, is noticed within 15 s (man 7 tcp). The first one:
# asyncio asks for it only where a socket names its protocol, which those of socket.create_server do not, and without it
# the body of an answer waits 40 ms for the acknowledgement of its head (RFC 896, RFC 1122 section 4.2.3.2).
_OF_CONNECTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 15_000),  # milliseconds
)


class OwnCertificate:
    """This controller's certificate of the store's own authority: made at each start, and again before it expires."""

    def __init__(self, authorities: Authorities, names: Sequence[str], now: datetime) -> None:
        self._authorities = authorities
        self._names = names
        self.context, self.certificate = server_context(authorities, names, now)
        self._signer = authorities.current.fingerprint

    def due(self, now: datetime) -> bool:
        """Whether two thirds of its life are over, or another authority signs by now."""
        begins, ends = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        return now >= begins + (ends - begins) * 2 / 3 or self._authorities.current.fingerprint != self._signer

    def renew(self, now: datetime) -> x509.Certificate:
        """Another one, in force for all connections that are made from now on."""
        self.certificate = renew_context(self.context, self._authorities, self._names, now)
        self._signer = self._authorities.current.fingerprint
        return self.certificate


def given_certificate(certificate: Path, key: Path, now: datetime) -> ssl.SSLContext:
    """A context for people with a certificate that somebody else signed; UsageError if it cannot be used.

    One whose time it is not is taken all the same, and told in the log: agents do without it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "not understood"
        raise UsageError(
            f"{certificate} and {key} cannot be used: {reason}",
            "give a certificate with its chain, and its key without a passphrase, both PEM",
        ) from None
    _tell_of_its_time(certificate, now)
    return context


def _tell_of_its_time(certificate: Path, now: datetime) -> None:
    try:
        shown = x509.load_pem_x509_certificate(certificate.read_bytes())
    except ValueError as error:  # OpenSSL takes some that are not as the standard says
        _log.warning("until when %s is good cannot be read: %s", certificate, error)
        return
    if now > shown.not_valid_after_utc:
        _log.warning(
            "%s has expired on %s: browsers refuse it; renew it", certificate, shown.not_valid_after_utc.date()
        )
    elif now < shown.not_valid_before_utc:
        _log.warning("%s is good from %s on: is the clock right?", certificate, shown.not_valid_before_utc.date())


def _no_password() -> bytes:
    return b""  # else OpenSSL asks on the terminal, where nobody sits


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens; UsageError if the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=host == "::")
        for level, option, value in _OF_CONNECTIONS:
            listener.setsockopt(level, option, value)  # connections inherit it
        return listener
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(
            f"cannot listen on {host} port {port}: {why}", "give another one: --listen HOST:PORT"
        ) from None


class Server(uvicorn.Server):
    """uvicorn, listening with one context for people and, where that differs, another one for agents."""

    def __init__(
        self, app: ASGIApp, context: ssl.SSLContext, agents: tuple[socket.socket, ssl.SSLContext] | None
    ) -> None:
        asyncio.sslproto.SSLProtocol.max_size = _TLS_BUFFER
        super().__init__(
            uvicorn.Config(
                app,
                http=ControllerProtocol,
                ws="none",
                lifespan="on",
                loop="asyncio",
                log_config=None,
                access_log=False,
                proxy_headers=False,  # nobody in front of it is believed
                server_header=False,
                ssl_context_factory=lambda config, default: context,
                h11_max_incomplete_event_size=LARGEST_HEAD,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=ENDED_WITHIN_S,
            )
        )
        self._agents = agents

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Whoever runs the server says when it ends."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, on the second socket too."""
        people = self.config.ssl
        await super().startup(sockets)
        if self._agents is None:
            return
        sock, context = self._agents
        self.config.ssl = context
        servers = self.servers
        await super().startup([sock])
        self.servers = [*servers, *self.servers]
        self.config.ssl = people
