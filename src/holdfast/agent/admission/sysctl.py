"""Kernel settings: only those that virtual addresses and load balancing need."""

from __future__ import annotations

import re

from holdfast.agent.admission.findings import odd_characters, refuse, shown
from holdfast.bundle import BundleFile
from holdfast.findings import Finding

_INTERFACE = r"[A-Za-z0-9_@/-]{1,15}"  # a dot in its name is written as a slash (sysctl.d(5))
_KEYS: dict[str, tuple[int, int]] = {
    r"net\.ipv4\.ip_nonlocal_bind": (0, 1),
    r"net\.ipv6\.ip_nonlocal_bind": (0, 1),
    r"net\.ipv4\.ip_forward": (0, 1),
    r"net\.ipv6\.conf\.all\.forwarding": (0, 1),
    rf"net\.ipv4\.conf\.{_INTERFACE}\.arp_ignore": (0, 8),
    rf"net\.ipv4\.conf\.{_INTERFACE}\.arp_announce": (0, 2),
    rf"net\.ipv4\.conf\.{_INTERFACE}\.rp_filter": (0, 2),
    r"net\.ipv4\.vs\.[a-z0-9_]{1,40}": (0, 2**31 - 1),
}
_LINE = re.compile(r"([!-~]+) = (0|[1-9][0-9]{0,9})")


def check(file: BundleFile) -> list[Finding]:
    """Lines are comments, empty, or `key = integer`; all else is refused."""
    found = odd_characters(file.path, file.content, "ADM500")
    for number, line in enumerate(file.content.split("\n"), start=1):
        if not line or line.startswith("#"):
            continue
        setting = _LINE.fullmatch(line)
        bounds = _bounds(setting[1]) if setting else None
        if setting is None:
            found.append(refuse("ADM501", f"{shown(line)} is not `key = integer`", file.path, number))
        elif bounds is None:
            hint = "a bundle sets what addresses, ARP, forwarding and IPVS need, nothing else"
            found.append(refuse("ADM502", f"{shown(setting[1])} may not be set", file.path, number, hint=hint))
        elif not bounds[0] <= int(setting[2]) <= bounds[1]:
            message = f"{setting[1]} is {setting[2]}, but may be {bounds[0]} to {bounds[1]}"
            found.append(refuse("ADM503", message, file.path, number))
    return found


def _bounds(key: str) -> tuple[int, int] | None:
    return next((bounds for pattern, bounds in _KEYS.items() if re.fullmatch(pattern, key)), None)
