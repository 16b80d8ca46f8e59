"""What the lab's origin speaks besides HTTP over TCP: datagrams, SCTP, SMTP, and the sockets for them.

Standard library only, as in `origin`. A server behind DR or a tunnel has the virtual address beside its own, so an
answer to a datagram must say which of them it comes from: the kernel would choose the node's own.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import struct
from dataclasses import dataclass

PROTOCOL_SCTP = 132
PIECE_REPEATS = 24  # of 64 characters: longer than a segment, so that full packets are on their way
_IP_PKTINFO, _IPV6_RECVPKTINFO, _IPV6_PKTINFO = 8, 49, 50  # linux/in.h and in6.h; Python names the last two only
_PKTINFO4 = struct.Struct("=i4s4s")  # interface, the route's own address, the address that the packet was sent to
_PKTINFO6 = struct.Struct("=16si")
_DNS_HEAD = struct.Struct("!6H")
_MOST_DATAGRAM = 65_535
_LINE_S = 30.0
_GONE = (ConnectionError, asyncio.IncompleteReadError, TimeoutError, asyncio.LimitOverrunError)


def piece(number: int) -> bytes:
    """The part with this number of what is trickled: it differs from every other one, and both sides know it."""
    return hashlib.sha256(b"%d" % number).hexdigest().encode() * PIECE_REPEATS


def stream_socket(family: socket.AddressFamily, port: int, *, sctp: bool) -> socket.socket:
    """A socket that listens on `port` of every address; raises OSError (also where the kernel has no SCTP)."""
    made = socket.socket(family, socket.SOCK_STREAM, PROTOCOL_SCTP if sctp else 0)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(("", port))
        made.listen(128)
    except OSError:
        made.close()
        raise
    return made


def datagram_socket(family: socket.AddressFamily, port: int) -> socket.socket:
    """A socket for datagrams to `port` of every address, which learns what each was sent to; raises OSError."""
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
    else:
        made.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    made.bind(("", port))
    return made


@dataclass
class Datagrams:
    """Answers every datagram on a socket: DNS questions with an answer, all others with who this is, and themselves."""

    channel: socket.socket
    name: str

    def start(self) -> None:
        """Answer from now on."""
        asyncio.get_running_loop().add_reader(self.channel, self._read)

    def _read(self) -> None:
        try:
            data, about, _, sender = self.channel.recvmsg(_MOST_DATAGRAM, socket.CMSG_SPACE(64))
            answer = dns_answer(data) or f"{self.name}\n".encode() + data
            self.channel.sendmsg([answer], [_from_where_it_was_sent_to(a) for a in about], 0, sender)
        except OSError:
            return  # nobody is there any more, or not yet: a datagram may be lost


def _from_where_it_was_sent_to(about: tuple[int, int, bytes]) -> tuple[int, int, bytes]:
    level, kind, data = about
    if level == socket.IPPROTO_IPV6:
        return level, _IPV6_PKTINFO, _PKTINFO6.pack(data[:16], 0)
    _, _, target = _PKTINFO4.unpack(data)
    return level, kind, _PKTINFO4.pack(0, target, bytes(4))


def dns_answer(question: bytes) -> bytes | None:
    """The answer to a DNS question (RFC 1035): one address out of 192.0.2.0/24; None if it is no such question."""
    if len(question) < _DNS_HEAD.size + 5:
        return None
    number, flags, questions, answers, authorities, _ = _DNS_HEAD.unpack_from(question)
    if flags & 0xF800 or (questions, answers, authorities) != (1, 0, 0):
        return None  # an answer, another operation, or no DNS at all
    end = question.find(b"\0", _DNS_HEAD.size) + 5
    if end < _DNS_HEAD.size + 5 or end > len(question):
        return None
    head = _DNS_HEAD.pack(number, 0x8180 | flags & 0x0100, 1, 1, 0, 0)
    record = struct.pack("!HHHIH4s", 0xC00C, 1, 1, 60, 4, bytes((192, 0, 2, 1)))
    return head + question[_DNS_HEAD.size : end] + record


async def speak_smtp(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One SMTP dialogue (RFC 5321), in which everything is welcome and nothing is kept."""
    try:
        writer.write(f"220 {name} ready\r\n".encode())
        while True:
            word = (await asyncio.wait_for(reader.readline(), _LINE_S)).strip().upper()[:4]
            writer.write(b"221 goodbye\r\n" if word == b"QUIT" else f"250 {name}\r\n".encode())
            await writer.drain()
            if word in (b"", b"QUIT"):
                return
    except _GONE:
        return  # the client has gone
    finally:
        writer.close()
