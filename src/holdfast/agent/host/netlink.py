"""Questions to the kernel over netlink: which addresses there are, who listens, how TCP connections are doing.

Layouts: linux/rtnetlink.h, linux/inet_diag.h, linux/tcp.h, linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from contextlib import suppress
from functools import lru_cache

from holdfast.agent.host.port import Connection, ListeningSocket, LocalAddress
from holdfast.netlink import ACKNOWLEDGE, REQUEST, answers, attributes, dump, open_socket, send

_NETLINK_ROUTE, _NETLINK_SOCK_DIAG, _NETLINK_NETFILTER = 0, 4, 12
_GETADDR, _SOCK_DIAG_BY_FAMILY = 22, 20
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_GETGEN, _GEN_ID = (10 << 8) | 16, 1  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN; NFTA_GEN_ID
_DIAG_INFO = 2  # INET_DIAG_INFO: struct tcp_info
_ESTABLISHED, _SYN_RECV, _FIN_WAIT1, _CLOSE_WAIT, _LAST_ACK, _CLOSING, _NEW_SYN_RECV = 1, 3, 4, 8, 9, 11, 12
_LISTEN = 10
_LEAVING = frozenset({_FIN_WAIT1, _LAST_ACK, _CLOSING})  # closed by the program, with data still in the kernel perhaps
_STATES = sum(1 << state for state in (_ESTABLISHED, _SYN_RECV, _CLOSE_WAIT, _NEW_SYN_RECV, *_LEAVING))


def local_addresses() -> frozenset[LocalAddress]:
    """Every address of every interface, with its prefix length; raises OSError."""
    found = set()
    names: dict[int, str | None] = {}
    for payload in dump(_NETLINK_ROUTE, _GETADDR, struct.pack("=BBBBI", 0, 0, 0, 0, 0)):
        family, prefix, _, _, index = struct.unpack_from("=BBBBI", payload)
        said = attributes(payload[8:])
        raw = said.get(_IFA_LOCAL, said.get(_IFA_ADDRESS))
        if family not in (socket.AF_INET, socket.AF_INET6) or raw is None:
            continue
        if index not in names:
            names[index] = _name(index)
        interface = names[index]
        if interface is not None:
            found.add(LocalAddress(interface, f"{_in_words(raw)}/{prefix}"))
    return frozenset(found)


def _name(index: int) -> str | None:
    with suppress(OSError):  # it went away between the two questions
        return socket.if_indextoname(index)
    return None


@lru_cache(maxsize=4096)
def _in_words(raw: bytes) -> str:
    """Addresses are asked for every few seconds, and are mostly the same."""
    return str(ipaddress.ip_address(raw))


def ruleset_number() -> int | None:
    """The number of nftables' ruleset in this network namespace, which every commit raises; raises OSError."""
    with open_socket(_NETLINK_NETFILTER) as link:
        send(link, _GETGEN, bytes(4), flags=REQUEST | ACKNOWLEDGE)
        for message in answers(link):
            raw = attributes(message.payload[4:]).get(_GEN_ID)
            if raw is not None:
                return int.from_bytes(raw, "big")
    return None


def tcp_listeners() -> tuple[ListeningSocket, ...]:
    """Every TCP socket that listens; raises OSError, also where the kernel lacks inet_diag.

    /proc/net/tcp says the same, but walks the table of all connections for it: milliseconds on a machine with memory.
    """
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        body = struct.pack("=BBBBI48x", family, socket.IPPROTO_TCP, 0, 0, 1 << _LISTEN)
        for payload in dump(_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, body):
            width = 4 if payload[0] == socket.AF_INET else 16
            address = ipaddress.ip_address(payload[8 : 8 + width])
            (port,) = struct.unpack_from("!H", payload, 4)
            (inode,) = struct.unpack_from("=I", payload, 68)
            found.append(ListeningSocket(str(address), port, inode))
    return tuple(found)


def tcp_connections(addresses: frozenset[str]) -> tuple[Connection, ...]:
    """Connections whose local end is in `addresses`; raises OSError."""
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        body = struct.pack("=BBBBI48x", family, socket.IPPROTO_TCP, 1 << (_DIAG_INFO - 1), 0, _STATES)
        found += [
            connection
            for payload in dump(_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, body)
            if (connection := _connection(payload)).local in addresses
        ]
    return tuple(found)


def _connection(payload: bytes) -> Connection:
    family, state, _, repeats = struct.unpack_from("=BBBB", payload)
    local_port, remote_port = struct.unpack_from("!HH", payload, 4)
    width = 4 if family == socket.AF_INET else 16
    unread, unsent = struct.unpack_from("=II", payload, 56)
    (inode,) = struct.unpack_from("=I", payload, 68)
    info = attributes(payload[72:]).get(_DIAG_INFO, b"")
    since_sent, _, since_received = struct.unpack_from("=III", info, 44) if len(info) >= 56 else (0, 0, 0)
    sent, received = struct.unpack_from("=QQ", info, 120) if len(info) >= 136 else (0, 0)
    return Connection(
        local=_plain(payload[8 : 8 + width]),
        local_port=local_port,
        remote=_plain(payload[24 : 24 + width]),
        remote_port=remote_port,
        half_open=state in (_SYN_RECV, _NEW_SYN_RECV),
        closed=state in _LEAVING,
        unread=unread,
        unsent=unsent,
        repeats=repeats,
        received_bytes=received,
        sent_bytes=sent,
        since_sent_ms=since_sent,
        since_received_ms=since_received,
        inode=inode,
    )


def _plain(raw: bytes) -> str:
    """An IPv4 connection on a socket that serves both families counts as IPv4."""
    address = ipaddress.ip_address(raw)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
