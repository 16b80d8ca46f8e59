"""Kinds of values, judged as keepalived judges them."""

from __future__ import annotations

import pytest

from holdfast.keepalived.keywords import arguments


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("uint(1..255)", ["1", "255", "+7", " 9", "007"], ["0", "256", "-1", "1.5", "x", "", "1x"]),
        ("int(-254..254)", ["-254", "0", "254"], ["-255", "255", "--1"]),
        ("uint(0..)", ["0", "99999999999"], ["-1"]),
        ("num(0.01..255)", ["0.01", "1", "255", ".5", "5."], ["0", "0.001", "255.1", "-1", "x", ".", "1e3"]),
        ("one(MASTER|BACKUP)", ["MASTER"], ["master", "BACUP"]),
        ("any(TCP|UDP)", ["TCP", "tcp"], ["icmp"]),
        ("bool", ["on", "yes", "false"], ["On", "1"]),
        ("ip", ["10.0.0.1", "fe80::1"], ["10.0.0", "10.0.0.256", "fe80::g", "x", "10.0.0.1/24"]),
        ("prefix", ["10.0.0.1", "10.0.0.1/24", "fd00::1/64"],
         ["10.0.0.1/33", "10.0.0.1/255.255.255.0", "fd00::/129", "a/8"]),
        ("route", ["default", "10.0.0.0/8"], ["defaults"]),
        ("range", ["10.0.0.1", "10.0.0.1-9", "10.0.0.1-10.0.1.9", "10.0.0.0/29", "fd00::1-f"],
         ["10.0.0.1-256", "10.0.0.1-fd00::1", "a-b", "fd00::1-fffff"]),
        ("mcast4", ["224.0.0.18"], ["10.0.0.1", "240.0.0.1", "ff02::12"]),
        ("mcast6", ["ff02::12"], ["ff05::1", "fe80::1", "224.0.0.18"]),
        ("mcast", ["224.0.0.18", "ff02::12"], ["10.0.0.1"]),
        ("iface", ["eth0", "a-name.100"], ["averyverylongname", "a/b", ".."]),
        ("password", ["12345678"], ["123456789", "пароль"]),
        ("granularity", ["255.255.255.0", "255.255.255.255", "64"], ["255.0.255.0", "0.0.0.0", "129", "x.y"]),
        ("mac", ["00:00:5e:00:01:0a", "02:00:00:00:00"], ["0:0", "zz:00:00:00:00:00"]),
        ("hex", ["Ab12f", "12 3x", "ff00", "fff", "ff 0"], ["zz", "ff", "0aFF", "fe ff"]),
        ("octets", ["0a1b", "ff00", "f"], ["", "zz", "00ff"]),
        ("status", ["200", "200-299"], ["99", "abc", "299-200", "200-"]),
        ("port", ["1", "65535"], ["0", "65536", "http"]),
        ("port0", ["0"], ["65536"]),
        ("label", ["eth0:1"], ["eth0:averylonglabel"]),
        ("ipx", ["-", "+", "10.0.0.255"], ["x"]),
        ("scope", ["link", "200"], ["somewhere", "256"]),
        ("lifetime", ["forever", "60"], ["never"]),
        ("via", ["10.0.0.1", "inet6"], ["x"]),
        ("rtt", ["100", "2s", "100ms"], ["x", "960001"]),
        ("digest", ["0123456789abcdef0123456789ABCDEF"], ["123"]),
        ("name", ["anything at all"], []),
    ],
)  # fmt: skip
def test_kinds_of_values(kind: str, good: list[str], bad: list[str]) -> None:
    (argument,) = arguments(kind)
    assert [word for word in good if argument.check(word)] == []
    assert [word for word in bad if not argument.check(word)] == []
