"""Adverts as they are on the wire, and anything else."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.vrrp import Advert, decode

IPV4 = bytes.fromhex("45c00020 00010000 ff700000 0a000005 e0000012".replace(" ", ""))
V3 = bytes.fromhex("3133fa01000a0000") + bytes([169, 254, 255, 51])
V2 = bytes.fromhex("2133640100010000") + bytes([10, 0, 0, 3])
IPV6 = (
    bytes.fromhex("6000000000 1870ff".replace(" ", "")) + ip_address("fe80::5").packed + ip_address("ff02::12").packed
)


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (IPV4 + V3, Advert(ip_address("10.0.0.5"), 3, 51, 250, 255)),
        (IPV4 + V2, Advert(ip_address("10.0.0.5"), 2, 51, 100, 255)),
        (IPV6 + V3, Advert(ip_address("fe80::5"), 3, 51, 250, 255)),
        (IPV4 + V3[:2] + b"\0" + V3[3:], Advert(ip_address("10.0.0.5"), 3, 51, 0, 255)),
        (IPV4[:9] + b"\x06" + IPV4[10:] + V3, None),
        (IPV4 + b"\x32" + V3[1:], None),
        (IPV4 + b"\x41" + V3[1:], None),
        (IPV4 + V3[:1] + b"\0" + V3[2:], None),
        (IPV4[:6] + b"\x00\x01" + IPV4[8:] + V3, None),
        (IPV4 + V3[:7], None),
        (b"", None),
    ],
    ids=["v3", "v2", "ipv6", "gives up", "tcp", "not an advert", "version 4", "vrid 0", "fragment", "cut off", "empty"],
)
def test_decode(packet: bytes, expected: Advert | None) -> None:
    assert decode(packet) == expected


@given(st.binary(max_size=200))
def test_no_packet_raises(packet: bytes) -> None:
    decoded = decode(packet)
    assert decoded is None or (1 <= decoded.vrid <= 255 and decoded.version in (2, 3))
