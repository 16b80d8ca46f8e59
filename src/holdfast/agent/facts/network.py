"""Takes apart what the kernel says of links, addresses and routes. Layouts: linux/rtnetlink.h, linux/if_link.h."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable

from holdfast.netlink import attributes
from holdfast.protocol import InterfaceFacts, RouteFacts

_LINK, _ADDRESS, _ROUTE = struct.Struct("=BxHiII"), struct.Struct("=BBBBI"), struct.Struct("=BBBBBBBBI")
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINKINFO, _IFLA_CARRIER, _INFO_KIND = 1, 3, 4, 18, 33, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_MULTIPATH = 1, 4, 5, 6, 9
_IFF_UP, _IFF_MULTICAST, _SECONDARY = 0x1, 0x1000, 0x1
_MAIN_TABLE, _UNICAST = 254, 1
_FAMILIES: dict[int, tuple[int, int]] = {socket.AF_INET: (4, 4), socket.AF_INET6: (6, 16)}  # family and its bytes


def interfaces(links: Iterable[bytes], addresses: Iterable[bytes]) -> dict[int, InterfaceFacts]:
    """Index → interface with its addresses, in the order in which the kernel tells them: the first is the primary."""
    found = {index: one for payload in links if (parted := _link(payload)) is not None for index, one in [parted]}
    listed: dict[int, list[str]] = {}
    secondary: dict[int, list[str]] = {}
    for payload in addresses:
        if len(payload) < _ADDRESS.size:
            continue
        family, prefix, flags, _, index = _ADDRESS.unpack_from(payload)
        said = attributes(payload[_ADDRESS.size :])
        raw = said.get(_IFA_LOCAL, said.get(_IFA_ADDRESS, b""))
        if family not in _FAMILIES or len(raw) != _FAMILIES[family][1]:
            continue
        text = f"{ipaddress.ip_address(raw)}/{prefix}"
        listed.setdefault(index, []).append(text)
        if flags & _SECONDARY and family == socket.AF_INET:  # of IPv6 the same bit means a temporary one
            secondary.setdefault(index, []).append(text)
    return {
        index: one.model_copy(
            update={"addresses": tuple(listed.get(index, ())), "secondary": tuple(secondary.get(index, ()))}
        )
        for index, one in found.items()
    }


def _link(payload: bytes) -> tuple[int, InterfaceFacts] | None:
    if len(payload) < _LINK.size:
        return None
    _, _, index, flags, _ = _LINK.unpack_from(payload)
    said = attributes(payload[_LINK.size :])
    name = _word(said.get(_IFLA_IFNAME, b""))
    if not name:
        return None
    mtu, carrier = said.get(_IFLA_MTU, b""), said.get(_IFLA_CARRIER, b"")
    return index, InterfaceFacts(
        name=name,
        mac=said.get(_IFLA_ADDRESS, b"")[:32].hex(":"),
        mtu=struct.unpack("=I", mtu)[0] if len(mtu) == 4 else None,
        up=bool(flags & _IFF_UP),
        carrier=bool(carrier[0]) if carrier else None,
        multicast=bool(flags & _IFF_MULTICAST),
        kind=_word(attributes(said.get(_IFLA_LINKINFO, b"")).get(_INFO_KIND, b"")),
    )


def routes(payloads: Iterable[bytes], names: dict[int, str]) -> tuple[RouteFacts, ...]:
    """The routes of the main table; of one with several ways the first."""
    return tuple(route for payload in payloads if (route := _route(payload, names)) is not None)


def _route(payload: bytes, names: dict[int, str]) -> RouteFacts | None:
    if len(payload) < _ROUTE.size:
        return None
    family, length, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(payload)
    if family not in _FAMILIES or table != _MAIN_TABLE or kind != _UNICAST:
        return None
    said = attributes(payload[_ROUTE.size :])
    if _RTA_MULTIPATH in said and _RTA_OIF not in said:
        hop = said[_RTA_MULTIPATH]  # struct rtnexthop: length, flags, hops, index, then attributes
        if len(hop) >= 8:
            size, index = struct.unpack_from("=HxxI", hop)
            said = {**said, _RTA_OIF: struct.pack("=I", index), **attributes(hop[8:size])}
    destination = said.get(_RTA_DST, b"")
    version, width = _FAMILIES[family]
    return RouteFacts(
        family=4 if version == 4 else 6,
        destination=f"{_address(destination, width)}/{length}" if length else "default",
        gateway=_address(said.get(_RTA_GATEWAY, b""), width),
        interface=names.get(_number(said.get(_RTA_OIF, b"")), ""),
        metric=_number(said.get(_RTA_PRIORITY, b"")),
    )


def _address(raw: bytes, width: int) -> str:
    return str(ipaddress.ip_address(raw)) if len(raw) == width else ""


def _number(raw: bytes) -> int:
    return int(struct.unpack("=I", raw)[0]) if len(raw) == 4 else 0


def _word(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")[:255]
