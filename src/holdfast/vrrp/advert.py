"""Decodes VRRP advertisements: version 2 (RFC 3768) and 3 (RFC 5798), over IPv4 and IPv6."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

PROTOCOL = 112
_ADVERTISEMENT = 1
_HEADER_LENGTH = 8
_IPV6_HEADER = 40


@dataclass(frozen=True)
class Advert:
    """One advertisement. `priority` 0 means that its sender gives the group up (RFC 5798 5.2.4)."""

    source: IPv4Address | IPv6Address
    version: int
    vrid: int
    priority: int
    hop_limit: int


def decode(packet: bytes) -> Advert | None:
    """The advert in an IP packet (without a link header), or None if it is anything else. Never raises."""
    if not packet:
        return None
    if packet[0] >> 4 == 4:
        return _decode_ipv4(packet)
    if packet[0] >> 4 == 6:
        return _decode_ipv6(packet)
    return None


def _decode_ipv4(packet: bytes) -> Advert | None:
    length = (packet[0] & 0x0F) * 4
    if length < 20 or len(packet) < length + _HEADER_LENGTH or packet[9] != PROTOCOL:
        return None
    if (packet[6] & 0x1F) << 8 | packet[7]:  # a later fragment carries no VRRP header
        return None
    return _decode_vrrp(packet[length:], ip_address(packet[12:16]), packet[8])


def _decode_ipv6(packet: bytes) -> Advert | None:
    if len(packet) < _IPV6_HEADER + _HEADER_LENGTH or packet[6] != PROTOCOL:
        return None
    return _decode_vrrp(packet[_IPV6_HEADER:], ip_address(packet[8:24]), packet[7])


def _decode_vrrp(payload: bytes, source: IPv4Address | IPv6Address, hop_limit: int) -> Advert | None:
    version, kind = payload[0] >> 4, payload[0] & 0x0F
    if kind != _ADVERTISEMENT or version not in (2, 3) or payload[1] == 0:
        return None
    return Advert(source, version, vrid=payload[1], priority=payload[2], hop_limit=hop_limit)
