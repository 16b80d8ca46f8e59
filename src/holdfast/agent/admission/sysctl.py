"""Kernel settings: only those that virtual addresses and load balancing need."""

from __future__ import annotations

import re

from holdfast.agent.admission.findings import odd_characters, refuse, shown
from holdfast.bundle import BundleFile
from holdfast.findings import Finding

_INTERFACE = r"[A-Za-z0-9_@/-]{1,15}"  # a dot in its name is written as a slash (sysctl.d(5))
_LARGEST = 2**31 - 1
_KEYS: dict[str, tuple[int, int]] = {
    r"net\.ipv4\.ip_nonlocal_bind": (0, 1),
    r"net\.ipv6\.ip_nonlocal_bind": (0, 1),
    r"net\.ipv4\.ip_forward": (0, 1),
    r"net\.ipv6\.conf\.all\.forwarding": (0, 1),
    rf"net\.ipv4\.conf\.{_INTERFACE}\.arp_ignore": (0, 8),
    rf"net\.ipv4\.conf\.{_INTERFACE}\.arp_announce": (0, 2),
    rf"net\.ipv4\.conf\.{_INTERFACE}\.rp_filter": (0, 2),
    rf"net\.ipv4\.conf\.{_INTERFACE}\.send_redirects": (0, 1),
    r"net\.ipv4\.vs\.[a-z0-9_]{1,40}": (0, _LARGEST),
}
# Two numbers, from and to: from which packet on connections are told to other directors; who may ping.
_PAIRS: dict[str, tuple[int, int]] = {
    r"net\.ipv4\.vs\.sync_threshold": (0, _LARGEST),
    r"net\.ipv4\.ping_group_range": (0, _LARGEST),
}
_OPTIONAL = {r"-net\.ipv4\.tcp_migrate_req": (0, 1)}  # not every kernel has it: sysctl.d(5), where a "-" says so
_NUMBER = r"(?:0|[1-9][0-9]{0,9})"
_LINE = re.compile(rf"([!-~]+) = ({_NUMBER}(?: {_NUMBER})?)")


def check(file: BundleFile) -> list[Finding]:
    """Lines are comments, empty, or `key = integer` (of some keys two); all else is refused."""
    found = odd_characters(file.path, file.content, "ADM500")
    for number, line in enumerate(file.content.split("\n"), start=1):
        if not line or line.startswith("#"):
            continue
        setting = _LINE.fullmatch(line)
        numbers = [int(number) for number in setting[2].split(" ")] if setting else []
        bounds = _bounds(setting[1], len(numbers)) if setting else None
        if setting is None:
            found.append(refuse("ADM501", f"{shown(line)} is not `key = integer`", file.path, number))
        elif bounds is None:
            hint = "a bundle sets what addresses, ARP, forwarding and IPVS need, nothing else"
            found.append(refuse("ADM502", f"{shown(setting[1])} may not be set", file.path, number, hint=hint))
        elif not all(bounds[0] <= number <= bounds[1] for number in numbers):
            message = f"{setting[1]} is {setting[2]}, but may be {bounds[0]} to {bounds[1]}"
            found.append(refuse("ADM503", message, file.path, number))
    return found


def _bounds(key: str, count: int) -> tuple[int, int] | None:
    single = {pattern: bounds for pattern, bounds in (_KEYS | _OPTIONAL).items() if pattern not in _PAIRS}
    known = _PAIRS if count == 2 else single
    return next((bounds for pattern, bounds in known.items() if re.fullmatch(pattern, key)), None)
