"""Kernel events of a network namespace: addresses that come and go, links that go up and down.

Layouts: linux/rtnetlink.h, linux/if_link.h. A socket belongs to the namespace it was made in, so one process can watch
many: it enters each for the moment of making the socket.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.netlink import DONE, ERROR, attributes, messages, open_socket, send

_CLONE_NEWNET = 0x40000000
_NEW_LINK, _DEL_LINK, _GET_LINK = 16, 17, 18
_NEW_ADDRESS, _DEL_ADDRESS, _GET_ADDRESS = 20, 21, 22
_GROUPS = 0x1 | 0x10 | 0x100  # RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR
_IFA_ADDRESS, _IFA_LOCAL, _IFLA_NAME = 1, 2, 3
_IFF_LOWER_UP = 0x10000

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def inside(netns: Path) -> Iterator[None]:
    """Be in the network namespace at `netns`. Only for a process of one thread; raises OSError if there is none."""
    here, there = os.open("/proc/self/ns/net", os.O_RDONLY), -1
    try:
        there = os.open(netns, os.O_RDONLY)
        _enter(there)
        try:
            yield
        finally:
            _enter(here)
    finally:
        os.close(here)
        if there >= 0:
            os.close(there)


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "the network namespace cannot be entered")


@dataclass(frozen=True)
class AddressChange:
    """An address was added to, or removed from, the interface with this index."""

    index: int
    address: str
    added: bool


@dataclass(frozen=True)
class LinkChange:
    """A link as it is now; `up` means that a cable with something live at its other end is plugged in."""

    index: int
    name: str
    up: bool


Change = AddressChange | LinkChange


def subscribe(netns: Path) -> socket.socket:
    """A non-blocking netlink socket that hears of every change in `netns`; raises OSError."""
    with inside(netns):
        return open_socket(socket.NETLINK_ROUTE, groups=_GROUPS, timeout_s=0)


def ask_everything(link: socket.socket, what: str) -> None:
    """Ask for all links, or for all addresses (one at a time: the kernel answers one dump after the other)."""
    if what == "links":
        kind, body = _GET_LINK, struct.pack("=BxHiII", 0, 0, 0, 0, 0)
    else:
        kind, body = _GET_ADDRESS, struct.pack("=BBBBI", 0, 0, 0, 0, 0)
    send(link, kind, body)


def decode(data: bytes) -> tuple[list[Change], bool]:
    """The changes in one datagram, and whether it ends a dump."""
    changes: list[Change] = []
    ended = False
    for kind, _, _, payload in messages(data):
        ended = ended or kind in (DONE, ERROR)
        if kind in (_NEW_LINK, _DEL_LINK):
            changes.append(_link(payload, gone=kind == _DEL_LINK))
        elif kind in (_NEW_ADDRESS, _DEL_ADDRESS) and (change := _address(payload, added=kind == _NEW_ADDRESS)):
            changes.append(change)
    return changes, ended


def _link(payload: bytes, *, gone: bool) -> LinkChange:
    _, _, index, flags, _ = struct.unpack_from("=BxHiII", payload)
    name = attributes(payload[16:]).get(_IFLA_NAME, b"").rstrip(b"\0").decode(errors="replace")
    return LinkChange(index, name, up=bool(flags & _IFF_LOWER_UP) and not gone)


def _address(payload: bytes, *, added: bool) -> AddressChange | None:
    family, _, _, _, index = struct.unpack_from("=BBBBI", payload)
    said = attributes(payload[8:])
    raw = said.get(_IFA_LOCAL, said.get(_IFA_ADDRESS))
    if family not in (socket.AF_INET, socket.AF_INET6) or raw is None:
        return None
    return AddressChange(index, str(ipaddress.ip_address(raw)), added)
