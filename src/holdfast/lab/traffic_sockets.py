"""The sockets of the traffic client: from a user's address, over TCP or SCTP, and the words for what goes wrong."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from itertools import cycle
from typing import TypeVar

from holdfast.lab.origin_sockets import PROTOCOL_SCTP
from holdfast.lab.traffic_records import TargetListener

_IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h: the port is chosen at connect, so that it need only be free for one target
_ERRORS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.ECONNABORTED: "reset",
    errno.EPIPE: "reset",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ETIMEDOUT: "timeout",
    errno.EPROTONOSUPPORT: "not supported here",
}
ProtocolT = TypeVar("ProtocolT", bound=asyncio.Protocol)


class FailedError(Exception):
    """A request that came to nothing; the text is the kind of error. `unanswered`: not one byte of an answer came."""

    def __init__(self, kind: str, *, unanswered: bool = False) -> None:
        super().__init__(kind)
        self.kind = kind
        self.unanswered = unanswered


def error_kind(error: BaseException) -> str:
    """The word that the report uses for an operating system's or TLS error."""
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, OSError):
        return _ERRORS.get(error.errno or 0, f"errno {error.errno}" if error.errno else "reset")
    return type(error).__name__


class Dialer:
    """Opens connections to one listener, each from the next of its users' addresses."""

    def __init__(self, listener: TargetListener) -> None:
        self._listener = listener
        self._sources = cycle(listener.sources or ("",))
        self._tls = _unverified() if listener.tls else None

    async def connect(self, make: Callable[[], ProtocolT], host: str) -> ProtocolT:
        """A connection whose other end is `make`'s protocol; raises FailedError."""
        listener, source = self._listener, next(self._sources)
        name = host.partition(":")[0] if self._tls else None
        loop = asyncio.get_running_loop()
        try:
            if not source and listener.protocol == "tcp":
                _, protocol = await loop.create_connection(
                    make, listener.address, listener.port, ssl=self._tls, server_hostname=name
                )
                return protocol
            kind = PROTOCOL_SCTP if listener.protocol == "sctp" else 0
            channel = user_socket(listener.address, source, socket.SOCK_STREAM, kind)
            try:
                await loop.sock_connect(channel, (listener.address, listener.port))
                _, protocol = await loop.create_connection(make, sock=channel, ssl=self._tls, server_hostname=name)
            except BaseException:
                channel.close()
                raise
        except OSError as error:
            raise FailedError(error_kind(error)) from None
        return protocol

    def datagrams(self) -> socket.socket:
        """A socket for one question; raises OSError."""
        channel = user_socket(self._listener.address, next(self._sources), socket.SOCK_DGRAM)
        channel.connect((self._listener.address, self._listener.port))
        return channel


def user_socket(target: str, source: str, kind: socket.SocketKind, protocol: int = 0) -> socket.socket:
    """A socket for `target`'s family, bound to `source` if that is not empty; raises OSError."""
    channel = socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, kind, protocol)
    try:
        channel.setblocking(False)
        if source:
            if kind is socket.SOCK_STREAM and protocol == 0:
                channel.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            channel.bind((source, 0))
    except OSError:
        channel.close()
        raise
    return channel


def _unverified() -> ssl.SSLContext:
    # The lab's certificates are nobody's; what is measured is availability, not trust.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
