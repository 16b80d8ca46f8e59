"""Netlink, and nothing of any one of its protocols: ask the kernel, hear every part of its answer, take it apart.

Written out here because the agent starts often and must start fast. Layouts: linux/netlink.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

REQUEST: Final = 0x1  # NLM_F_REQUEST
ACKNOWLEDGE: Final = 0x4  # NLM_F_ACK: a request that has no dump for an answer ends with an acknowledgement
DUMP: Final = 0x300  # NLM_F_DUMP: all there is
ERROR: Final = 2  # NLMSG_ERROR, an acknowledgement too
DONE: Final = 3  # NLMSG_DONE
TIMEOUT_S: Final = 5.0  # for the next part of an answer
WHOLE_ANSWER_S: Final = 30.0  # for all parts together

_DUMP_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR: what was listed changed while it was listed
_TYPE_MASK = 0x3FFF  # the two high bits say "nested" and "network byte order"
_ATTEMPTS = 5
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_CODE = struct.Struct("=i")
_RECEIVE_BUFFER = 4 << 20
_DATAGRAM = 1 << 18


class Message(NamedTuple):
    """One message: its type, its flags (NLM_F_…), the number of the request that it answers, and what it says."""

    kind: int
    flags: int
    sequence: int
    payload: bytes


class Refused(OSError):
    """The kernel said no; `errno` says why."""


class Interrupted(OSError):
    """What was listed changed while it was being listed, so the list may lack things: ask again."""


def open_socket(protocol: int, *, groups: int = 0, timeout_s: float | None = TIMEOUT_S) -> socket.socket:
    """A netlink socket in the network namespace of this thread; raises OSError.

    `groups` are the multicast groups to hear of (a mask); `timeout_s` is how long one wait may last (0: not at all).
    """
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    try:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        link.bind((0, groups))
        link.settimeout(timeout_s)
    except OSError:
        link.close()
        raise
    return link


def send(link: socket.socket, kind: int, body: bytes, *, flags: int = REQUEST | DUMP, sequence: int = 1) -> None:
    """Send one request; raises OSError."""
    link.send(_HEADER.pack(_HEADER.size + len(body), kind, flags, sequence, 0) + body)


def messages(data: bytes) -> Iterator[Message]:
    """The messages in one datagram; raises OSError (EMSGSIZE) if one was cut short."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size or at + length > len(data):
            raise OSError(errno.EMSGSIZE, "the kernel's answer was cut short")
        yield Message(kind, flags, sequence, data[at + _HEADER.size : at + length])
        at += (length + 3) & ~3


def answers(link: socket.socket, *, sequence: int = 1, whole_s: float = WHOLE_ANSWER_S) -> Iterator[Message]:
    """Each message that answers request number `sequence`, until the kernel says that this was all.

    Raises Refused, Interrupted (at the end), and OSError: TimeoutError if the kernel or the reader takes too long.
    """
    deadline = time.monotonic() + whole_s
    interrupted = False
    while time.monotonic() < deadline:
        for message in messages(link.recv(_DATAGRAM)):
            if message.sequence != sequence:  # what is left of an earlier question, or news of a group
                continue
            interrupted = interrupted or bool(message.flags & _DUMP_INTERRUPTED)
            if message.kind not in (DONE, ERROR):
                yield message
                continue
            _raise_for(message)
            if interrupted:
                raise Interrupted(errno.EINTR, "the table changed while the kernel listed it")
            return
    raise TimeoutError(errno.ETIMEDOUT, f"the kernel's answer over netlink did not end within {whole_s:g} s")


def _raise_for(message: Message) -> None:
    """DONE and ERROR carry a code; 0 means well (ERROR 0 is an acknowledgement)."""
    code = _CODE.unpack_from(message.payload)[0] if len(message.payload) >= _CODE.size else 0
    if code < 0:
        raise Refused(-code, f"netlink request refused: {os.strerror(-code)}")


def dump(protocol: int, kind: int, body: bytes) -> list[bytes]:
    """All that the kernel lists for one question, on a socket of its own; raises OSError, as `answers` does."""
    with open_socket(protocol) as link:
        for attempt in range(1, _ATTEMPTS):
            send(link, kind, body, sequence=attempt)
            try:
                return [message.payload for message in answers(link, sequence=attempt)]
            except Interrupted:
                continue
        send(link, kind, body, sequence=_ATTEMPTS)
        return [message.payload for message in answers(link, sequence=_ATTEMPTS)]


def attributes(data: bytes) -> dict[int, bytes]:
    """Attribute type → its value; of a type that is there twice the last. Stops at what is no attribute."""
    return dict(walk(data))


def walk(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each attribute in turn, its type and its value: for lists, in which a type repeats or numbers the entries."""
    at, end = 0, len(data)
    while at + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < 4 or at + length > end:
            return
        yield kind & _TYPE_MASK, data[at + 4 : at + length]
        at += (length + 3) & ~3


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded, as a request carries it."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)
