"""Asking a segment who answers for an address: ARP requests and IPv6 neighbour solicitations, and their answers.

The questions come from a MAC address that nobody has. The answers to it pass the client's kernel by (they are for
another host), so that asking never repairs the client's own neighbour entries: those move only when the new holder
announces itself, as they would for a real user.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from holdfast.lab.observe_netlink import inside

_ETH_ALL = 0x0003
_ARP, _IPV6 = 0x0806, 0x86DD
_ARP_REQUEST, _ARP_REPLY = 1, 2
_SOLICITATION, _ADVERTISEMENT = 135, 136  # RFC 4861
_ICMPV6 = 58
_ARP_HEAD = struct.Struct("!HHBBH6s4s6s4s")
NOBODY = bytes((0x02, 0x68, 0x6F, 0x6C, 0x64, 0x3F))  # locally administered: the questions' sender
_NOBODY_LOCAL = IPv6Address("fe80::68:6fff:fe6c:643f")
_ATTACH_FILTER = 26  # SO_ATTACH_FILTER of asm-generic/socket.h
_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter of linux/filter.h: code, jt, jf, k
_LOAD_WORD, _LOAD_HALF, _IF_EQUAL, _RETURN = 0x20, 0x28, 0x15, 0x06
_WHOLE = 0xFFFF


@dataclass(frozen=True)
class Answered:
    """Somebody with this MAC address said that it has this address."""

    address: str
    mac: str


def open_probe(netns: Path, interface: str) -> socket.socket:
    """A non-blocking packet socket on `interface` in `netns` that hears the answers alone; raises OSError."""
    with inside(netns):
        probe = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        _hear_answers_only(probe)
        # Bound to a protocol only once it is bound to its interface: before, it would hear all of them.
        probe.bind((interface, _ETH_ALL))
    probe.setblocking(False)
    return probe


def _hear_answers_only(probe: socket.socket) -> None:
    """Have the kernel drop what is not for NOBODY: all that users ask and get passes here, too."""
    program = b"".join(
        _INSTRUCTION.pack(*instruction)
        for instruction in (
            (_LOAD_WORD, 0, 0, 0),
            (_IF_EQUAL, 0, 3, int.from_bytes(NOBODY[:4], "big")),
            (_LOAD_HALF, 0, 0, 4),
            (_IF_EQUAL, 0, 1, int.from_bytes(NOBODY[4:], "big")),
            (_RETURN, 0, 0, _WHOLE),
            (_RETURN, 0, 0, 0),
        )
    )
    instructions = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: how many instructions, and where they are
    where = struct.pack("@HP", len(program) // _INSTRUCTION.size, ctypes.addressof(instructions))
    probe.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, where)


def question(address: str) -> bytes:
    """The frame that asks who has `address`."""
    parsed = ip_address(address)
    return _arp_request(parsed) if isinstance(parsed, IPv4Address) else _solicitation(parsed)


def _arp_request(address: IPv4Address) -> bytes:
    # Sender 0.0.0.0 (RFC 5227): answered like any other, and stored by nobody.
    body = _ARP_HEAD.pack(1, 0x0800, 6, 4, _ARP_REQUEST, NOBODY, bytes(4), bytes(6), address.packed)
    return b"\xff" * 6 + NOBODY + struct.pack("!H", _ARP) + body


def _solicitation(address: IPv6Address) -> bytes:
    group = IPv6Address(b"\xff\x02" + bytes(9) + b"\x01\xff" + address.packed[-3:])
    body = struct.pack("!BBHI16sBB6s", _SOLICITATION, 0, 0, 0, address.packed, 1, 1, NOBODY)
    checksum = _checksum(_NOBODY_LOCAL, group, body)
    body = body[:2] + struct.pack("!H", checksum) + body[4:]
    header = struct.pack("!IHBB", 6 << 28, len(body), _ICMPV6, 255) + _NOBODY_LOCAL.packed + group.packed
    return b"\x33\x33" + group.packed[-4:] + NOBODY + struct.pack("!H", _IPV6) + header + body


def _checksum(source: IPv6Address, target: IPv6Address, body: bytes) -> int:
    data = source.packed + target.packed + struct.pack("!II", len(body), _ICMPV6) + body
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def answer(frame: bytes) -> Answered | None:
    """What a frame says, if it is an answer to one of our questions."""
    if len(frame) < 14 or frame[:6] != NOBODY:
        return None
    (kind,) = struct.unpack_from("!H", frame, 12)
    if kind == _ARP and len(frame) >= 42:
        _, _, _, _, operation, mac, address, _, _ = _ARP_HEAD.unpack_from(frame, 14)
        if operation == _ARP_REPLY:
            return Answered(str(IPv4Address(address)), mac.hex(":"))
    if kind == _IPV6 and len(frame) >= 78 and frame[20] == _ICMPV6 and frame[54] == _ADVERTISEMENT:
        return Answered(str(IPv6Address(frame[62:78])), frame[6:12].hex(":"))
    return None
